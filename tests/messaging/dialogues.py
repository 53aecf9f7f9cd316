"""Dialogues as text, played on the real bot: webhook, worker's jobs, outbox; Twilio and Gemini are doubles.

::

    time: 2026-09-15 10:00 Asia/Kolkata
    person: What did I say about the landlord last week?
    model: search_memories(query="landlord", start_date="2026-09-07", end_date="2026-09-13")
    seen: Tuesday 2026-09-08 09:30
    model: "He wants the rent on the 1st [#1]."
    bot: He wants the rent on the 1st [#1].
       |
       | 7–13 September, Kolkata time

``time`` is the instant at which the next messages are received. ``model`` is what the model does next: tools, several
at once with commas between, or a text. ``seen`` stands in what the model is asked next, ``unseen`` does not. ``bot`` is
the reply, whole; ``...`` stands for anything, and a dialogue without ``model`` lines for a step asks no model. Notes in
brackets: ``person (forwarded)``, ``person (quoting)`` the last reply, ``person (place 51.5, -0.12, Example Café)``.
Several ``person`` lines in a row are sent within a second of each other.
"""

import ast
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from messaging.models import RawMessage
from tests.conftest import make_payload
from tests.doubles.gemini import GeminiDouble
from tests.doubles.gemini_model import ModelRequest, Reply, call, say
from tests.doubles.twilio import TwilioDouble

_LINE = re.compile(r"(?P<who>time|person|model|seen|unseen|bot)(?: \((?P<note>[^)]*)\))?:(?: (?P<text>.*))?")


@dataclass
class Step:
    """Messages of the person, what the model does with them, and the reply."""

    messages: list[tuple[str, str]] = field(default_factory=list)  # note, text
    model: list[Reply] = field(default_factory=list)
    seen: list[tuple[int, bool, str]] = field(default_factory=list)  # by which call, whether, what
    bot: str | None = None


@dataclass
class Stage:
    """Where dialogues are played."""

    deliver: Callable[..., Any]
    run_jobs: Callable[[], int]
    twilio: TwilioDouble
    gemini: GeminiDouble
    sender: str = "whatsapp:+12025550123"
    now: datetime | None = None

    def play(self, dialogue: str) -> list[str]:
        """Play a dialogue and check every line of it. Returns the replies."""
        replies = []
        step = Step()
        for who, note, text in _read(dialogue):
            if who == "time":
                clock, _, zone = text.rpartition(" ")
                self.now = datetime.fromisoformat(clock).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
            elif who == "person":
                step.messages.append((note, text))
            elif who == "model":
                step.model.append(_read_reply(text))
            elif who in ("seen", "unseen"):
                step.seen.append((len(step.model), who == "seen", text))
            else:
                step.bot = text
                replies.append(self._play_step(step))
                step = Step()
        assert not step.messages, "the dialogue must end with the bot"
        return replies

    def _play_step(self, step: Step) -> str:
        sent, asked = len(self.twilio.messages), len(self.gemini.calls)
        self.gemini.enqueue(*step.model)
        for note, text in step.messages:
            self._send(note, text)
        self.run_jobs()
        reply = "\n---\n".join(message.body for message in self.twilio.messages[sent:])
        calls = self.gemini.calls[asked:]
        assert len(calls) == len(step.model), f"the model was asked {len(calls)} times: {reply}"
        for number, wanted, text in step.seen:
            read = _get_text(calls[number])
            assert (text in read) == wanted, f"{text!r} {'not ' * wanted}in …{read[-2000:]}"
        pattern = re.escape(step.bot or "").replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, reply, re.DOTALL), f"expected:\n{step.bot}\ngot:\n{reply}"
        return reply

    def _send(self, note: str, text: str) -> None:
        fields = {"From": self.sender, "WaId": self.sender.partition("+")[2]}
        if note == "forwarded":
            fields["Forwarded"] = "true"
        elif note == "quoting":
            fields["OriginalRepliedMessageSid"] = self.twilio.messages[-1].sid
        elif note.startswith("place "):
            latitude, longitude, label = note.removeprefix("place ").split(", ")
            fields |= {"Latitude": latitude, "Longitude": longitude, "Label": label}
        payload = make_payload(text, **fields)
        assert self.deliver(payload).status_code == 200
        if self.now is not None:
            # The clock of a dialogue goes on by itself, a second for each message.
            self.now += timedelta(seconds=1)
            RawMessage.objects.filter(message_sid=payload["MessageSid"]).update(received_at=self.now)


def _get_text(request: ModelRequest) -> str:
    """All that the model reads, as it is written."""
    parts = [part for content in request.contents for part in content["parts"]]
    read = [
        json.dumps(part["functionResponse"], ensure_ascii=False)
        for part in parts
        if "functionResponse" in part
    ]
    return "\n".join([request.system, *(part.get("text", "") for part in parts), *read])


def _read(dialogue: str) -> list[tuple[str, str, str]]:
    lines: list[tuple[str, str, str]] = []
    for raw in dialogue.strip().splitlines():
        line = raw.strip()
        if line.startswith("|"):
            who, note, text = lines[-1]
            lines[-1] = (who, note, f"{text}\n{line[2:]}")
        elif line:
            match = _LINE.fullmatch(line)
            assert match, f"not a line of a dialogue: {line}"
            lines.append((match["who"], match["note"] or "", match["text"] or ""))
    return lines


def _read_reply(text: str) -> Reply:
    tree = ast.parse(f"({text})", mode="eval").body
    if isinstance(tree, ast.Constant):
        return say(tree.value)
    calls = tree.elts if isinstance(tree, ast.Tuple) else [tree]
    return call(*(_read_call(each) for each in calls))


def _read_call(node: Any) -> tuple[str, dict[str, Any]]:
    return node.func.id, {keyword.arg: ast.literal_eval(keyword.value) for keyword in node.keywords}
