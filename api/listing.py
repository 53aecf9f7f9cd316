"""The memories of a person as lists show them: one statement, written out and prepared.

Programs read lists all day. Django takes longer to put this statement together, and to read its times one by one, than
PostgreSQL takes to run it (bench/api).
"""

import json
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import connection
from psycopg.rows import dict_row

from api.paging import LARGEST_ID, Page, cut_page, read_cursor
from api.representations import TIMES

NEWEST = (datetime.max.replace(tzinfo=UTC), LARGEST_ID)


def _as_text(column: str, name: str) -> str:
    """A time as `api.representations.show_time` writes it."""
    text = f"""to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')"""
    return f"replace({text}, '.000000', '') || 'Z' AS {name}"


# ``origin`` is the message the present text is from.
STATEMENT = f"""
SELECT memory.id, number, text, type, source, metadata::text, raw_message_id, message.message_sid,
    {", ".join(_as_text(f"memory.{name}", name) for name in TIMES)},
    origin.id AS origin_id, origin.message_sid AS origin_sid, origin.body AS origin_body,
    {_as_text("origin.received_at", "origin_received_at")}
FROM (
    SELECT * FROM memories_memory WHERE user_id = %s AND (happened_at, id) < (%s, %s)
    ORDER BY happened_at DESC, id DESC LIMIT %s
) AS memory
LEFT JOIN messaging_rawmessage AS message ON message.id = raw_message_id
LEFT JOIN messaging_rawmessage AS origin ON origin.id = coalesce(corrected_by_id, raw_message_id)
ORDER BY memory.happened_at DESC, memory.id DESC
"""


def list_memories(*, user_id: int, cursor: str | None, limit: int) -> Page[dict[str, Any]]:
    """A page of one person's memories, newest first, with times as text; raises Unprocessable for a strange cursor."""
    place = NEWEST if cursor is None else read_cursor(cursor)
    connection.ensure_connection()
    # psycopg's own cursor: Django's binds on the client, so that PostgreSQL would plan the statement each time.
    with psycopg.Cursor(connection.connection, row_factory=dict_row) as reader:
        found = reader.execute(STATEMENT, [user_id, *place, limit + 1]).fetchall()
    for row in found:
        row["metadata"] = json.loads(row["metadata"])
    return cut_page(found, limit=limit, get_place=get_place)


def get_place(row: dict[str, Any]) -> tuple[str, int]:
    """Where a row of this list stands."""
    return row["happened_at"], row["id"]
