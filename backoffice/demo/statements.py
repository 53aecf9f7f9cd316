"""The statements that write one batch of a plan, in the order of the tables' keys; all read ``demo_event``.

Numbers of shapes and engines are those of `demo_events`. What a statement draws comes from ``roll``, so that the same
seed writes the same rows. Nothing here runs triggers but `LINKS` (demo_data.py says why).
"""

from backoffice.demo.events import Engine, Shape

_MODEL = Engine.MODEL

# Temporary: gone with the connection. Phrases, what belongs to them, and the events of the batch.
TABLES = """
    CREATE TEMP TABLE demo_phrase (id int PRIMARY KEY, text text, type text, vector vector(384), word_count int);
    CREATE TEMP TABLE demo_word (phrase int, word text, count smallint);
    CREATE INDEX ON demo_word (phrase);
    CREATE TEMP TABLE demo_place (phrase int PRIMARY KEY, latitude text, longitude text, label text, address text);
    CREATE TEMP TABLE demo_file (
        sample int PRIMARY KEY, file_id bigint, file_name text, content_type text, message_type text
    );
    CREATE TEMP TABLE demo_saying (
        language int PRIMARY KEY, saved text, saved_two text, corrected text, known text, away text
    );
    CREATE TEMP TABLE demo_zone (zone text, language int, question text, PRIMARY KEY (zone, language));
    CREATE TEMP TABLE demo_event (
        shape int8, engine int8, language int8, at timestamptz, message int8, person int8, turn int8, names int8,
        call int8, memory int8, number int8, text int8, said int8, reply int8, target int8, target_number int8,
        before int8, file int8, roll int8, happened_at timestamptz, starts_at timestamptz, ends_at timestamptz,
        asks_zone int8, is_api int8, may_hang int8, sends int8, identity uuid
    ) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE demo_found (
        turn int8, place int, memory int8, number int, text text, happened_at timestamptz, score float8, is_used bool
    ) ON COMMIT DELETE ROWS;
    CREATE INDEX ON demo_found (turn);
    CREATE FUNCTION pg_temp.demo_id(name text) RETURNS uuid LANGUAGE sql IMMUTABLE AS
        $$ SELECT overlay(overlay(md5(name) PLACING '4' FROM 13) PLACING 'a' FROM 17)::uuid $$;
    CREATE FUNCTION pg_temp.demo_day(moment timestamptz, now timestamptz, zone text) RETURNS text LANGUAGE sql STABLE AS
        $$ SELECT CASE (now AT TIME ZONE zone)::date - (moment AT TIME ZONE zone)::date
            WHEN 0 THEN 'Today' WHEN 1 THEN 'Yesterday'
            ELSE to_char(moment AT TIME ZONE zone, 'On FMDay FMDD FMMonth')
                || CASE WHEN date_part('year', now AT TIME ZONE zone) <> date_part('year', moment AT TIME ZONE zone)
                    THEN to_char(moment AT TIME ZONE zone, ' YYYY') ELSE '' END
        END $$;
    CREATE FUNCTION pg_temp.demo_line(words text, longest int) RETURNS text LANGUAGE sql IMMUTABLE AS
        $$ SELECT CASE WHEN length(line) <= longest THEN line ELSE left(line, longest) || ' …' END
            FROM regexp_replace(words, '\\s+', ' ', 'g') AS line $$;
    CREATE FUNCTION pg_temp.demo_step(tokens_in int8, tokens_out int8) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
        $$ SELECT jsonb_build_object('model', jsonb_build_object(
            'ending', 'WHOLE', 'reason', 'STOP', 'tokens', jsonb_build_array(tokens_in, tokens_out))) $$;
    CREATE FUNCTION pg_temp.demo_tool(name text, args jsonb, outcome jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE AS
        $$ SELECT jsonb_build_object('tool', jsonb_build_object('name', name, 'args', args, 'outcome', outcome)) $$;
"""
EVENT_COLUMNS = (
    *(
        "shape",
        "engine",
        "language",
        "at",
        "message",
        "person",
        "turn",
        "names",
        "call",
        "memory",
        "number",
        "text",
    ),
    *(
        "said",
        "reply",
        "target",
        "target_number",
        "before",
        "file",
        "roll",
        "happened_at",
        "starts_at",
        "ends_at",
    ),
    *("asks_zone", "is_api", "may_hang", "sends", "identity"),
)
# 2000-01-01 in a column of demo_event is none.
_NEVER = "'2000-01-01 00:00+00'::timestamptz"

