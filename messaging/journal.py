"""The journal of a turn with the language model: what has been asked and done, so that nothing of it is done again.

It is saved on the `Interaction` after every response of the model and every tool that was run. A worker that is killed
loses at most the call that was in flight. When the turn is answered only references are left (`settle`): what memories
say is kept in one place.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from messaging.models import Interaction
from whatsbot.integrations import gemini
from whatsbot.integrations.gemini import Ending, Json, ModelResponse, ToolCall

AWAY = "AWAY"  # beside gemini.Ending: the model could not be asked


def read_tool_steps(interaction: Interaction | None) -> list[Json]:
    """The tools of a turn that were carried out, in order, as far as they are kept: name, args, outcome."""
    steps = interaction.transcript if interaction else ()
    return [step["tool"] for step in steps if isinstance(step.get("tool"), dict)]


class AnsweredElsewhere(Exception):
    """Another worker has answered this turn meanwhile."""


class Journal:
    """The steps of one turn: ``{"model": {…}}`` for each response, ``{"tool": {…}}`` for each call carried out."""

    def __init__(self, interaction: Interaction) -> None:
        self._id = interaction.id
        self.steps: list[Json] = list(interaction.transcript)
        self.input_tokens = interaction.input_tokens or 0
        self.output_tokens = interaction.output_tokens or 0

    @property
    def responses(self) -> list[Json]:
        """What the model answered, call by call."""
        return [step["model"] for step in self.steps if "model" in step]

    @property
    def outcomes(self) -> Iterator[Json]:
        """What each tool came to, in order: words of messaging/assistant_tools.py."""
        return (step["tool"]["outcome"] for step in self.steps if "tool" in step)

    def count_results(self) -> int:
        """How many tools have been carried out in this turn."""
        return sum("tool" in step for step in self.steps)

    def get_open_calls(self) -> list[tuple[str, ToolCall]]:
        """The calls of the last response that have not been carried out, each with the name it is stored under."""
        if not self.responses:
            return []
        calls = self._get_calls(self.responses[-1])
        done = sum(1 for step in self.steps[self._last_model_step() + 1 :] if "tool" in step)
        return [(f"{len(self.responses)}.{number}", call) for number, call in enumerate(calls, 1)][done:]

    def get_contents(self) -> list[Json]:
        """The turn so far as the model has to see it: its responses unchanged, each followed by its tools' results."""
        contents: list[Json] = []
        results: list[Json] = []
        for step in self.steps:
            if "tool" in step:
                results.append(step["tool"]["response"])
                continue
            if results:
                contents.append(self._pair(contents[-1], results))
                results = []
            if step["model"]["goes_on"]:
                contents.append(json.loads(step["model"]["content"]))
        if results:
            contents.append(self._pair(contents[-1], results))
        return contents

    def add_response(self, response: ModelResponse) -> None:
        """Save a response of the model. Raises AnsweredElsewhere."""
        self.input_tokens += response.input_tokens
        self.output_tokens += response.output_tokens
        self._add(
            {
                "model": {
                    # As text: PostgreSQL's JSON knows no NUL, and a content has to go back as it came.
                    "content": response.content and json.dumps(response.content),
                    # Only a response with calls is answered; others end the turn or are asked for again.
                    "goes_on": bool(response.calls) and response.ending is Ending.WHOLE,
                    "text": response.text,
                    "ending": response.ending.name,
                    "reason": response.reason,
                    "tokens": [response.input_tokens, response.output_tokens],
                }
            }
        )

    def add_failure(self, reason: str) -> None:
        """Save that the model was given up, so that a later attempt does not wait for it again."""
        self._add(
            {
                "model": {
                    "content": None,
                    "goes_on": False,
                    "text": "",
                    "ending": AWAY,
                    "reason": reason,
                    "tokens": [0, 0],
                }
            }
        )

    def add_result(self, call: ToolCall, *, response: Json, outcome: Json) -> None:
        """Save what a tool answered and came to. Raises AnsweredElsewhere."""
        self._add(
            {
                "tool": {
                    "name": call.name,
                    "args": call.arguments,
                    "response": response,
                    "outcome": outcome,
                }
            }
        )

    def settle(self) -> list[Json]:
        """The journal of an answered turn: what was called and what it came to, without the texts of memories."""
        settled: list[Json] = []
        for step in self.steps:
            if "tool" in step:
                kept = {name: step["tool"][name] for name in ("name", "args", "outcome")}
                settled.append({"tool": kept})
            else:
                settled.append(
                    {"model": {name: step["model"][name] for name in ("ending", "reason", "tokens")}}
                )
        return settled

    def _get_calls(self, response: Json) -> Sequence[ToolCall]:
        return gemini.read_calls(json.loads(response["content"])) if response["goes_on"] else ()

    def _last_model_step(self) -> int:
        return max(index for index, step in enumerate(self.steps) if "model" in step)

    def _pair(self, content: Json, results: Sequence[Json]) -> Json:
        return gemini.results_content(list(zip(gemini.read_calls(content), results, strict=True)))

    def _add(self, step: dict[str, Any]) -> None:
        self.steps.append(step)
        saved = Interaction.objects.filter(id=self._id, answered_at=None).update(
            transcript=self.steps, input_tokens=self.input_tokens, output_tokens=self.output_tokens
        )
        if not saved:
            raise AnsweredElsewhere


class RehearsedJournal(Journal):
    """The journal of a rehearsal, which nobody keeps."""

    def __init__(self) -> None:
        self.steps, self.input_tokens, self.output_tokens = [], 0, 0

    def _add(self, step: dict[str, Any]) -> None:
        self.steps.append(step)
