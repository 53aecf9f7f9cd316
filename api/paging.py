"""Pages of a list: each begins behind the last row of the one before, so that any page is as fast as the first."""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleLessThan

from api.errors import Unprocessable

Row = TypeVar("Row")
LARGEST_ID = 2**63 - 1
NOT_OURS = {"cursor": ["This cursor is not one of ours."]}


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, newest first, and where the next ones begin; None after the last."""

    rows: list[Row]
    next_cursor: str | None


def get_page(rows: "QuerySet[Any, Row]", *, newest_by: str, cursor: str | None, limit: int) -> Page[Row]:
    """One page of ``rows`` by the time ``newest_by`` and the id, both descending.

    One row more than asked for tells whether there is a next page. Raises Unprocessable for a cursor that is not ours.
    """
    if cursor is not None:
        try:
            place = _decode(cursor)
        except (ValueError, TypeError, OverflowError, RecursionError):
            raise Unprocessable(NOT_OURS) from None
        # Where the time is another table's, only a condition on it alone can begin in the middle of its index.
        rows = rows.filter(
            TupleLessThan(Tuple(F(newest_by), F("id")), place), **{f"{newest_by}__lte": place[0]}
        )
    found = list(rows.order_by(f"-{newest_by}", "-id")[: limit + 1])
    return Page(found[:limit], make_cursor(found[limit - 1], newest_by) if len(found) > limit else None)


def make_cursor(row: Any, newest_by: str) -> str:
    """Where the rows behind this one begin."""
    value = row
    for name in newest_by.split("__"):
        value = getattr(value, name)
    text = json.dumps([value.isoformat(), row.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _decode(cursor: str) -> Sequence[Any]:
    """Time and id. Raises ValueError and the like for what `make_cursor` has not made."""
    if not cursor.isascii():
        raise ValueError
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError from None
    when, row_id = json.loads(text)
    moment = datetime.fromisoformat(when)
    if type(row_id) is not int or not 0 < row_id <= LARGEST_ID or moment.tzinfo is None:
        raise ValueError
    moment.astimezone()  # OverflowError at the ends of time
    return (moment, row_id)
