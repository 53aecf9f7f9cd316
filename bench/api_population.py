"""Made-up people with messages, turns and memories, for measuring lists: written by a few statements of SQL.

Nothing is realistic but what a list's cost depends on: how many memories a person has, from how many messages, that the
rows of all people lie between each other on disk in order of time, how wide they are, and how many have files,
corrections and citations. There are no vectors and no words of an index: no list reads them.

What a person has told comes in messages of one, two and three memories; one in ten came by the API, without a message.
For three such messages there is one question, whose answer cites five memories.
"""

import json
import time
from typing import Any

import numpy as np
import psycopg
from harness import ROOT, say

DAYS = 365
FILES_EVERY = 30  # of so many messages that told something one has files
PAYLOAD = json.loads((ROOT / "tests/data/twilio-payloads.json").read_text())[0]
TRANSCRIPT = [
    {"role": "user", "text": "What is the code of the gate, and who gave it to me last summer? " * 3},
    {"tool": "search", "arguments": {"query": "code gate"}, "found": list(range(5))},
    {"role": "model", "text": "The code of the gate is 4711, and it is Ana who gave it to you. " * 3},
]

PEOPLE = """
    INSERT INTO accounts_whatsappuser
        (id, whatsapp_id, phone_number, profile_name, timezone, timezone_source, memories_numbered, created_at)
    SELECT id, 'whatsapp:+1202555' || lpad(id::text, 5, '0'), '+1202555' || lpad(id::text, 5, '0'), 'Dana ' || id,
        'America/New_York', 'inferred', memories, now() - interval '1 year' * random()
    FROM unnest(%(sizes)s::int[]) WITH ORDINALITY AS size (memories, id)
"""
# ``first`` is the number of the first of a message's memories, ``told`` how many there are: 1, 2, 3, 1, 2, 3, …
SAID = """
    CREATE TEMP TABLE said AS
    SELECT row_number() OVER (ORDER BY at, user_id) AS id, *
    FROM (
        SELECT user_id, at, random() < 0.1 AS is_direct, (k / 3) * 6 + (array[1, 2, 4])[k %% 3 + 1] AS first,
            least(k %% 3 + 1, memories - (k / 3) * 6 - (array[0, 1, 3])[k %% 3 + 1]) AS told
        FROM (
            SELECT id AS user_id, memories_numbered AS memories, at,
                (row_number() OVER (PARTITION BY id ORDER BY at) - 1)::int AS k
            FROM accounts_whatsappuser,
                LATERAL (
                    SELECT now() - random() * %(days)s * interval '1 day' AS at
                    FROM generate_series(1, memories_numbered / 6 * 3 + (array[0, 1, 2, 2, 3, 3])[memories_numbered %% 6 + 1])
                ) AS moments
        ) AS telling
        UNION ALL
        SELECT id, now() - random() * %(days)s * interval '1 day', false, NULL, 0
        FROM accounts_whatsappuser, generate_series(1, (memories_numbered + 5) / 6)
    ) AS moments
"""  # noqa: E501
MESSAGES = """
    INSERT INTO messaging_rawmessage
        (id, message_sid, user_id, from_address, to_address, body, payload, status, received_at, turn_id)
    SELECT said.id, 'SM' || md5(said.id::text), user_id, whatsapp_id, 'whatsapp:+12025550199', body,
        %(payload)s::jsonb || jsonb_build_object('Body', body, 'MessageSid', 'SM' || md5(said.id::text)),
        CASE WHEN said.id %% 997 = 0 THEN 'received' ELSE 'answered' END, at,
        CASE WHEN said.id %% 997 <> 0 THEN said.id END
    FROM said JOIN accounts_whatsappuser AS person ON person.id = user_id,
        LATERAL (SELECT 'What I say in message ' || said.id || ' is of an ordinary length' AS body) AS words
    WHERE NOT is_direct ORDER BY said.id
"""
TURNS = """
    INSERT INTO messaging_interaction
        (id, raw_message_id, kind, answer, model, transcript, input_tokens, output_tokens, attempts, error, started_at,
        answered_at)
    SELECT id, id, CASE WHEN id %% 499 = 0 THEN 'apology' WHEN told > 0 THEN 'saved' ELSE 'recalled' END,
        'That is how it is, as you have said, and here is the answer to message ' || id, 'a model',
        %(transcript)s::jsonb, 900, 60, 1, '', at + interval '3 s', at + interval '3 s' + random() * interval '4 s'
    FROM said WHERE NOT is_direct AND id %% 997 <> 0 ORDER BY id
"""
PARTS = """
    INSERT INTO messaging_outboundmessage
        (id, interaction_id, user_id, part, to_address, from_address, body, status, twilio_sid, error_code, attempts,
        created_at)
    SELECT gen_random_uuid(), turn.id, user_id, part, from_address, to_address, turn.answer,
        CASE WHEN turn.id %% 200 = 0 THEN 'failed' WHEN turn.id %% 3 = 0 THEN 'read' ELSE 'delivered' END,
        'SM' || md5(turn.id || ' ' || part), CASE WHEN turn.id %% 200 = 0 THEN 63016 END, 1, answered_at
    FROM messaging_interaction AS turn JOIN messaging_rawmessage AS message ON message.id = turn.raw_message_id,
        generate_series(1, CASE WHEN turn.id %% 10 = 0 THEN 2 ELSE 1 END) AS part
    ORDER BY turn.id
"""
MEMORIES = """
    INSERT INTO memories_memory
        (id, user_id, number, raw_message_id, tool_call, mem0_id, identity, text, word_count, type, source, metadata,
        happened_at, event_start, created_at, updated_at)
    SELECT row_number() OVER (ORDER BY said.id, number), user_id, number,
        CASE WHEN NOT is_direct THEN said.id END, CASE WHEN is_direct THEN '' ELSE 'call ' || number END,
        gen_random_uuid(), gen_random_uuid(), 'Memory ' || number || ' says where the keys of the house by the sea are',
        10, CASE WHEN said.id %% 30 = 0 THEN 'file' WHEN said.id %% 7 = 0 THEN 'place' ELSE 'note' END,
        CASE WHEN is_direct THEN 'api' ELSE 'chat' END, CASE WHEN is_direct THEN '{"from": "a program"}' ELSE '{}' END::jsonb,
        at, CASE WHEN said.id %% 33 = 0 THEN at + interval '7 days' END, at, at
    FROM said, generate_series(first, first + told - 1) AS number
"""  # noqa: E501
# The message that corrects is the person's next one that tells nothing.
CORRECTIONS = """
    CREATE TEMP TABLE corrected AS
    SELECT memory.id, question.id AS by, question.at
    FROM memories_memory AS memory,
        LATERAL (
            SELECT id, at FROM said
            WHERE said.user_id = memory.user_id AND told = 0 AND at > memory.happened_at ORDER BY at LIMIT 1
        ) AS question
    WHERE memory.id %% 100 = 0;
    INSERT INTO memories_memoryhistory (memory_id, kind, text, raw_message_id, tool_call, said_at, created_at)
    SELECT memory.id, 'corrected', 'Not so: ' || text, raw_message_id, tool_call, happened_at, at
    FROM corrected JOIN memories_memory AS memory USING (id);
    UPDATE memories_memory AS memory SET corrected_by_id = by, correction_call = 'call ' || memory.id, happened_at = at
    FROM corrected WHERE corrected.id = memory.id;
"""
CITATIONS = """
    INSERT INTO memories_citation (interaction_id, memory_id, rank, score)
    SELECT turn_id, memory_id, row_number() OVER (PARTITION BY turn_id), 0.9
    FROM (
        SELECT DISTINCT said.id AS turn_id, memory.id AS memory_id
        FROM said JOIN accounts_whatsappuser AS person ON person.id = user_id, generate_series(1, 5) AS nth,
            memories_memory AS memory
        WHERE told = 0 AND said.id %% 997 <> 0 AND memory.user_id = said.user_id
            AND memory.number = 1 + (said.id * 31 + nth * 7) %% memories_numbered
    ) AS cited
"""
FILES = """
    CREATE TEMP TABLE sent AS
    SELECT id AS message_id, user_id, at, position, id %% %(files)s * 2 + position + 1 AS file_id
    FROM said, generate_series(0, (id / %(every)s %% 2)::int) AS position
    WHERE told > 0 AND NOT is_direct AND id %% %(every)s = 0;
    INSERT INTO media_mediafile
        (id, file_hash, size, content_type, kind, storage_name, thumbnail_name, stored_at, forwarded_count, facts, text,
        description, language, described_by, described_at, description_error)
    SELECT file_id, encode(sha256(file_id::text::bytea), 'hex'), 200000 + file_id %% 7777, 'image/jpeg', 'picture',
        'ab/' || md5(file_id::text), '', now(), count(*) - 1, '{"width": 1600, "height": 1200}', '',
        'A house by the sea, with a gate and a garden behind it', 'en', 'a model', now(), ''
    FROM sent GROUP BY file_id;
    INSERT INTO media_messagemedia
        (raw_message_id, user_id, position, file_id, file_name, refusal, attempts, sent_at)
    SELECT message_id, user_id, position, file_id, 'house.jpg', '', 1, at FROM sent ORDER BY message_id;
"""
STEPS = {
    "people": PEOPLE,
    "what they said": SAID,
    "messages": MESSAGES,
    "turns": TURNS,
    "parts of answers": PARTS,
    "memories": MEMORIES,
    "corrections": CORRECTIONS,
    "citations": CITATIONS,
    "files": FILES,
}


