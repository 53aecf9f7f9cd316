"""The conversation with a person, in pages: what came in and what went out, merged by time.

A page begins behind a place, not at an offset, and is found through the two indexes of the person, so that any page of
100,000 messages costs what the first costs.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from accounts.models import WhatsAppUser
from backoffice.timeline_entries import Entry, load_entries
from backoffice.timeline_places import END_OF_TIME, Place

PAGE_SIZE = 50

# First the times around a place, which the indexes alone tell, then all that lies between: so PostgreSQL knows how much
# it will read. Asked for rows in the order of time, it reads everybody's until it has found enough of one person's.
_TIMES = """
(SELECT {is_older}, received_at FROM messaging_rawmessage WHERE user_id = %s AND received_at {sign} %s
ORDER BY received_at {direction} LIMIT %s)
UNION ALL
(SELECT {is_older}, created_at FROM messaging_outboundmessage WHERE user_id = %s AND created_at {sign} %s
ORDER BY created_at {direction} LIMIT %s)
"""
_OLDER = _TIMES.format(is_older=True, sign="<", direction="DESC")
_NEWER = _TIMES.format(is_older=False, sign=">", direction="ASC")
_ROWS = """
SELECT received_at, 0, id::text FROM messaging_rawmessage WHERE user_id = %s AND received_at BETWEEN %s AND %s
UNION ALL
SELECT created_at, part, id::text FROM messaging_outboundmessage WHERE user_id = %s AND created_at BETWEEN %s AND %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Entries, oldest first, and the cursors of the pages before and behind; None where there is nothing more."""

    entries: list[Entry]
    older: str | None
    newer: str | None


def get_page(
    user: WhatsAppUser,
    *,
    before: Place | None = None,
    after: Place | None = None,
    around: Place | None = None,
    size: int = PAGE_SIZE,
) -> Page:
    """A page of the conversation: the newest, or the one that ends before, begins after or surrounds a place.

    A fixed number of statements, whatever is on it.
    """
    if after is not None:
        older, newer = _find(user.id, after, older=1, newer=size + 1, with_place=True)
        shown, has_older, has_newer = newer[:size], bool(older), len(newer) > size
    elif around is not None:
        half = size // 2
        older, newer = _find(user.id, around, older=half + 1, newer=half + 1, with_place=True)
        shown, has_older, has_newer = older[-half:] + newer[:half], len(older) > half, len(newer) > half
    else:
        older, _ = _find(user.id, before or END_OF_TIME, older=size + 1)
        shown, has_older, has_newer = older[-size:], len(older) > size, before is not None
    return Page(
        entries=load_entries(user, shown),
        older=shown[0].cursor if shown and has_older else None,
        newer=shown[-1].cursor if shown and has_newer else None,
    )


def _find(
    user_id: int, place: Place, *, older: int = 0, newer: int = 0, with_place: bool = False
) -> tuple[list[Place], list[Place]]:
    """So many places before and behind one, each oldest first; ``with_place`` counts itself among those before."""
    with connection.cursor() as cursor:
        values: list[Any] = [*[user_id, place.at, older] * 2, *[user_id, place.at, newer] * 2]
        cursor.execute(f"{_OLDER} UNION ALL {_NEWER}", values)
        times = cursor.fetchall()
        # The times of the last of so many entries on each side; the place's own, if there are none.
        first = [place.at, *sorted((at for is_older, at in times if is_older), reverse=True)[:older]][-1]
        last = [place.at, *sorted(at for is_older, at in times if not is_older)[:newer]][-1]
        cursor.execute(_ROWS, [user_id, first, last] * 2)
        found = sorted(read_row(*row) for row in cursor.fetchall())
    before = [each for each in found if each < place or (with_place and each == place)]
    behind = [each for each in found if each > place]
    return before[-older:] if older else [], behind[:newer]


def read_row(at: datetime, part: int, id: str) -> Place:
    """A place from its columns; only ids of what went out have dashes."""
    return Place(at, True, part, UUID(id)) if "-" in id else Place.of_inbound(at, int(id))
