"""Weeks, months and other spans of days around a given day. Pure; ValueError or OverflowError beyond the calendar."""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """Days from ``start`` up to but not including ``end``. ``every``: such days come again each week or year."""

    start: date
    end: date
    every: str | None = None


def get_day(day: date, *, every: str | None = None) -> Span:
    """One day."""
    return Span(day, day + DAY, every=every)


def get_period(unit: str, day: date, *, offset: int) -> Span:
    """The week (from Monday), weekend, month or year around a day, or the one that many before or after it."""
    if unit == "year":
        return Span(date(day.year + offset, 1, 1), date(day.year + offset + 1, 1, 1))
    if unit == "month":
        first = add_months(day.replace(day=1), offset)
        return get_month(first.year, first.month)
    monday = day + (7 * offset - day.weekday()) * DAY
    return Span(monday if unit == "week" else monday + 5 * DAY, monday + 7 * DAY)


def get_month(year: int, month: int, *, every: str | None = None) -> Span:
    """A whole month."""
    first = date(year, month, 1)
    return Span(first, add_months(first, 1), every=every)


def add_months(day: date, months: int) -> date:
    """The same day months later, or the last day of a shorter month."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def get_nearest_weekday(weekday: int, *, today: date, ahead: bool) -> Span:
    """The latest such day before today, or the next after it. Monday is 0."""
    if ahead:
        return get_day(today + DAY * ((weekday - today.weekday() - 1) % 7 + 1), every="week")
    return get_day(today - DAY * ((today.weekday() - weekday - 1) % 7 + 1), every="week")


def get_nearest_month(month: int, *, today: date, ahead: bool) -> Span:
    """The latest such month that has begun, or the first that is not over."""
    years = (month < today.month) if ahead else -(month > today.month)
    return get_month(today.year + years, month, every="year")


def get_nearest_date(month: int, day: int, *, today: date, ahead: bool) -> Span | None:
    """The latest such date up to today, or the first from today; None for 31 June."""
    step = 1 if ahead else -1
    for years in range(9):  # 29 February may be eight years away
        try:
            found = date(today.year + step * years, month, day)
        except ValueError:
            continue
        if (found - today).days * step >= 0:
            return get_day(found, every="year")
    return None


def get_nearest_day_of_month(day: int, *, today: date, ahead: bool) -> Span | None:
    """The latest such day of a month up to today, or the first from today; months without it are passed over."""
    step = 1 if ahead else -1
    for months in range(3):  # no two months in a row lack a day
        try:
            found = add_months(today.replace(day=1), step * months).replace(day=day)
        except ValueError:
            continue
        if (found - today).days * step >= 0:
            return get_day(found)
    return None
