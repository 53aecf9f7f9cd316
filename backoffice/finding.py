"""One search field for everything: what was typed decides which index answers.

Numbers in any spelling, SIDs, names and words. Each has an index, so that no search reads a whole table; words are
searched over everybody only by those who may read everybody (`SEES_ALL`): a search tells what it finds.
"""

import re
from typing import Any

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import Q, QuerySet
from django.db.models.functions import Reverse

from accounts.models import WhatsAppUser
from accounts.phone_numbers import read_phone_number
from backoffice.gate import SEES_ALL

FEWEST_DIGITS = 5  # of the end of a number; fewer fit too many people
MOST_PEOPLE = 1000  # whose rows one search looks for
RARE = 2000  # rows that have what is searched for; so many are found among the newest quickly

_EVERYTHING = Q()
_SID = re.compile(r"(?:SM|MM|CH)[0-9a-fA-F]{32}")
_UNQUOTED = str.maketrans("'\\\0", "   ")
_NUMBERISH = re.compile(r"(?:whatsapp:)?[+(\d][\d\s().\-/]*", re.IGNORECASE)


def find_rows(
    rows: "QuerySet[Any]", typed: str, *, searches: tuple[str, ...], staff: Any, worded: Q | None = None
) -> "QuerySet[Any]":
    """Those of ``rows`` that fit what was typed.

    ``searches`` name what can be searched: ``person:user`` (path to the person), ``sid:message_sid`` (path of an exact
    key), ``key:file_hash`` (beginning of a key), ``words:body`` (columns with an index of words, comma-separated).
    ``worded`` is the condition of that index, if it has one.
    """
    typed = typed.strip()
    paths = dict(search.split(":", 1) for search in searches)
    if "sid" in paths and _SID.fullmatch(typed):
        return rows.filter(**{paths["sid"]: typed})
    if "key" in paths and re.fullmatch(r"[0-9a-f]{8,64}", typed.lower()):
        return rows.filter(**{f"{paths['key']}__startswith": typed.lower()})
    if (
        "person" in paths
        and _NUMBERISH.fullmatch(typed)
        and (people := find_people_by_number(typed)) is not None
    ):
        return rows.filter(_of(paths["person"], people))
    if "words" in paths and staff.has_perm(SEES_ALL):
        return find_words(rows, typed, columns=paths["words"].split(","), among=worded or Q())
    if "person" in paths:
        people = list(find_people_by_name(typed).values_list("id", flat=True)[:MOST_PEOPLE])
        return rows.filter(_of(paths["person"], people))
    return rows.none()


def _of(path: str, people: Any) -> Q:
    return Q(**{f"{path}__in": people})


def find_people_by_number(typed: str) -> list[int] | None:
    """Ids of people with this number, however written, or one that begins or ends so; None: too few digits."""
    number = read_number(typed)
    if number:
        found = WhatsAppUser.objects.filter(Q(phone_number=number) | Q(whatsapp_id=f"whatsapp:{number}"))
        if ids := list(found.values_list("id", flat=True)):
            return ids
    digits = "".join(char for char in typed if char.isdigit())
    if len(digits) < FEWEST_DIGITS:
        return None
    tail = digits.lstrip("0")[::-1]
    ends = WhatsAppUser.objects.annotate(tail=Reverse("phone_number")).filter(tail__startswith=tail)
    begins = WhatsAppUser.objects.filter(phone_number__startswith=f"+{digits}")
    return [
        *ends.values_list("id", flat=True)[:MOST_PEOPLE],
        *(begins.values_list("id", flat=True)[:MOST_PEOPLE] if typed.lstrip().startswith("+") else ()),
    ]


def find_people_by_name(typed: str) -> "QuerySet[WhatsAppUser]":
    """People with names of these words, or beginnings of words."""
    return find_words(WhatsAppUser.objects.all(), typed, columns=["name", "profile_name"])


def find_words(
    rows: "QuerySet[Any]", typed: str, *, columns: list[str], among: Q = _EVERYTHING
) -> "QuerySet[Any]":
    """Rows with all these words, or words that begin so, in columns that have an index of their words together.

    PostgreSQL cannot know how many rows have a beginning of a word. Left to guess, it may walk the whole table in order
    of time to find fifty with a rare one; so the index is asked first, and what is rare is named by its keys.
    """
    query = write_query(typed)
    if not query:
        return rows.none()
    match = among & Q(found=SearchQuery(query, config="simple", search_type="raw"))
    vector = SearchVector(*columns, config="simple")
    anywhere = rows.model._default_manager.annotate(found=vector).filter(match).order_by()
    few = list(anywhere.values_list("pk", flat=True)[: RARE + 1])
    if len(few) <= RARE:
        return rows.filter(pk__in=few)
    return rows.annotate(found=vector).filter(match)


def write_query(typed: str) -> str:
    """What was typed, as PostgreSQL's query of words that begin so. Empty if there is no word in it."""
    words = (word.translate(_UNQUOTED).strip() for word in typed.split())
    return " & ".join(f"'{word}':*" for word in words if re.search(r"\w", word))


def read_number(text: str) -> str | None:
    """A number with its country, in E.164, or None."""
    try:
        return read_phone_number(text.strip())
    except ValueError:
        return None
