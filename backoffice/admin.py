"""Everything the back-office shows; Django looks for it here, one module for each part."""

from django.contrib import admin

from backoffice import auditing, files, jobs, memories, messages, people, programs, receipts, staff  # noqa: F401

admin.site.index_template = "backoffice/dashboard.html"