def make_sizes(*, memories: int, people: int, sizes: tuple[int, ...], seed: int) -> list[int]:
    """How many memories each person has: five of each of ``sizes``, fewer where they would have half of all."""
    fixed = [size for size in sizes for _ in range(min(5, memories // (5 * size // 2)))]
    left, others = memories - sum(fixed), people - len(fixed)
    shares = np.random.default_rng(seed).lognormal(0, 1, others)
    rest = np.maximum(1, np.floor(shares / shares.sum() * left)).astype(int)
    rest[: left - rest.sum()] += 1
    return [*fixed, *rest.tolist()]


def load(database_url: str, sizes: list[int]) -> None:
    """Fill the database; person n of ``sizes`` has the id n + 1 and the number `get_number` says."""
    values: dict[str, Any] = {
        "sizes": sizes,
        "days": DAYS,
        "every": FILES_EVERY,
        "files": max(1, sum(sizes) // 80),
        "payload": json.dumps(PAYLOAD),
        "transcript": json.dumps(TRANSCRIPT),
    }
    started = time.perf_counter()
    with psycopg.connect(database_url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection:
        # No look-up for each key and no trigger for each row; what is written keeps the keys by itself.
        connection.execute("SET session_replication_role = replica")
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET work_mem = '256MB'")
        connection.execute("SELECT setseed(0.5)")
        for name, statement in STEPS.items():
            connection.execute(statement, values)
            if name == "what they said":
                connection.execute("CREATE INDEX ON said (user_id, at) WHERE told = 0")
                connection.execute("ANALYZE said")
            say(f"loaded {name}, {time.perf_counter() - started:.0f} s")
        for table in (
            "accounts_whatsappuser",
            "messaging_rawmessage",
            "messaging_interaction",
            "memories_memory",
        ):
            connection.execute(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
            )
        connection.execute("VACUUM (ANALYZE)")
        connection.execute("CHECKPOINT")
    say(f"vacuumed, {time.perf_counter() - started:.0f} s")


def get_number(person_id: int) -> str:
    """The phone number of a person."""
    return f"+1202555{person_id:05d}"