MESSAGES = f"""
    INSERT INTO messaging_rawmessage
        (id, message_sid, user_id, from_address, to_address, body, payload, status, received_at, turn_id)
    SELECT message, sid, person, whatsapp_id, %(sender)s, said.text,
        jsonb_strip_nulls(jsonb_build_object(
            'SmsMessageSid', sid, 'SmsSid', sid, 'MessageSid', sid, 'AccountSid', %(account)s, 'SmsStatus', 'received',
            'ApiVersion', '2010-04-01', 'From', whatsapp_id, 'To', %(sender)s, 'Body', said.text,
            'NumSegments', (length(said.text) / 160 + 1)::text, 'NumMedia', CASE WHEN file > 0 THEN '1' ELSE '0' END,
            'ReferralNumMedia', '0', 'ProfileName', nullif(profile_name, ''), 'WaId', ltrim(phone_number, '+'),
            'ExternalUserId', CASE WHEN phone_number IS NULL THEN whatsapp_id END,
            'MessageType', CASE WHEN file > 0 THEN message_type ELSE CASE shape WHEN {Shape.PLACE} THEN 'location'
                WHEN {Shape.REACTION} THEN 'reaction' WHEN {Shape.UNREADABLE} THEN 'unsupported' ELSE 'text' END END,
            'ChannelMetadata', jsonb_build_object('type', 'whatsapp', 'data', jsonb_build_object('context',
                jsonb_strip_nulls(jsonb_build_object(
                    'ProfileName', nullif(profile_name, ''), 'WaId', ltrim(phone_number, '+')))))::text,
            'Latitude', latitude, 'Longitude', longitude, 'Label', label, 'Address', address,
            'OptOutType', CASE shape WHEN {Shape.STOP} THEN 'STOP' END,
            'MediaContentType0', content_type,
            'MediaUrl0', 'https://api.twilio.com/2010-04-01/Accounts/' || %(account)s || '/Messages/' || sid
                || '/Media/ME' || md5(sid || file_name)
        )),
        CASE WHEN shape = {Shape.OPEN} THEN 'received' WHEN shape >= {Shape.REACTION} THEN 'ignored'
            ELSE 'answered' END,
        at, nullif(turn, 0)
    FROM demo_event
        JOIN accounts_whatsappuser AS who ON who.id = person
        JOIN demo_phrase AS said ON said.id = said
        LEFT JOIN demo_place ON demo_place.phrase = demo_event.text AND shape = {Shape.PLACE}
        LEFT JOIN demo_file ON sample = file AND file > 0,
        LATERAL (
            SELECT CASE WHEN file > 0 THEN 'MM' ELSE 'SM' END || md5(%(seed)s || ' message ' || message) AS sid
        ) AS named
    WHERE message > 0 ORDER BY message
"""
MEMORIES = f"""
    INSERT INTO memories_memory
        (id, user_id, number, identity, raw_message_id, tool_call, mem0_id, text, word_count, type, source, happened_at,
        event_start, event_end, metadata, created_at, updated_at)
    SELECT memory, person, number, identity, nullif(message, 0),
        CASE shape WHEN {Shape.DIRECT} THEN '' WHEN {Shape.FILE} THEN 'media.0' WHEN {Shape.PLACE} THEN 'place'
            ELSE CASE engine WHEN {_MODEL} THEN '1.' || call ELSE 'recall' END END,
        pg_temp.demo_id(%(seed)s || ' entry ' || memory), phrase.text, phrase.word_count, phrase.type,
        CASE WHEN is_api > 0 THEN 'api' WHEN shape = {Shape.DIRECT} THEN 'import' ELSE 'chat' END,
        happened_at, nullif(starts_at, {_NEVER}), nullif(ends_at, {_NEVER}),
        CASE WHEN is_api > 0 THEN '{{"from": "a calendar"}}' ELSE '{{}}' END::jsonb, written_at, written_at
    FROM demo_event JOIN demo_phrase AS phrase ON phrase.id = demo_event.text,
        LATERAL (SELECT at + CASE WHEN message > 0 THEN interval '4 s' ELSE interval '0' END AS written_at) AS moment
    WHERE memory > 0 ORDER BY memory
"""
WORDS = """
    INSERT INTO memories_memoryword (user_id, word, memory_id, count, word_count)
    SELECT person, word, memory, count, word_count
    FROM demo_event JOIN demo_word ON demo_word.phrase = demo_event.text
        JOIN demo_phrase ON demo_phrase.id = demo_event.text
    WHERE memory > 0 ORDER BY person, word, memory
"""
_ISO = "to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"+00:00\"')"
_SAYS = f"""
    'ts', floor(extract(epoch FROM memory.happened_at))::int8,
    'event_start', floor(extract(epoch FROM memory.event_start))::int8,
    'event_end', coalesce(
        ceil(extract(epoch FROM memory.event_end))::int8, floor(extract(epoch FROM memory.event_start))::int8 + 1),
    'data', memory.text, 'hash', md5(memory.text), 'text_lemmatized', memory.text,
    'updated_at', {_ISO.format("memory.updated_at")}
"""
ENTRIES = f"""
    INSERT INTO mem0_local (id, vector, payload)
    SELECT mem0_id, vector, jsonb_build_object(
        'key', CASE WHEN message > 0 THEN 'message:' || message || ':' || tool_call
            ELSE 'direct:' || person || ':' || memory.identity END,
        'user_id', person::text, 'role', 'user', 'created_at', {_ISO.format("memory.created_at")}, {_SAYS}
    )
    FROM demo_event
        JOIN memories_memory AS memory ON memory.id = demo_event.memory
        JOIN demo_phrase AS phrase ON phrase.id = demo_event.text
    WHERE demo_event.memory > 0 AND memory.id >= %(first_memory)s ORDER BY demo_event.memory
"""
CORRECTIONS = f"""
    INSERT INTO memories_memoryhistory
        (memory_id, kind, text, raw_message_id, tool_call, said_at, event_start, event_end, created_at)
    SELECT memory.id, 'corrected', memory.text, raw_message_id, tool_call, memory.happened_at, event_start, event_end,
        at + interval '5 s'
    FROM demo_event JOIN memories_memory AS memory ON memory.id = target
    WHERE shape = {Shape.CORRECTED} ORDER BY at;
    UPDATE memories_memory AS memory
    SET text = phrase.text, word_count = phrase.word_count, happened_at = at, corrected_by_id = message,
        correction_call = '2.1', identity = demo_event.identity, updated_at = at + interval '5 s'
    FROM demo_event JOIN demo_phrase AS phrase ON phrase.id = demo_event.text
    WHERE shape = {Shape.CORRECTED} AND memory.id = target;
    DELETE FROM memories_memoryword USING demo_event WHERE shape = {Shape.CORRECTED} AND memory_id = target;
    INSERT INTO memories_memoryword (user_id, word, memory_id, count, word_count)
    SELECT person, word, target, count, word_count
    FROM demo_event JOIN demo_word ON demo_word.phrase = demo_event.text
        JOIN demo_phrase ON demo_phrase.id = demo_event.text
    WHERE shape = {Shape.CORRECTED} ORDER BY person, word;
    UPDATE mem0_local SET vector = phrase.vector, payload = payload || jsonb_build_object({_SAYS})
    FROM demo_event JOIN memories_memory AS memory ON memory.id = target
        JOIN demo_phrase AS phrase ON phrase.id = demo_event.text
    WHERE shape = {Shape.CORRECTED} AND mem0_local.id = mem0_id
"""
REPEATS = f"""
    INSERT INTO memories_memoryhistory (memory_id, kind, text, raw_message_id, tool_call, said_at, created_at)
    SELECT memory.id, 'repeated', memory.text, message,
        CASE WHEN shape = {Shape.FILE_AGAIN} THEN 'media.0' WHEN engine = {_MODEL} THEN '1.1' ELSE 'recall' END,
        at, at + interval '4 s'
    FROM demo_event JOIN memories_memory AS memory ON memory.id = target
    WHERE shape IN ({Shape.AGAIN}, {Shape.FILE_AGAIN}) ORDER BY at
"""
LINKS = """
    INSERT INTO media_messagemedia (raw_message_id, user_id, position, file_id, file_name, refusal, attempts, sent_at)
    SELECT message, person, 0, file_id, file_name, '', 0, at FROM demo_event JOIN demo_file ON sample = file
    WHERE file > 0 ORDER BY message
"""
# What a question or /search finds: the memory that is asked for first, then those numbered behind it.
FOUND = f"""
    INSERT INTO demo_found
    SELECT turn, place, memory.id, memory.number, memory.text, memory.happened_at,
        round((1 / (1 + 0.35 * place + 0.0003 * (roll %% 1000)))::numeric, 4),
        shape = {Shape.LISTED} OR place < CASE WHEN roll %% 7 = 0 THEN 2 ELSE 1 END
    FROM demo_event,
        generate_series(0, least(before, 5) - 1) AS place,
        LATERAL (
            SELECT CASE WHEN shape = {Shape.RECALLED} THEN target_number - 1 ELSE roll %% before END AS start
        ) AS begins
        JOIN LATERAL (
            SELECT * FROM memories_memory WHERE user_id = person AND number = (start + place) %% before + 1
        ) AS memory ON true
    WHERE shape IN ({Shape.RECALLED}, {Shape.LISTED}) AND before > 0
"""
CITATIONS = f"""
    INSERT INTO memories_citation (interaction_id, memory_id, rank, score)
    SELECT turn, memory, place + 1, score FROM demo_found WHERE is_used
    UNION ALL SELECT turn, target, 1, 1 FROM demo_event WHERE shape = {Shape.AGAIN} AND engine = {_MODEL}
    ORDER BY 1, 3
"""
# What people have done is what is there, where their rows say already what they would have done.
SETTLE = """
    UPDATE accounts_whatsappuser AS who
    SET memories_numbered = (SELECT coalesce(max(number), 0) FROM memories_memory WHERE user_id = who.id),
        last_inbound_at = last_at,
        timezone_asked_at = CASE WHEN timezone_asked_at <= last_at + interval '1 minute' THEN timezone_asked_at END,
        opted_out_at = CASE WHEN opted_out_at <= last_at THEN opted_out_at END
    FROM (
        SELECT user_id, max(received_at) AS last_at FROM messaging_rawmessage
        WHERE user_id BETWEEN %(first)s AND %(last)s GROUP BY user_id
    ) AS said
    WHERE who.id = said.user_id
"""
