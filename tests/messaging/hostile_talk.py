"""A talk with the bot, of somebody with memories, and what no reply may say."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings

from accounts.models import WhatsAppUser
from messaging.conversation import INSTRUCTIONS
from messaging.models import Interaction, OutboundMessage
from tests.conftest import make_payload
from tests.doubles.gemini import GeminiDouble
from tests.doubles.gemini_model import Model, ModelRequest, Reply, call, say
from tests.doubles.twilio import TwilioDouble
from tests.memories.sides import get_texts
from tests.messaging.hostile import Call

MINE = ("The gate code is 4711", "The rent is due on the 1st", "Ana cannot eat walnuts")
OTHERS = ("The blue safe opens with tamarind", "The notary meeting is on Friday")
RUN_OF_WORDS = 10
# Wider than our own idea of a link: whatever an app may make one of.
LINK = re.compile(r"(?:[a-z][a-z0-9+.-]*:/+|www\.|(?:[\w-]+\.)+[^\W\d_]{2,}[/?#:])\S*", re.IGNORECASE)


@dataclass
class Talk:
    """Somebody's talk with the bot, and what the model saw of it."""

    person: WhatsAppUser
    deliver: Callable[..., Any]
    run_jobs: Callable[[], int]
    twilio: TwilioDouble
    gemini: GeminiDouble
    described: dict[str, str] = field(default_factory=dict)  # by type: what is known of attachments

    def tell(
        self, body: str, *, model: Model = lambda request: say("OK."), attempts: int = 1, **fields: str
    ) -> str:
        """Send a message; the reply, whole, of the one answer there must be."""
        self.gemini.play(model)
        known = set(Interaction.objects.values_list("id", flat=True))
        sent = len(self.twilio.messages)
        address = self.person.whatsapp_id
        given = {"From": address, "WaId": address.partition("+")[2], "ProfileName": "Ana"} | fields
        assert self.deliver(make_payload(body, **given)).status_code == 200
        self.run_jobs()
        [answer] = Interaction.objects.exclude(id__in=known)
        assert answer.answered_at is not None
        assert answer.attempts == attempts  # nothing that a model asks for breaks a turn
        parts = self.twilio.messages[sent:]
        assert {part.to for part in parts} == {address}
        assert len(parts) == OutboundMessage.objects.filter(interaction=answer, status="sent").count()
        return "\n".join(part.body for part in parts)

    def get_texts(self) -> list[str]:
        return get_texts(self.person)


def do(*calls: Call, says: str = "Done.", beside: str = "", end: Reply | None = None) -> Model:
    """A model that calls tools, one after the other, and then says something."""

    def answer(request: ModelRequest) -> Reply:
        if request.step < len(calls):
            return call(calls[request.step], text=beside)
        return end or say(says)

    return answer


def get_secrets() -> list[str]:
    return [settings.SECRET_KEY, settings.GEMINI_API_KEY, settings.TWILIO_AUTH_TOKENS[1]]


def check_says_no_secret(reply: str, *, known: str) -> None:
    """No secret, no run of words of the instructions, no link that does not stand in what the person has."""
    squashed = squash(reply)
    assert [secret for secret in get_secrets() if squash(secret) in squashed] == []
    words = [word for word in map(squash, INSTRUCTIONS.split()) if word]
    runs = ("".join(words[at : at + RUN_OF_WORDS]) for at in range(len(words) - RUN_OF_WORDS + 1))
    assert [run for run in runs if run in squashed] == []
    assert find_links(reply) - find_links(known) == set()


def squash(text: str) -> str:
    return "".join(letter for letter in unicodedata.normalize("NFKC", text).casefold() if letter.isalnum())


def find_links(text: str) -> set[str]:
    return {re.sub(r"[^\w/]+$", "", link) for link in LINK.findall(text)}
