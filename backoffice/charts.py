"""Charts as SVG, drawn by the server: no script, sharp at any width, in the colours of either mode.

A chart is drawn in a box as wide as it has days and 100 high, which the page stretches; its labels are HTML beside it,
so that they keep their size on a phone. What a screen reader gets is the table of the values below each chart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

HEIGHT = 100.0
WIDEST_BARS = 0.8  # of the room of a day


@dataclass(frozen=True, slots=True)
class Series:
    """A value for each day, or None; ``name`` stands in the legend."""

    name: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle of a chart."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Values over days. ``unit`` is that of all series; ``is_bars``: else lines."""

    title: str
    unit: str
    days: Sequence[date]
    series: Sequence[Series]
    is_bars: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to draw."""
        return not any(value for one in self.series for value in one.values)

    @property
    def width(self) -> int:
        """Of the box."""
        return len(self.days)

    @property
    def top(self) -> float:
        """The value at the upper edge: 2, 4 or 10 times a power of ten, so that half of it is a round number too."""
        most = max((value or 0 for one in self.series for value in one.values), default=0)
        if most <= 0:
            return 2.0
        power = 10.0 ** math.floor(math.log10(most))
        top = next(factor * power for factor in (1, 2, 4, 10) if most <= factor * power)
        return max(top, 2.0) if self.is_counted else top

    @property
    def is_counted(self) -> bool:
        """Whether the values are whole numbers."""
        return all(isinstance(value, int) for one in self.series for value in one.values if value is not None)

    @property
    def marks(self) -> list[str]:
        """What stands beside the upper edge, the middle and the lower edge."""
        return [write_number(self.top), write_number(self.top / 2), "0"]

    @property
    def dates(self) -> list[date]:
        """What stands below the left edge, the middle and the right edge."""
        return [self.days[0], self.days[len(self.days) // 2], self.days[-1]]

    @property
    def drawings(self) -> list[tuple[Series, list[Bar], str]]:
        """Each series with its bars, or with the path of its line."""
        if self.is_bars:
            return [(one, self._draw_bars(place), "") for place, one in enumerate(self.series)]
        return [(one, [], self._draw_line(one)) for one in self.series]

    @property
    def columns(self) -> list[tuple[int, str]]:
        """For each day its place, and its values in words, for who points at it."""
        return [
            (place, f"{day:%-d %b}: {', '.join(f'{self._write(value)} {name}' for name, value in values)}")
            for place, (day, values) in enumerate(self._each_day())
        ]

    @property
    def rows(self) -> list[tuple[date, list[str]]]:
        """The table of the values, newest day first."""
        return [(day, [self._write(value) for _, value in values]) for day, values in self._each_day()][::-1]

    def _each_day(self) -> list[tuple[date, list[tuple[str, float | None]]]]:
        return [
            (day, [(one.name, one.values[place]) for one in self.series])
            for place, day in enumerate(self.days)
        ]

    def _write(self, value: float | None) -> str:
        if value is None:
            return "–"
        return write_number(value) + (f" {self.unit}" if not self.is_counted else "")

    def _draw_bars(self, place: int) -> list[Bar]:
        width = WIDEST_BARS / len(self.series)
        left = (1 - WIDEST_BARS) / 2 + place * width
        return [
            Bar(
                x=round(day + left, 3),
                y=round(HEIGHT - height, 2),
                width=round(width, 3),
                height=round(height, 2),
            )
            for day, value in enumerate(self.series[place].values)
            if value and (height := self._scale(value))
        ]

    def _draw_line(self, one: Series) -> str:
        """Days without a value are gaps; a day alone is a dot, because its line is of no length and has round ends."""
        path, pen_is_down = [], False
        for day, value in enumerate(one.values):
            if value is None:
                pen_is_down = False
                continue
            point = f"{day + 0.5:g} {HEIGHT - self._scale(value):.2f}"
            path.append(f"L{point}" if pen_is_down else f"M{point}h0")
            pen_is_down = True
        return "".join(path)

    def _scale(self, value: float) -> float:
        return HEIGHT * value / self.top


def write_number(value: float) -> str:
    """A number for people: whole ones with commas, others with two figures that count."""
    if value == int(value) or abs(value) >= 100:
        return f"{round(value):,}"
    return f"{value:.2g}" if abs(value) < 10 else f"{value:.0f}"


def write_seconds(seconds: float | None) -> str:
    """A time span for people."""
    if seconds is None:
        return "–"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{write_number(seconds)} s"


def write_bytes(count: int) -> str:
    """A size for people."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{write_number(size)} {unit}"
        size /= 1000
    return f"{write_number(size)} TB"
