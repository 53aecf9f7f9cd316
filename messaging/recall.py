"""The assistant that needs no language model: keeps statements, answers questions from what was kept.

It never makes anything up: an answer quotes memories word for word with their date, or says that nothing fits.
"""

from dataclasses import replace

from memories.dates import LocalDays, format_day, format_range
from memories.models import Memory
from memories.search import ALWAYS, Hit, get_memories, search_memories
from memories.search_terms import search_terms
from memories.store import Outcome, Stored
from memories.time_phrases import find_time_phrase
from messaging import wording
from messaging.answers import Answer, Turn, shorten
from messaging.attachment_memories import NOT_DESCRIBED
from messaging.attachment_replies import caption_files, report_attachments
from messaging.content import Content
from messaging.deeds import store_memory
from messaging.media_search import get_media_of
from messaging.models import Interaction
from messaging.understanding import Kind, classify, strip_request

Is = Interaction.Kind
# Cosine similarities of multilingual-e5-small crowd together near 0.8, whatever the texts: pairs that belong together
# lie between 0.81 and 0.90, others between 0.78 and 0.85. tests/messaging/test_recall.py holds the pairs.
SURE = 0.86
SURE_WITH_A_WORD = 0.80
UNSURE = 0.82
# Other findings are named only if they score nearly as much as the best.
ALSO_FROM = 0.85
ALSO = 2
LISTED = 10

# WhatsApp's own limit for a text; reading phrases of time in something far longer would take seconds.
LONGEST_QUESTION = 4096

DOUBT = "I'm not sure, but this may be it."
GREETING = "Hi! Tell me anything you want to remember, or ask me about it. Send /help to see how."
UNREADABLE = "I can't read this kind of message, only text, files and places. Nothing was saved."
NOTHING_SAVED = "You haven't told me anything yet, so there is nothing to find."
STICKER = "I have kept the sticker."
MOST_MEDIA = 3  # files sent back with one answer
LONGEST_FILE = 400  # characters of what a file says, when it is quoted


def answer_from_memories(turn: Turn) -> Answer:
    """Remember statements, answer questions, say truthfully what cannot be done. Raises ProviderError."""
    answers = [_answer(turn, content) for content in turn.contents]
    if len(answers) == 1:
        return answers[0]
    used = {hit.memory.id: hit for answer in reversed(answers) for hit in answer.used}
    return Answer(
        kind=min((answer.kind for answer in answers), key=TELLING.index),
        text="\n".join(dict.fromkeys(answer.text for answer in answers)),
        used=list(used.values()),
        media=[file for answer in answers for file in answer.media][:MOST_MEDIA],
    )


# What an answer to several messages is called: by the most telling of them.
TELLING = (Is.SAVED, Is.RECALLED, Is.MISSED, Is.UNREADABLE, Is.SMALL_TALK)


def _answer(turn: Turn, content: Content) -> Answer:
    if content.spoken_words:
        return _answer_words(turn, content, content.spoken_words)
    if content.place is not None or content.attachments:
        return _acknowledge_attachments(turn, content)
    return _answer_words(turn, content, content.text)


def _answer_words(turn: Turn, content: Content, words: str) -> Answer:
    kind = classify(words)
    if kind is Kind.EMPTY:
        return Answer(kind=Is.UNREADABLE, text=UNREADABLE)
    if kind is Kind.GREETING:
        return Answer(kind=Is.SMALL_TALK, text=GREETING)
    if kind is Kind.QUESTION and not content.is_forwarded:
        return _attach_files(turn, _recall(turn, words))
    stored = _save(turn, content, text=strip_request(words), type=Memory.Type.NOTE)
    return _acknowledge(stored, saved=f"Saved as #{stored.memory.number}. Ask me about it any time.")


def _save(turn: Turn, content: Content, *, text: str, type: Memory.Type) -> Stored:
    return store_memory(
        turn=turn,
        raw_message_id=content.raw_message_id,
        tool_call="recall",
        text=text,
        type=type,
        happened_at=content.received_at,
    )


def _acknowledge(stored: Stored, *, saved: str) -> Answer:
    """Say what storing came to: that it is saved, or known already and as what."""
    if stored.outcome is Outcome.SAVED:
        return Answer(kind=Is.SAVED, text=saved)
    return Answer(
        kind=Is.SAVED, text=f"I know that already: #{stored.memory.number} “{shorten(stored.memory.text)}”"
    )


def _acknowledge_attachments(turn: Turn, content: Content) -> Answer:
    """Say what became of files and places. The caption of a file that is not kept is kept by itself."""
    report = report_attachments(replace(turn, contents=(content,)), language="en")
    lines = list(report.lines)
    is_caption_kept = report.is_kept or classify(content.text) is Kind.EMPTY
    if not is_caption_kept:
        stored = _save(turn, content, text=content.text, type=Memory.Type.NOTE)
        lines.append(_acknowledge(stored, saved=f"I saved the text as #{stored.memory.number}.").text)
    if report.known:
        lines.insert(0, wording.say_known(pairs=list(report.known.items()), language="en"))
    if report.saved:
        lines.insert(0, wording.say_saved(numbers=report.saved, language="en"))
    is_saved = report.is_kept or not is_caption_kept
    kind = Is.SAVED if is_saved else Is.UNREADABLE
    return Answer(kind=kind, text="\n".join(lines) or (STICKER if report.is_kept else UNREADABLE))


