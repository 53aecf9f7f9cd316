"""Everything the back-office shows; Django looks for it here, one module for each part."""

from backoffice import auditing, files, memories, messages, people, programs, receipts, staff  # noqa: F401
