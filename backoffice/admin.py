"""Everything the back-office shows; Django looks for it here, one module for each part."""

from backoffice import files, memories, messages, people, programs  # noqa: F401