def _attach_files(turn: Turn, answer: Answer) -> Answer:
    """An answer with the files of the memories it quotes."""
    files = get_media_of([hit.memory for hit in answer.used]) if answer.kind is Is.RECALLED else {}
    ids = dict.fromkeys(link.id for hit in answer.used for link in files.get(hit.memory.id, ()))
    media, lines = caption_files(turn, [*ids][:MOST_MEDIA], language="en")
    return replace(answer, text="\n".join([answer.text, *lines]), media=media)


def _recall(turn: Turn, question: str) -> Answer:
    today = turn.now.astimezone(turn.zone).date()
    phrase = find_time_phrase(question, today=today) if len(question) <= LONGEST_QUESTION else None
    # "What do I have on Friday?" is about the day of an event, not about the day it was told.
    days = phrase.days if phrase and phrase.looks_back else None
    terms = search_terms(phrase.rest if phrase and days else question)
    if days is None:
        return _recall_within(turn, question, terms=terms, days=None)
    if not terms:
        return _recall_days(turn, days)
    answer = _recall_within(turn, question, terms=terms, days=days)
    if answer.kind is not Is.MISSED:
        return answer
    # "Where did we camp in July?" may be about July, told in August.
    elsewhen = _recall_within(turn, question, terms=search_terms(question), days=None)
    if elsewhen.kind is Is.MISSED or elsewhen.text.startswith(DOUBT):
        return answer
    return Answer(kind=Is.RECALLED, text=f"{answer.text} But {_lower(elsewhen.text)}", used=elsewhen.used)


def _recall_within(turn: Turn, question: str, *, terms: str, days: LocalDays | None) -> Answer:
    """Quote what fits best among what was said on ``days``, say so when that is doubtful, or that nothing fits."""
    within = days.to_utc(turn.zone) if days else ALWAYS
    result = search_memories(user_id=turn.user.id, query=question, terms=terms, within=within)
    sure = [hit for hit in result.hits if is_sure(hit)]
    hits = [hit for hit in sure if hit.score >= sure[0].score * ALSO_FROM][: 1 + ALSO]
    if hits:
        best, *others = hits
        lines = [_quote(turn, best), *(f"Also, {_lower(_quote(turn, other))}" for other in others)]
        return Answer(kind=Is.RECALLED, text="\n".join(lines), used=hits)
    unsure = [hit for hit in result.hits if hit.similarity is not None and hit.similarity >= UNSURE][:1]
    if unsure:
        return Answer(kind=Is.RECALLED, text=f"{DOUBT} {_quote(turn, unsure[0])}", used=unsure)
    return Answer(kind=Is.MISSED, text=_miss(turn, days))


def is_sure(hit: Hit) -> bool:
    """Whether a memory that was found is meant, as far as the local embedder's similarity and the words tell."""
    if hit.similarity is None:
        return bool(hit.shared_words)
    return hit.similarity >= (SURE_WITH_A_WORD if hit.shared_words else SURE)


def _recall_days(turn: Turn, days: LocalDays) -> Answer:
    """A question about days and nothing else: everything said then, oldest first."""
    rows = get_memories(user_id=turn.user.id, within=days.to_utc(turn.zone))
    newest = list(rows[:LISTED])
    if not newest:
        return Answer(kind=Is.MISSED, text=_miss(turn, days))
    lines = [f"What you told me {_range(turn, days)}:"]
    is_one_day = days == LocalDays.between(first=days.start, last=days.start) if days.start else False
    for row in reversed(newest):
        when = format_day(row.happened_at, zone=turn.zone, now=turn.now)
        if is_one_day:
            when = f"{row.happened_at.astimezone(turn.zone):%H:%M}"
        lines.append(f"• {when}: {shorten(row.text)}")
    hits = [Hit(memory=row, score=1.0, similarity=None, shared_words=frozenset()) for row in newest]
    return Answer(kind=Is.RECALLED, text="\n".join(lines), used=hits)


def _quote(turn: Turn, hit: Hit) -> str:
    day = format_day(hit.memory.happened_at, zone=turn.zone, now=turn.now)
    if hit.memory.type == Memory.Type.FILE:
        known = [line for line in hit.memory.text.splitlines() if not line.startswith(NOT_DESCRIBED)]
        return f"{day} you sent me: {shorten(' – '.join(known), limit=LONGEST_FILE)}"
    return f'{day} you told me: "{hit.memory.text}"'


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]


def _range(turn: Turn, days: LocalDays) -> str:
    return format_range(days, today=turn.now.astimezone(turn.zone).date())


def _miss(turn: Turn, days: LocalDays | None) -> str:
    if not Memory.objects.filter(user_id=turn.user.id).exists():
        return NOTHING_SAVED
    if days:
        return f"I found nothing about that {_range(turn, days)}."
    return "I found nothing about that in what you told me."
