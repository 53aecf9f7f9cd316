"""Places in a conversation: where an entry stands among what came in and what went out, and cursors that name it."""

import base64
import binascii
import json
import uuid
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

LARGEST_ID = 2**63 - 1
LARGEST_PART = 2**15 - 1
NO_UUID = uuid.UUID(int=0)


class StrangeCursor(ValueError):
    """A cursor that is not one of ours."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an entry of a conversation stands: by time; then what came in before what went out; then by part and id.

    The parts of one answer share their time, because they are written by one statement's transaction.
    """

    at: datetime
    is_outbound: bool
    part: int
    id: int | uuid.UUID  # of a `RawMessage` or an `OutboundMessage`

    @classmethod
    def of_inbound(cls, at: datetime, id: int) -> "Place":
        """Of a message that came in."""
        return cls(at, False, 0, id)

    @property
    def inbound_bound(self) -> tuple[datetime, int]:
        """Time and id: what came in and stands before this place is below it."""
        return self.at, LARGEST_ID if isinstance(self.id, uuid.UUID) else self.id

    @property
    def outbound_bound(self) -> tuple[datetime, int, uuid.UUID]:
        """Time, part and id: what went out and stands before this place is below it."""
        return (self.at, self.part, self.id) if isinstance(self.id, uuid.UUID) else (self.at, -1, NO_UUID)

    @property
    def cursor(self) -> str:
        """This place as text that travels in an address."""
        place = (
            [self.at.isoformat(), self.part, str(self.id)]
            if self.is_outbound
            else [self.at.isoformat(), self.id]
        )
        text = json.dumps(place, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    @property
    def anchor(self) -> str:
        """What the entry is called within its page."""
        return f"{'out' if self.is_outbound else 'in'}-{self.id}"


END_OF_TIME = Place.of_inbound(datetime.max.replace(tzinfo=UTC), LARGEST_ID)


def get_day_start(day: date, zone: ZoneInfo) -> Place:
    """The place before everything of a day on somebody's clocks. Raises ValueError at the ends of time."""
    try:
        return Place.of_inbound(datetime.combine(day, time.min, zone).astimezone(UTC), 0)
    except OverflowError:
        raise ValueError("No clock shows this day.") from None


def read_cursor(cursor: str) -> Place:
    """The place a cursor names; raises StrangeCursor for what `Place.cursor` has not made."""
    try:
        return _decode(cursor)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise StrangeCursor from None


def _decode(cursor: str) -> Place:
    if not cursor.isascii():
        raise ValueError
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError from None
    when, *rest = json.loads(text)
    at = datetime.fromisoformat(when)
    if at.tzinfo is None:
        raise ValueError
    at = at.astimezone(UTC)  # OverflowError at the ends of time
    match rest:
        case [int(id)] if type(id) is int and 0 <= id <= LARGEST_ID:
            return Place.of_inbound(at, id)
        case [int(part), str(id)] if type(part) is int and 0 <= part <= LARGEST_PART:
            return Place(at, True, part, uuid.UUID(id))
    raise ValueError
