"""The database refuses what must never be, whoever asks: each constraint is attacked with raw SQL."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

pytestmark = pytest.mark.django_db


def execute(sql: str, *parameters: Any) -> Any:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone()[0] if cursor.description else None


def insert(table: str, **values: Any) -> Any:
    columns = ", ".join(values)
    marks = ", ".join(["%s"] * len(values))
    return execute(f"INSERT INTO {table} ({columns}) VALUES ({marks}) RETURNING id", *values.values())


def a_user(**values: Any) -> int:
    return insert(
        "accounts_whatsappuser",
        **{"whatsapp_id": f"whatsapp:{uuid.uuid4()}", "profile_name": "", "timezone": "UTC"} | values,
    )


def a_raw_message(**values: Any) -> int:
    defaults = {
        "message_sid": uuid.uuid4().hex,
        "from_address": "a",
        "to_address": "b",
        "body": "",
        "payload": "{}",
    }
    return insert(
        "messaging_rawmessage", **{"user_id": values.pop("user_id", None) or a_user()} | defaults | values
    )


def an_interaction(**values: Any) -> int:
    defaults = {"kind": "", "answer": "", "model": "", "transcript": "[]", "attempts": 1, "error": ""}
    return insert(
        "messaging_interaction",
        **{"raw_message_id": values.pop("raw_message_id", None) or a_raw_message()} | defaults | values,
    )


def an_outbound(**values: Any) -> Any:
    defaults = {"part": 1, "to_address": "a", "from_address": "b", "body": "Hello", "status": "pending"}
    return insert(
        "messaging_outboundmessage",
        id=uuid.uuid4(),
        **{
            "interaction_id": values.pop("interaction_id", None) or an_interaction(),
            "user_id": values.pop("user_id", None) or a_user(),
        }
        | defaults
        | values,
    )


def a_memory(**values: Any) -> int:
    defaults = {
        "number": 1,
        "tool_call": "recall",
        "mem0_id": uuid.uuid4(),
        "text": "milk",
        "type": "note",
        "source": "chat",
        "happened_at": "2026-06-03T10:00:00Z",
        "updated_at": "2026-06-03T10:00:00Z",
    }
    if "raw_message_id" not in values:
        values["raw_message_id"] = a_raw_message()
    return insert(
        "memories_memory", **{"user_id": values.pop("user_id", None) or a_user()} | defaults | values
    )


def refused(constraint: str, attempt: Callable[[], Any]) -> None:
    with pytest.raises(IntegrityError, match=constraint):
        attempt()


def test_two_users_cannot_share_an_address() -> None:
    a_user(whatsapp_id="whatsapp:+12025550123")
    refused("accounts_whatsappuser_whatsapp_id", lambda: a_user(whatsapp_id="whatsapp:+12025550123"))


def test_two_users_cannot_share_a_number_or_a_business_scoped_id() -> None:
    a_user(phone_number="+12025550123", business_scoped_id="US.1")
    refused("phone_number", lambda: a_user(phone_number="+12025550123"))
    refused("business_scoped_id", lambda: a_user(business_scoped_id="US.1"))


def test_many_users_may_hide_their_number() -> None:
    a_user(phone_number=None)
    a_user(phone_number=None)


def test_a_user_without_an_address_is_refused() -> None:
    refused("whatsapp_user_has_an_address", lambda: a_user(whatsapp_id=""))


@pytest.mark.parametrize("number", ["12025550123", "+0123456", "+1 202", "phone:+1202555", ""])
def test_a_number_that_is_not_e164_is_refused(number: str) -> None:
    refused("whatsapp_user_phone_is_e164", lambda: a_user(phone_number=number))


@pytest.mark.parametrize(
    "zone", ["Mars/Olympus", "", "EST5EDT", "+5:30", "Foo+3", "europe/madrid; drop table x"]
)
def test_a_time_zone_that_is_no_place_is_refused(zone: str) -> None:
    with pytest.raises(Exception, match=r"whatsapp_user_timezone_is_known|time zone"):
        a_user(timezone=zone)


@pytest.mark.parametrize("zone", ["UTC", "Europe/Madrid", "America/Argentina/Buenos_Aires", "Asia/Kathmandu"])
def test_a_time_zone_that_is_a_place_is_taken(zone: str) -> None:
    a_user(timezone=zone)


def test_an_unknown_source_of_the_time_zone_is_refused() -> None:
    refused("whatsapp_user_timezone_source_known", lambda: a_user(timezone_source="dream"))


def test_one_sid_is_one_raw_message() -> None:
    a_raw_message(message_sid="SM1")
    refused("messaging_rawmessage_message_sid", lambda: a_raw_message(message_sid="SM1"))


def test_a_raw_message_needs_a_sid_a_user_and_a_known_status() -> None:
    refused("raw_message_has_a_sid", lambda: a_raw_message(message_sid=""))
    refused("raw_message_status_known", lambda: a_raw_message(status="lost"))
    with pytest.raises(IntegrityError, match="user_id"):
        execute(
            "INSERT INTO messaging_rawmessage (message_sid, from_address, to_address, body, payload)"
            " VALUES ('SM2', 'a', 'b', '', '{}')"
        )


def test_a_raw_message_is_answered_by_one_interaction() -> None:
    raw = a_raw_message()
    an_interaction(raw_message_id=raw)
    refused("raw_message_id", lambda: an_interaction(raw_message_id=raw))


def test_an_answered_interaction_has_an_answer() -> None:
    refused(
        "interaction_answered_means_answer",
        lambda: an_interaction(answered_at="2999-01-01T00:00:00Z", answer="", kind="saved"),
    )
    refused(
        "interaction_answered_means_answer",
        lambda: an_interaction(answered_at="2999-01-01T00:00:00Z", answer="Saved", kind=""),
    )


def test_an_interaction_is_not_answered_before_it_starts() -> None:
    refused(
        "interaction_answered_after_start",
        lambda: an_interaction(answered_at="1999-01-01T00:00:00Z", answer="Saved", kind="saved"),
    )


def test_a_part_of_an_answer_exists_once() -> None:
    interaction = an_interaction()
    an_outbound(interaction_id=interaction)
    an_outbound(interaction_id=interaction, part=2)
    refused("outbound_one_row_per_part", lambda: an_outbound(interaction_id=interaction))


def test_two_outbound_messages_cannot_be_the_same_twilio_message() -> None:
    an_outbound(status="sent", twilio_sid="SM1")
    refused("twilio_sid", lambda: an_outbound(status="sent", twilio_sid="SM1"))


@pytest.mark.parametrize("status", ["sent", "delivered", "read"])
def test_a_sent_message_has_a_sid(status: str) -> None:
    refused("outbound_sent_means_sid", lambda: an_outbound(status=status))


def test_an_outbound_message_fits_whatsapp() -> None:
    an_outbound(body="x" * 1600)
    refused("outbound_body_fits", lambda: an_outbound(body="x" * 1601))
    refused("outbound_body_fits", lambda: an_outbound(body=""))


def test_other_lies_about_outbound_messages_are_refused() -> None:
    refused("outbound_status_known", lambda: an_outbound(status="gone", twilio_sid="SM1"))
    refused("outbound_part_from_one", lambda: an_outbound(part=0))
    refused("outbound_sending_since", lambda: an_outbound(status="sending"))


def test_a_delivery_event_is_kept_once() -> None:
    insert("messaging_deliveryevent", twilio_sid="SM1", status="sent")
    refused("delivery_event_once", lambda: insert("messaging_deliveryevent", twilio_sid="SM1", status="sent"))
    refused(
        "delivery_event_has_a_sid", lambda: insert("messaging_deliveryevent", twilio_sid="", status="sent")
    )


def test_a_mem0_entry_belongs_to_one_memory() -> None:
    entry = uuid.uuid4()
    a_memory(mem0_id=entry)
    refused("mem0_id", lambda: a_memory(mem0_id=entry))


def test_a_tool_call_of_a_message_stores_one_memory() -> None:
    raw = a_raw_message()
    a_memory(raw_message_id=raw)
    a_memory(raw_message_id=raw, tool_call="recall:2", number=2)
    refused("memory_once_per_tool_call", lambda: a_memory(raw_message_id=raw, number=3))


def test_a_memory_number_is_given_once() -> None:
    user = a_user()
    a_memory(user_id=user, number=7)
    refused("memory_number_once_per_user", lambda: a_memory(user_id=user, number=7))


def test_a_memory_needs_text_an_owner_and_an_origin() -> None:
    refused("memory_has_text", lambda: a_memory(text=""))
    refused("memory_from_chat_has_a_message", lambda: a_memory(raw_message_id=None, tool_call=""))
    refused("memory_from_chat_has_a_message", lambda: a_memory(source="api"))
    a_memory(raw_message_id=None, tool_call="", source="api")


def test_an_event_ends_after_it_starts() -> None:
    start, end = "2026-06-03T10:00:00Z", "2026-06-03T11:00:00Z"
    a_memory(event_start=start, event_end=end)
    a_memory(event_start=start)
    refused("memory_event_is_a_range", lambda: a_memory(event_start=end, event_end=start))
    refused("memory_event_is_a_range", lambda: a_memory(event_end=end))


def test_an_answer_cites_a_memory_once_per_rank() -> None:
    interaction, memory, other = an_interaction(), a_memory(), a_memory()
    insert("memories_citation", interaction_id=interaction, memory_id=memory, rank=1, score=0.9)
    refused(
        "citation_once",
        lambda: insert("memories_citation", interaction_id=interaction, memory_id=memory, rank=2, score=0.9),
    )
    refused(
        "citation_rank_once",
        lambda: insert("memories_citation", interaction_id=interaction, memory_id=other, rank=1, score=0.9),
    )
    refused(
        "citation_rank_from_one",
        lambda: insert("memories_citation", interaction_id=interaction, memory_id=other, rank=0, score=0.9),
    )


def test_one_key_is_one_mem0_entry_of_a_person() -> None:
    vector = "[" + ",".join(["0"] * 384) + "]"
    sql = "INSERT INTO mem0_local (id, vector, payload) VALUES (%s, %s, %s)"
    payload = '{"user_id": "1", "key": "message:1:recall"}'
    execute(sql, uuid.uuid4(), vector, payload)
    execute(sql, uuid.uuid4(), vector, payload.replace('"1"', '"2"'))
    refused("mem0_local_key", lambda: execute(sql, uuid.uuid4(), vector, payload))


def test_the_same_thing_said_twice_is_one_memory_of_a_person() -> None:
    person, identity = a_user(), uuid.uuid4()
    a_memory(user_id=person, identity=identity)
    a_memory(identity=identity)
    refused("memory_once_per_identity", lambda: a_memory(user_id=person, identity=identity, number=2))


def test_a_tool_call_corrects_once() -> None:
    correction = {"corrected_by_id": a_raw_message(), "correction_call": "1"}
    a_memory(**correction)
    refused("memory_corrected_once_per_tool_call", lambda: a_memory(**correction))


def test_a_tool_call_repeats_once_and_history_says_something_of_a_known_kind() -> None:
    entry = {
        "memory_id": a_memory(),
        "kind": "repeated",
        "text": "milk",
        "raw_message_id": a_raw_message(),
        "tool_call": "1",
        "said_at": "2026-06-03T10:00:00Z",
    }
    insert("memories_memoryhistory", **entry)
    refused("memory_repeated_once_per_tool_call", lambda: insert("memories_memoryhistory", **entry))
    entry["raw_message_id"] = None
    refused("memory_history_has_text", lambda: insert("memories_memoryhistory", **entry | {"text": ""}))
    refused(
        "memory_history_kind_known", lambda: insert("memories_memoryhistory", **entry | {"kind": "other"})
    )


def test_a_memory_has_a_word_once() -> None:
    sql = "INSERT INTO memories_memoryword (user_id, word, memory_id, count, word_count) VALUES (%s, 'milk', %s, 1, 1)"
    memory = a_memory()
    execute(sql, 1, memory)
    refused("memories_memoryword_pkey", lambda: execute(sql, 1, memory))


def test_what_goes_out_is_the_bots_or_of_staff() -> None:
    user = a_user()
    an_outbound(user_id=user)
    refused("outbound_by_bot_or_staff", lambda: an_outbound(user_id=user, written_by="sam"))
