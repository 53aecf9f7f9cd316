"""The statements that write what made-up people were answered: turns with what the model did, parts, and their fate.

See `backoffice.demo.statements` for the tables they read.
"""

from backoffice.demo.events import COMMANDS, Engine, Shape

_MODEL, _AWAY = Engine.MODEL, Engine.AWAY
_SAVED = ", ".join(
    str(int(shape))
    for shape in (
        *(Shape.SAID, Shape.VOICE, Shape.FILE, Shape.PLACE),
        *(Shape.AGAIN, Shape.FILE_AGAIN, Shape.CORRECTED),
    )
)
_LOOKS_UP = f"{Shape.SAID}, {Shape.VOICE}, {Shape.AGAIN}, {Shape.CORRECTED}, {Shape.RECALLED}, {Shape.MISSED}"
_COMMANDS = ", ".join(str(int(shape)) for shape in COMMANDS)

# As messaging/assistant_reply.py, messaging/recall.py and the commands put it; ``first`` is the other one of a burst.
_TEXT = f"""
    CASE
        WHEN shape IN ({Shape.SAID}, {Shape.VOICE}) AND engine <> {_MODEL} THEN
            concat_ws(E'\\n', 'Saved as #' || first.number || '. Ask me about it any time.',
                'Saved as #' || event.number || '. Ask me about it any time.')
        WHEN shape IN ({Shape.FILE}, {Shape.PLACE}) AND engine <> {_MODEL} THEN 'Saved as #' || event.number || '.'
        WHEN shape <= {Shape.PLACE} THEN reply || E'\\n\\n' || CASE WHEN first.number IS NULL
            THEN replace(saved, '#11111', '#' || event.number)
            ELSE replace(replace(saved_two, '#11111', '#' || first.number), '#22222', '#' || event.number) END
        WHEN shape = {Shape.AGAIN} AND engine = {_MODEL} THEN
            replace(replace(known, '11111', target_number::text), '22222', pg_temp.demo_line(event.said, 80))
        WHEN shape = {Shape.AGAIN} THEN
            'I know that already: #' || target_number || ' “' || pg_temp.demo_line(event.said, 160) || '”'
        WHEN shape = {Shape.FILE_AGAIN} THEN reply || E'\\n\\nYou sent this before. [#' || target_number || ']'
        WHEN shape = {Shape.CORRECTED} THEN reply || E'\\n\\n' || replace(corrected, '11111', target_number::text)
        WHEN shape = {Shape.RECALLED} AND engine = {_MODEL} THEN reply || ' ' || (
            SELECT string_agg(pg_temp.demo_line(found.text, 300) || ' [#' || found.number || ']', E'\\n' ORDER BY place)
            FROM demo_found AS found WHERE found.turn = event.turn AND is_used)
        WHEN shape = {Shape.RECALLED} THEN (
            SELECT string_agg(
                CASE place WHEN 0 THEN day ELSE 'Also, ' || lower(left(day, 1)) || substr(day, 2) END
                    || ' you told me: "' || pg_temp.demo_line(found.text, 400) || '"', E'\\n' ORDER BY place)
            FROM demo_found AS found, pg_temp.demo_day(found.happened_at, at, timezone) AS day
            WHERE found.turn = event.turn AND is_used)
        WHEN shape = {Shape.MISSED} AND before = 0 AND engine <> {_MODEL} THEN %(nothing_saved)s
        WHEN shape = {Shape.MISSED} AND engine <> {_MODEL} THEN 'I found nothing about that in what you told me.'
        WHEN shape = {Shape.LISTED} THEN coalesce((
            SELECT string_agg('#' || found.number || ' · ' || pg_temp.demo_day(found.happened_at, at, timezone) || ': '
                || pg_temp.demo_line(found.text, 160), E'\\n' ORDER BY place)
            FROM demo_found AS found WHERE found.turn = event.turn), 'I remember nothing yet. Tell me something!')
        WHEN shape = {Shape.HELP} THEN %(help)s
        WHEN shape = {Shape.ZONE} THEN 'Your time zone is ' || replace(split_part(timezone, '/', -1), '_', ' ')
            || ': it is ' || to_char(at AT TIME ZONE timezone, 'HH24:MI on FMDay') || ' there. '
            || (%(known_by)s::jsonb ->> timezone_source) || %(zone_examples)s
        WHEN shape = {Shape.UNREADABLE} THEN %(unreadable)s
        WHEN shape = {Shape.APOLOGY} THEN %(apology)s
        WHEN shape = {Shape.GREETING} AND engine <> {_MODEL} THEN %(greeting)s
        ELSE reply
    END
    || CASE WHEN engine = {_AWAY} THEN E'\\n\\n' || away ELSE '' END
    || CASE WHEN asks_zone > 0 THEN E'\\n\\n'
        || replace(question, '12:34', to_char(at AT TIME ZONE timezone, 'HH24:MI')) ELSE '' END
"""
# What messaging/journal.py keeps of an answered turn.
_TOOLS = f"""
    CASE
        WHEN shape IN ({Shape.SAID}, {Shape.VOICE}, {Shape.AGAIN}) THEN jsonb_build_array(
            pg_temp.demo_tool('store_memory',
                jsonb_strip_nulls(jsonb_build_object('content', content, 'type', event.content_type, 'event_start',
                    CASE WHEN starts_at > '2000-01-02'
                        THEN to_char(starts_at AT TIME ZONE timezone, 'YYYY-MM-DD"T"HH24:MI') END)),
                CASE WHEN shape = {Shape.AGAIN}
                    THEN jsonb_build_object('known', jsonb_build_array(target_number, event.said))
                    ELSE jsonb_build_object('saved', event.number) END))
        WHEN shape = {Shape.CORRECTED} THEN jsonb_build_array(
            pg_temp.demo_tool('search_memories', jsonb_build_object('query', content),
                jsonb_build_object('found', jsonb_build_array(jsonb_build_array(target, target_number, 1.0)))),
            pg_temp.demo_step(first_in + 150, 34),
            pg_temp.demo_tool('update_memory', jsonb_build_object('number', target_number, 'content', content),
                jsonb_build_object('corrected', target_number)))
        WHEN shape IN ({Shape.RECALLED}, {Shape.MISSED}) THEN jsonb_build_array(
            pg_temp.demo_tool('search_memories', jsonb_build_object('query', event.said),
                jsonb_build_object('found', coalesce((
                SELECT jsonb_agg(jsonb_build_array(found.memory, found.number, found.score) ORDER BY place)
                FROM demo_found AS found WHERE found.turn = event.turn), '[]'))))
    END
"""
_TRANSCRIPT = f"""
    CASE engine
        WHEN {_AWAY} THEN jsonb_build_array(jsonb_build_object('model', jsonb_build_object(
            'ending', 'AWAY', 'reason', 'TransientProviderError', 'tokens', jsonb_build_array(0, 0))))
        WHEN {_MODEL} THEN CASE WHEN has_tools THEN pg_temp.demo_step(first_in, 30)
            || CASE WHEN first.number IS NULL THEN '[]' ELSE jsonb_build_array(pg_temp.demo_tool('store_memory',
                jsonb_build_object('content', first.said, 'type', first.content_type),
                jsonb_build_object('saved', first.number))) END
            || {_TOOLS} ELSE '[]' END || pg_temp.demo_step(last_in, last_out)
        ELSE '[]'
    END
"""
TURNS = f"""
    WITH event AS (
        SELECT shape, engine, demo_event.language, at, message, turn, names, number, target, target_number, before,
            roll, starts_at, asks_zone, timezone, timezone_source, said.text AS said, reply.text AS reply,
            phrase.text AS content, phrase.type AS content_type
        FROM demo_event
            JOIN demo_phrase AS said ON said.id = demo_event.said
            JOIN demo_phrase AS reply ON reply.id = demo_event.reply
            JOIN demo_phrase AS phrase ON phrase.id = demo_event.text
            JOIN accounts_whatsappuser AS who ON who.id = person
        WHERE turn > 0
    )
    INSERT INTO messaging_interaction
        (id, raw_message_id, kind, answer, model, transcript, input_tokens, output_tokens, attempts, error, started_at,
        answered_at)
    SELECT turn, message,
        CASE WHEN shape IN ({_SAVED}) THEN 'saved' WHEN shape IN ({_COMMANDS}) THEN 'command' ELSE CASE shape
            WHEN {Shape.RECALLED} THEN 'recalled' WHEN {Shape.MISSED} THEN 'missed'
            WHEN {Shape.GREETING} THEN 'small_talk' WHEN {Shape.UNREADABLE} THEN 'unreadable'
            WHEN {Shape.APOLOGY} THEN 'apology' ELSE '' END END,
        CASE WHEN shape = {Shape.OPEN} THEN '' ELSE {{text}} END,
        CASE WHEN engine = {_MODEL} AND shape <> {Shape.OPEN} THEN %(model)s ELSE '' END,
        CASE WHEN shape = {Shape.OPEN} THEN '[]' ELSE {{transcript}} END,
        CASE engine WHEN {_MODEL} THEN CASE WHEN has_tools THEN first_in ELSE 0 END + last_in
            + CASE WHEN shape = {Shape.CORRECTED} THEN first_in + 150 ELSE 0 END WHEN {_AWAY} THEN 0 END,
        CASE engine WHEN {_MODEL} THEN CASE WHEN has_tools THEN 30 ELSE 0 END + last_out
            + CASE WHEN shape = {Shape.CORRECTED} THEN 34 ELSE 0 END WHEN {_AWAY} THEN 0 END,
        CASE WHEN shape = {Shape.APOLOGY} THEN 6 WHEN has_failed THEN 2 ELSE 1 END,
        CASE WHEN has_failed
            THEN (ARRAY['TransientProviderError', 'OperationalError', 'UnknownOutcome'])[roll / 300 %% 3 + 1]
            ELSE '' END,
        at + interval '3 s', CASE WHEN shape <> {Shape.OPEN} THEN at + interval '3 s' + took END
    FROM event
        LEFT JOIN (SELECT turn, number, said, content_type FROM event WHERE names = 0) AS first USING (turn)
        JOIN demo_saying USING (language)
        LEFT JOIN demo_zone ON demo_zone.zone = timezone AND demo_zone.language = event.language AND asks_zone > 0,
        LATERAL (
            SELECT 1400 + roll %% 900 AS first_in, 1650 + roll / 7 %% 1100 AS last_in, 18 + roll / 11 %% 60 AS last_out,
                shape IN ({_LOOKS_UP}) AS has_tools,
                shape IN ({Shape.APOLOGY}, {Shape.OPEN}) OR roll %% 300 = 0 AS has_failed,
                interval '1 s' * CASE WHEN shape = {Shape.APOLOGY} THEN 24
                    WHEN engine = {_MODEL} THEN 1.2 + 9 * power(roll / 13 %% 1000 / 1000.0, 5)
                    ELSE 0.1 + roll / 13 %% 1000 / 2000.0 END AS took
        ) AS cost
    WHERE names > 0 ORDER BY turn
"""
# Shares of a thousand: failed, sent and no more heard of, delivered; the others are read.
_FAILED, _SENT, _DELIVERED = 36, 60, 600
# Outside the window, opted out of marketing, blocked, unknown, too many, stopped, refused: what support is asked about.
_CODES = "ARRAY[63016, 63024, 63024, 63003, 30008, 30008, 63018, 63049, 21610, 63013]"
PARTS = f"""
    WITH part AS (
        SELECT turn.id AS turn, person, whatsapp_id, part, answered_at, may_hang,
            CASE part WHEN 1 THEN turn.answer WHEN 2 THEN
                CASE WHEN file.kind = 'picture' THEN 'Picture, '
                    || to_char(sent_at AT TIME ZONE timezone, 'FMDay, FMDD FMMonth, HH24:MI') ELSE '' END END AS body,
            CASE part WHEN 2 THEN link.id END AS media, roll / (17 + part) AS roll
        FROM demo_event AS event
            JOIN messaging_interaction AS turn ON turn.id = event.turn
            JOIN accounts_whatsappuser AS who ON who.id = person
            LEFT JOIN media_messagemedia AS link ON link.raw_message_id = sends AND sends > 0 AND link.position = 0
            LEFT JOIN media_mediafile AS file ON file.id = file_id,
            unnest(CASE WHEN file.id IS NULL THEN ARRAY[1] ELSE ARRAY[1, 2] END) AS part
        WHERE names > 0 AND answered_at IS NOT NULL AND turn.id >= %(first_turn)s
    ), fate AS (
        SELECT part.*, CASE WHEN may_hang > 0 AND roll %% 400 < 2 THEN (ARRAY['pending', 'sending'])[roll %% 400 + 1]
            WHEN roll / 400 %% 1000 < {_FAILED} THEN 'failed' WHEN roll / 400 %% 1000 < {_SENT} THEN 'sent'
            WHEN roll / 400 %% 1000 < {_DELIVERED} THEN 'delivered' ELSE 'read' END AS status,
            ({_CODES})[roll / 400000 %% 10 + 1] AS code,
            answered_at + interval '0.6 s' + interval '1 ms' * (roll / 400000 %% 900) AS sent,
            interval '1 s' + interval '1 ms' * (roll / 400000 %% 4000) AS until_delivered,
            interval '20 s' * exp(roll / 400000 %% 700 / 100.0) AS until_read
        FROM part
    ), known AS (
        -- What is refused by ourselves has no SID: the window is over before anything is sent.
        SELECT *, status IN ('pending', 'sending') OR status = 'failed' AND code = 63016 AS is_ours,
            least(sent + until_delivered + until_read, %(end)s) AS read FROM fate
    ), parts AS (
        INSERT INTO messaging_outboundmessage
            (id, interaction_id, user_id, part, to_address, from_address, body, media_id, has_media, status, twilio_sid,
            error_code, attempts, attempted_at, created_at, sent_at, delivered_at, read_at)
        SELECT pg_temp.demo_id(%(seed)s || ' part ' || turn || ' ' || part), turn, person, part, whatsapp_id,
            %(sender)s, body, media, media IS NOT NULL, status,
            CASE WHEN NOT is_ours THEN CASE WHEN media IS NULL THEN 'SM' ELSE 'MM' END
                || md5(%(seed)s || ' part ' || turn || ' ' || part) END,
            CASE WHEN status = 'failed' THEN code END,
            CASE WHEN status = 'sending' THEN 1 WHEN is_ours THEN 0 WHEN status = 'failed' AND code IN (30008, 63018)
                THEN 8 WHEN roll / 3 %% 400 = 0 THEN 2 ELSE 1 END,
            CASE WHEN status = 'sending' OR NOT is_ours THEN answered_at + interval '0.2 s' END, answered_at,
            CASE WHEN NOT is_ours THEN sent END,
            CASE WHEN status IN ('delivered', 'read') THEN sent + until_delivered END,
            CASE WHEN status = 'read' THEN greatest(read, sent + until_delivered) END
        FROM known ORDER BY turn, part
        RETURNING *
    )
    INSERT INTO messaging_deliveryevent (twilio_sid, status, outbound_message_id, error_code, received_at)
    SELECT twilio_sid, word, id, CASE WHEN word = 'undelivered' THEN error_code END, heard_at
    FROM parts,
        LATERAL (VALUES ('sent', sent_at + interval '0.3 s'), ('delivered', delivered_at), ('read', read_at),
            ('undelivered', CASE WHEN status = 'failed' THEN sent_at + interval '2 s' END)) AS heard (word, heard_at)
    WHERE twilio_sid IS NOT NULL AND heard_at IS NOT NULL
"""
TURNS = TURNS.format(text=_TEXT, transcript=_TRANSCRIPT)
