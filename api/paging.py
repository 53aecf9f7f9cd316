"""Pages of a list: each begins behind the last row of the one before, so that any page is as fast as the first."""

import base64
import binascii
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from typing import Any, Generic, TypeVar

from django.db.models import F, QuerySet
from django.db.models.fields.tuple_lookups import Tuple, TupleLessThan

from api.errors import Unprocessable

Row = TypeVar("Row")
LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Rows, newest first, and where the next ones begin; None after the last."""

    rows: list[Row]
    next_cursor: str | None


def get_page(rows: "QuerySet[Any, Row]", *, newest_by: str, cursor: str | None, limit: int) -> Page[Row]:
    """One page of ``rows`` by the time ``newest_by`` and the id, both descending.

    Raises Unprocessable for a cursor that is not ours.
    """
    if cursor is not None:
        place = read_cursor(cursor)
        # Where the time is another table's, only a condition on it alone can begin in the middle of its index.
        rows = rows.filter(
            TupleLessThan(Tuple(F(newest_by), F("id")), place), **{f"{newest_by}__lte": place[0]}
        )
    found = list(rows.order_by(f"-{newest_by}", "-id")[: limit + 1])
    read_place = attrgetter(newest_by.replace("__", "."), "id")

    def get_place(row: Row) -> tuple[str, int]:
        when, row_id = read_place(row)
        return when.isoformat(), row_id

    return cut_page(found, limit=limit, get_place=get_place)


def cut_page(found: list[Row], *, limit: int, get_place: Callable[[Row], tuple[str, int]]) -> Page[Row]:
    """A page of rows of which one more than asked for was looked for: it tells whether there is a next page."""
    is_last = len(found) <= limit
    return Page(found[:limit], None if is_last else make_cursor(get_place(found[limit - 1])))


def make_cursor(place: tuple[str, int]) -> str:
    """Where the rows behind this place begin: the time (ISO 8601) and the id of a row."""
    text = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> tuple[datetime, int]:
    """Time and id. Raises Unprocessable for what `make_cursor` has not made."""
    try:
        return _decode(cursor)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise Unprocessable({"cursor": ["This cursor is not one of ours."]}) from None


def _decode(cursor: str) -> tuple[datetime, int]:
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
