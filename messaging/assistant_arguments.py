"""The arguments of the language model's tools, checked before anything is done.

The docstring of each class is what the model is told; what is not named here is refused.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from memories.models import Memory
from messaging.content import KINDS
from whatsbot.integrations.gemini import Json


def _one_of(values: Iterable[str]) -> Any:
    values = list(dict.fromkeys(values))
    pattern = "|".join(re.escape(value) for value in values)
    return Field(pattern=f"^(?:{pattern})$", json_schema_extra={"enum": list(values)})


MemoryType = Annotated[str, _one_of(Memory.Type.values)]
# Memories of files are made by us, when the file comes.
ToldType = Annotated[str, _one_of(value for value in Memory.Type.values if value != Memory.Type.FILE)]
MediaKind = Annotated[str, _one_of(kind for _, kind in KINDS)]
Day = Annotated[str, Field(description="The person's own date, YYYY-MM-DD.", max_length=40)]
Moment = Annotated[
    str,
    Field(
        description="The person's own date or date and time: YYYY-MM-DD or YYYY-MM-DDTHH:MM.", max_length=40
    ),
]
Types = Annotated[list[MemoryType], Field(description="Only memories of these types.", max_length=7)]
Text = Annotated[str, Field(min_length=1, max_length=8000)]
Number = Annotated[int, Field(ge=1, le=999_999_999, description="The memory's number.")]


class Arguments(BaseModel):
    """The arguments of one tool."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class SearchMemories(Arguments):
    """Find what the person told you. Dates narrow it to what was said, or takes place, on these days, both included;
    leave one out for "since" or "until". With dates alone everything of those days is found."""

    query: Annotated[str, Field(max_length=2000, description="What to look for, in the person's words.")] = ""
    start_date: Day | None = None
    end_date: Day | None = None
    types: Types | None = None


class StoreMemory(Arguments):
    """Keep one thing for the person. Write it so that it can be understood alone, in the person's language and close to
    their words. If it takes place at a certain time, say when."""

    content: Text
    type: ToldType
    event_start: Moment | None = None
    event_end: Moment | None = None


class UpdateMemory(Arguments):
    """Correct a memory whose number you have found. The new content takes the place of all it said."""

    number: Number
    content: Text
    event_start: Moment | None = None
    event_end: Moment | None = None


class ForgetMemory(Arguments):
    """Ask the person whether these memories shall be forgotten. Nothing is deleted before they have said yes."""

    numbers: Annotated[list[Number], Field(min_length=1, max_length=10)]


class ListMemories(Arguments):
    """The newest memories, or those of certain days or types, newest first."""

    start_date: Day | None = None
    end_date: Day | None = None
    types: Types | None = None


class SetTimezone(Arguments):
    """Change the person's time zone, when they say where they live or are now."""

    place: Annotated[
        str, Field(min_length=1, max_length=100, description="A city, a country or an IANA zone.")
    ]


class FindMedia(Arguments):
    """Find files the person has sent (pictures, voice notes, videos, documents) by what they show or say, by caption,
    by kind, and by the days they were sent on, both included. Without a query the newest come first."""

    kind: MediaKind | None = None
    query: Annotated[str, Field(max_length=2000, description="What to look for, in the person's words.")] = ""
    start_date: Day | None = None
    end_date: Day | None = None


class SendMedia(Arguments):
    """Send files back to the person, behind your answer, each with its date. Do so when they ask to see or hear one."""

    ids: Annotated[
        list[Annotated[int, Field(ge=1, le=2**62, description="A file's id.")]],
        Field(min_length=1, max_length=5),
    ]


def get_schema(arguments: type[Arguments]) -> Json:
    """The JSON Schema of a tool's arguments."""
    return _simplify(arguments.model_json_schema())


def _simplify(schema: Json) -> Json:
    """A schema without what the model does not need: titles, defaults, nulls (what is optional is left out)."""
    kept: Json = {}
    for name, value in schema.items():
        if name in ("title", "default", "pattern") or (name == "description" and "properties" in schema):
            continue
        if name == "anyOf":
            kept |= _simplify(next(each for each in value if each.get("type") != "null"))
        elif name == "properties":
            kept[name] = {key: _simplify(each) for key, each in value.items()}
        else:
            kept[name] = _simplify(value) if isinstance(value, dict) else value
    return kept
