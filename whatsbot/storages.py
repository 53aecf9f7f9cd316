"""The storage of S3 with one client for all threads."""

import threading
from typing import Any

from storages.backends import s3


class S3Storage(s3.S3Storage):
    """django-storages' own, without a client of its own for each thread, which is 15 MB each.

    boto3's clients may be shared among threads. Of the resource around it only the client and its factories are used,
    which change nothing; django-storages itself shares a bucket made of it.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._lock = threading.Lock()
        self._shared: Any = None

    @property
    def connection(self) -> Any:
        """The resource, made once."""
        with self._lock:
            if self._shared is None:
                self._shared = super().connection
            return self._shared
