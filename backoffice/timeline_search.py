"""Searching a conversation for a piece of text, whoever said it and in whichever file it stands.

Only the person's own rows are read, newest first, in stretches, for as long as a page may take. A search that finds
little says how far back it has looked, and goes on from there when asked to.
"""

import re
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Greatest, Lower, StrIndex, Substr

from accounts.models import WhatsAppUser
from backoffice.timeline import read_row
from backoffice.timeline_places import END_OF_TIME, Place
from media.models import MessageMedia
from messaging.content import WORDED

RESULTS = 30
LONGEST_QUERY = 200  # characters
STRETCH = 5_000  # messages, and as many parts of answers, read at a time
FILES_STRETCH = 500
SECONDS = 0.1  # after which no other stretch is begun
BEGINNING = datetime.min.replace(tzinfo=UTC)
CONTEXT = 90  # characters shown on each side of a match


@dataclass(frozen=True, slots=True)
class Snippet:
    """Where a match stands: what says it, and the text before, in and behind the match."""

    source: str
    before: str
    match: str
    behind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An entry that says what was searched for."""

    place: Place
    snippets: Sequence[Snippet]


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Entries, newest first, and the place to go on from; None if everything was looked at.

    ``is_cut`` says that looking ended there before the page was full.
    """

    found: list[Found]
    older: Place | None
    is_cut: bool


_FIELDS = ", ".join(f"payload->>'{name}'" for name in WORDED)
# What matches before a place, back to a time. The subquery hides the person from PostgreSQL, which shall think of one
# who wrote little: for one who wrote much it would rather read what everybody wrote in that time.
_MATCHES = f"""
(SELECT received_at, 0, id::text AS name FROM messaging_rawmessage
WHERE user_id = (SELECT %(user)s) AND received_at >= %(end)s AND (received_at, id) < (%(at)s, %(id)s)
    AND concat_ws(E'\n', body, {_FIELDS}) ILIKE %(pattern)s
ORDER BY received_at DESC, id DESC LIMIT %(limit)s)
UNION ALL
(SELECT created_at, part, id::text AS name FROM messaging_outboundmessage
WHERE user_id = (SELECT %(user)s) AND created_at >= %(end)s
    AND (created_at, part, id) < (%(at)s, %(part)s, %(uuid)s) AND body ILIKE %(pattern)s
ORDER BY created_at DESC, part DESC, id DESC LIMIT %(limit)s)
UNION ALL
(SELECT sent_at, 0, raw_message_id::text AS name
FROM media_messagemedia JOIN media_mediafile AS file ON file.id = file_id
WHERE user_id = (SELECT %(user)s) AND sent_at >= %(end)s AND (sent_at, raw_message_id) < (%(at)s, %(id)s)
    AND file_id IS NOT NULL AND concat_ws(E'\n', file_name, description, text) ILIKE %(pattern)s
ORDER BY sent_at DESC, raw_message_id DESC LIMIT %(limit)s)
"""
# How far back a stretch goes. Times alone, so that the indexes tell it.
_END = """
SELECT max(at) FROM (
    (SELECT received_at AS at FROM messaging_rawmessage WHERE user_id = %(user)s AND received_at < %(at)s
    ORDER BY received_at DESC OFFSET %(messages)s LIMIT 1)
    UNION ALL
    (SELECT created_at FROM messaging_outboundmessage WHERE user_id = %(user)s AND created_at < %(at)s
    ORDER BY created_at DESC OFFSET %(messages)s LIMIT 1)
    UNION ALL
    (SELECT sent_at FROM media_messagemedia
    WHERE user_id = %(user)s AND sent_at < %(at)s AND file_id IS NOT NULL
    ORDER BY sent_at DESC OFFSET %(files)s LIMIT 1)
) AS ends
"""


def search_conversation(user: WhatsAppUser, *, query: str, before: Place | None = None) -> Results:
    """Entries of the conversation that say ``query`` somewhere, in upper or lower case."""
    deadline = time.monotonic() + SECONDS
    places: list[Place] = []
    end: Place | None = before or END_OF_TIME
    while end is not None and len(places) <= RESULTS and (end == before or time.monotonic() < deadline):
        found, end = _search_stretch(user.id, end, query=query)
        places += found
    is_full = len(places) > RESULTS
    return Results(
        found=_show(user, places[:RESULTS], query=query),
        older=places[RESULTS - 1] if is_full else end,
        is_cut=end is not None and not is_full,
    )


def _search_stretch(user_id: int, before: Place, *, query: str) -> tuple[list[Place], Place | None]:
    """What matches in the stretch before a place, newest first, and where it ends; None: at the beginning of all."""
    at, id = before.inbound_bound
    _, part, uuid = before.outbound_bound
    values: dict[str, Any] = {"user": user_id, "at": at, "id": id, "part": part, "uuid": uuid}
    values |= {"messages": STRETCH, "files": FILES_STRETCH}
    with connection.cursor() as cursor:
        cursor.execute(_END, values)
        (end,) = cursor.fetchone()
        pattern = f"%{_escape(query)}%"
        cursor.execute(_MATCHES, values | {"end": end or BEGINNING, "pattern": pattern, "limit": RESULTS + 1})
        places = {read_row(*row) for row in cursor.fetchall()}
    return sorted(places, reverse=True), Place.of_inbound(end, 0) if end else None


def _escape(query: str) -> str:
    return re.sub(r"([%_\\])", r"\\\1", query)


def _show(user: WhatsAppUser, places: Sequence[Place], *, query: str) -> list[Found]:
    """What was found, with the pieces of text around the matches."""
    inbound = [place.id for place in places if isinstance(place.id, int)]
    snippets: dict[Any, list[Snippet]] = defaultdict(list)
    for raw in user.raw_messages.filter(id__in=inbound):
        fields = (raw.body, *(str(raw.payload.get(name, "")) for name in WORDED))
        snippets[raw.id] += _cut_first(fields, query, source="")
    for link in _find_file_texts(inbound, query=query):
        source = f"{link.kind} “{link.file_name}”" if link.file_name else link.kind
        snippets[link.raw_message_id] += _cut_first(
            (link.file_name, link.shows, link.says), query, source=source
        )
    outbound = [place.id for place in places if isinstance(place.id, UUID)]
    for row in user.outbound_messages.filter(id__in=outbound).only("user", "body"):
        snippets[row.id] += _cut_first((row.body,), query, source="")
    return [Found(place=place, snippets=snippets[place.id]) for place in places]


def _find_file_texts(raw_message_ids: Sequence[int], *, query: str) -> Any:
    """The pieces of what files show and say that have the match: the whole may be 100,000 characters."""

    def cut(column: str) -> Substr:
        start = Greatest(StrIndex(Lower(column), Lower(Value(query))) - CONTEXT, 1)
        return Substr(column, start, 2 * CONTEXT + len(query))

    links = MessageMedia.objects.filter(raw_message__in=raw_message_ids, file__isnull=False)
    return links.annotate(
        kind=F("file__kind"), shows=cut("file__description"), says=cut("file__text")
    ).order_by("position")


def _cut_first(texts: Iterable[str], query: str, *, source: str) -> Iterator[Snippet]:
    """The first of these texts that has the match, cut around it."""
    for text in texts:
        if match := re.search(re.escape(query), text, re.IGNORECASE):
            before, behind = text[: match.start()], text[match.end() :]
            yield Snippet(
                source=source,
                before=f"…{before[-CONTEXT:]}" if len(before) > CONTEXT else before,
                match=match[0],
                behind=f"{behind[:CONTEXT]}…" if len(behind) > CONTEXT else behind,
            )
            return
