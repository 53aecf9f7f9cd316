"""A talk with a language model that can be made to obey, for tests/messaging/test_injection*.py."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from accounts.models import WhatsAppUser
from messaging import content as contents
from messaging import conversation, turns
from messaging.content import Attachment, Content
from messaging.models import RawMessage
from tests.doubles.gemini import running_gemini_double
from tests.doubles.twilio import TwilioDouble
from tests.memories.sides import note
from tests.messaging.hostile_talk import MINE, OTHERS, Talk
from tests.settings import AUTH_TOKEN


@pytest.fixture(scope="module")
def bo(django_db_setup: None, django_db_blocker: Any) -> Iterator[WhatsAppUser]:
    """Somebody else with memories, in a database that all tests of this module share, each with a person of its own."""
    with django_db_blocker.unblock():
        person = WhatsAppUser.objects.create(
            whatsapp_id="whatsapp:+12025550177", phone_number="+12025550177", timezone_source="chosen"
        )
        for text in OTHERS:
            note(person, text)
        yield person
        WhatsAppUser.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def talk(
    bo: WhatsAppUser,
    deliver: Callable[..., Any],
    run_jobs: Callable[[], int],
    twilio_double: TwilioDouble,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Talk]:
    """A talk of somebody new with three memories."""
    settings.TWILIO_AUTH_TOKENS = [AUTH_TOKEN, "another token of the account"]
    person = WhatsAppUser.objects.create(
        whatsapp_id=f"whatsapp:test-{secrets.token_hex(8)}",
        timezone="America/New_York",
        timezone_source="chosen",
    )
    for text in MINE:
        note(person, text)
    with running_gemini_double() as gemini:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = gemini.api_key, gemini.base_url
        talk = Talk(person, deliver, run_jobs, twilio_double, gemini)

        def read(raw: RawMessage) -> Content:
            """As it is read, with what is known of its attachments."""
            content = contents.read_content(raw)
            files = (
                Attachment(
                    content_type=each.content_type, description=talk.described.get(each.content_type, "")
                )
                for each in content.attachments
            )
            return replace(content, attachments=tuple(files))

        for module in (turns, conversation):
            monkeypatch.setattr(module, "read_content", read)
        yield talk
