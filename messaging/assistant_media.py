"""What the language model can do with files a person has sent: find them, and send them back."""

from typing import Any

from media.models import MessageMedia
from memories.search import ALWAYS
from messaging.answers import shorten
from messaging.assistant_arguments import FindMedia, SendMedia
from messaging.assistant_calls import LONGEST, Call, Result, note_days
from messaging.assistant_times import describe_moment, read_days
from messaging.content import read_content
from messaging.media_search import find_media
from whatsbot.integrations.gemini import Json

MOST_FOUND = 10


def find_files(call: Call, given: FindMedia) -> Result:
    """Files of the person, described. Raises ValueError for days that are none."""
    turn = call.turn
    days = read_days(given.start_date, given.end_date)
    found = find_media(
        user_id=turn.user.id,
        query=given.query,
        kind=given.kind or "",
        within=days.to_utc(turn.zone) if days else ALWAYS,
        limit=MOST_FOUND,
    )
    response: Json = {"files": [_describe(call, link) for link in found]}
    if not found:
        has_any = MessageMedia.objects.filter(user_id=turn.user.id, file__isnull=False).exists()
        response["note"] = "No file fits." if has_any else "The person has not sent any file yet."
    elif not given.query:
        response["note"] = "Newest first."
    return Result(response, note_days({}, days))


def _describe(call: Call, link: MessageMedia) -> Json:
    file = link.file
    assert file is not None  # only stored files are found
    described: dict[str, Any] = {
        "id": link.id,
        "kind": file.kind,
        "sent": describe_moment(link.sent_at, call.turn.zone),
        "caption": shorten(read_content(link.raw_message).text),
        "name": link.file_name,
        "shows": shorten(file.description, limit=LONGEST),
        "says": shorten(file.text, limit=LONGEST),
    }
    return {name: value for name, value in described.items() if value}


def send_files(call: Call, given: SendMedia) -> Result:
    """Have files of the person sent behind the answer."""
    mine = MessageMedia.objects.filter(
        user_id=call.turn.user.id, id__in=given.ids, file__stored_at__isnull=False
    )
    known = set(mine.values_list("id", flat=True))
    ids = [each for each in dict.fromkeys(given.ids) if each in known]
    if not ids:
        return Result({"error": "There are no such files. Find them first."})
    return Result({"sending": ids, "note": "They follow your answer, with their dates."}, {"send": ids})
