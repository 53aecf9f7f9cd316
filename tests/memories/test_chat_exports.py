"""WhatsApp's chat exports, as phones of many languages write them, are read back as what was said and when."""

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memories import chat_export_words
from memories.chat_export_layout import DateOrder, Layout, UnreadableExport, infer_layout
from memories.chat_exports import LONGEST_ENTRY, Entry, LeftOut, place_in_time, read_export

LRM, RLM, NARROW, NO_BREAK = "\u200e", "\u200f", "\u202f", "\u00a0"
UNTIL = date(2026, 10, 1)
SECOND, MINUTE, HOUR, DAY = (timedelta(**{unit: 1}) for unit in ("seconds", "minutes", "hours", "days"))
BERLIN = ZoneInfo("Europe/Berlin")
ANDROID = "%d/%m/%Y, %H:%M - "
IPHONE = "[%-m/%-d/%y, %-I:%M:%S\u202f{half}] "

# How phones begin an entry: strftime, the halves of the day, the order of the date.
FORMATS: dict[str, tuple[str, tuple[str, str], DateOrder]] = {
    "English (US), iPhone": (IPHONE, ("AM", "PM"), "mdy"),
    "English (US), marked": (LRM + IPHONE, ("AM", "PM"), "mdy"),
    "English (US), Android": ("%-m/%-d/%y, %-I:%M\u202f{half} - ", ("AM", "PM"), "mdy"),
    "English (US), 24 hours": ("%-m/%-d/%y, %H:%M - ", ("", ""), "mdy"),
    "English (UK)": (ANDROID, ("", ""), "dmy"),
    "English (UK), iPhone": ("[%d/%m/%Y, %H:%M:%S] ", ("", ""), "dmy"),
    "English (India)": ("%d/%m/%y, %-I:%M {half} - ", ("am", "pm"), "dmy"),
    "English (Australia)": ("[%-d/%-m/%Y, %-I:%M:%S {half}] ", ("am", "pm"), "dmy"),
    "English (South Africa)": ("%Y/%m/%d, %H:%M - ", ("", ""), "ymd"),
    "English (Canada)": ("%Y-%m-%d, %-I:%M {half} - ", ("a.m.", "p.m."), "ymd"),
    "German": ("%d.%m.%y, %H:%M - ", ("", ""), "dmy"),
    "German, iPhone": ("[%d.%m.%y, %H:%M:%S] ", ("", ""), "dmy"),
    "Spanish": ("%-d/%-m/%y %H:%M - ", ("", ""), "dmy"),
    "Spanish (Mexico)": ("%-d/%-m/%Y, %-I:%M\u00a0{half} - ", ("a.\u00a0m.", "p.\u00a0m."), "dmy"),
    "Spanish (Chile), iPhone": ("[%d-%m-%y, %-I:%M:%S {half}] ", ("a.\u202fm.", "p.\u202fm."), "dmy"),
    "Portuguese (Brazil)": ("%d/%m/%Y %H:%M - ", ("", ""), "dmy"),
    "French": ("%d/%m/%Y à %H:%M - ", ("", ""), "dmy"),
    "French (Canada)": ("%Y-%m-%d %H h %M - ", ("", ""), "ymd"),
    "Italian": ("%d/%m/%y, %H:%M - ", ("", ""), "dmy"),
    "Dutch": ("%d-%m-%Y %H:%M - ", ("", ""), "dmy"),
    "Swedish": ("%Y-%m-%d %H:%M - ", ("", ""), "ymd"),
    "Danish": ("%d.%m.%Y %H.%M - ", ("", ""), "dmy"),
    "Finnish, iPhone": ("[%-d.%-m.%Y klo %-H.%M.%S] ", ("", ""), "dmy"),
    "Bulgarian": ("%-d.%m.%y г., %-H:%M - ", ("", ""), "dmy"),
    "Croatian": ("%d. %m. %Y. %H:%M - ", ("", ""), "dmy"),
    "Hungarian": ("%Y. %m. %d. %-H:%M - ", ("", ""), "ymd"),
    "Greek": ("%-d/%-m/%y, %-I:%M {half} - ", ("π.μ.", "μ.μ."), "dmy"),
    "Turkish, iPhone": ("[%-d.%m.%Y %H:%M:%S] ", ("", ""), "dmy"),
    "Hindi": ("%-d/%-m/%y, %-I:%M {half} - ", ("पूर्वाह्न", "अपराह्न"), "dmy"),
    "Sinhala": ("%Y-%m-%d %-I:%M {half} - ", ("පෙ.ව.", "ප.ව."), "ymd"),
    "Vietnamese, time first": ("%H:%M, %d/%m/%Y - ", ("", ""), "dmy"),
    "Thai, Buddhist years": ("%-d/%-m/{buddhist} %H:%M - ", ("", ""), "dmy"),
    "English, Buddhist years": ("[%-m/%-d/{buddhist} BE, %H:%M:%S] ", ("", ""), "mdy"),
    "Japanese": ("%Y/%m/%d %H:%M - ", ("", ""), "ymd"),
    "Japanese, halves of the day": ("%Y年%-m月%-d日 {half}%-I:%M - ", ("午前", "午後"), "ymd"),
    "Chinese": ("[%Y/%-m/%-d {half}%-I:%M:%S] ", ("上午", "下午"), "ymd"),
    "Korean": ("%Y. %-m. %-d. {half} %-I:%M - ", ("오전", "오후"), "ymd"),
    "Arabic": ("{arabic}[%-d\u200f/%-m\u200f/%Y، %-I:%M:%S {half}] ", ("ص", "م"), "dmy"),
    "Hebrew": (RLM + "%-d.%-m.%Y, %-H:%M - ", ("", ""), "dmy"),
}
ARABIC_DIGITS = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")


def begin(when: datetime, name: str) -> str:
    form, halves, _ = FORMATS[name]
    text = when.strftime(form.replace("{half}", halves[when.hour >= 12]))
    text = text.replace("{buddhist}", str(when.year + 543))
    return text.removeprefix("{arabic}").translate(ARABIC_DIGITS) if text.startswith("{arabic}") else text


def read(lines: Iterable[str], *, order: DateOrder | None = None) -> list[Entry]:
    lines = list(lines)
    return list(read_export(lines, layout=infer_layout(lines, until=UNTIL, order=order)))


def at(*numbers: int) -> datetime:
    """A time of the phone's clock, which knows no zone."""
    return datetime(*numbers)  # noqa: DTZ001


def say(*texts: str, sender: str = "Ana") -> list[str]:
    """Lines of an Android phone, a minute apart, from 13 January on."""
    start = at(2024, 1, 13, 10)
    lines = (f"{start + number * MINUTE:{ANDROID}}{sender}: {text}" for number, text in enumerate(texts))
    return [line for entry in lines for line in entry.split("\n")]


def kept(*texts: str) -> list[str]:
    return [entry.text for entry in read(say(*texts)) if entry.left_out is None]


def why(*texts: str) -> list[LeftOut | None]:
    return [entry.left_out for entry in read(say(*texts))]


# What people write: letters of all kinds, on one or more lines, none of which looks like the beginning of an entry.
WORDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"], exclude_characters="<>"),
    min_size=1,
    max_size=40,
).map(lambda text: " ".join(text.split()) or "hi")
TEXTS = (
    st.lists(WORDS.filter(lambda text: not re.match(r"\W*\d", text)), min_size=1, max_size=3)
    .map("\n".join)
    .filter(lambda text: text.casefold() != "null")
)
SENDERS = st.sampled_from(
    ["Ana", "Bob Müller", "+1 202-555-0133", "李雷", "أحمد", 'Al "Ace" Smith', "O’Brien", "Mr. X - work"]
)
SAID = st.lists(st.tuples(st.integers(0, 3 * 24 * 60 * 60), SENDERS, TEXTS), min_size=1, max_size=12)


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(FORMATS)), said=SAID)
def test_what_was_said_and_when_comes_back_in_every_format(
    name: str, said: list[tuple[int, str, str]]
) -> None:
    when = at(2023, 12, 28, 23, 50)
    has_seconds = "%S" in FORMATS[name][0]
    lines, expected = [], []
    # Two days over 12, before and after, say which number the day is.
    for pause, sender, text in [(0, "Ana", "first"), *said, (40 * 24 * 60 * 60, "Ana", "last")]:
        when += pause * SECOND
        if when.month == 2 and len(lines) > 1:
            when = max(when, at(2024, 2, 13))
        lines += f"{begin(when, name)}{sender}: {text}".split("\n")
        expected.append((sender, when if has_seconds else when.replace(second=0), text))
    layout = infer_layout(lines, until=UNTIL)
    entries = list(read_export(lines, layout=layout))
    assert layout.order == FORMATS[name][2]
    assert [(entry.sender, entry.said_at, entry.text) for entry in entries] == expected
    assert all(entry.left_out is None for entry in entries)


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_both_halves_of_the_day_are_told_apart_in_every_format(name: str) -> None:
    times = [at(2024, 1, 13, hour, 5) for hour in range(24)]
    assert [entry.said_at for entry in read(f"{begin(when, name)}Ana: hi" for when in times)] == times


@pytest.mark.parametrize(("half", "hour"), [("MORNING", 0), ("EVENING", 12)])
def test_every_word_for_a_half_of_the_day_means_that_half(half: str, hour: int) -> None:
    for word in getattr(chat_export_words, half).split("|"):
        assert read([f"13/01/2024, 12:05 {word} - Ana: hi"])[0].said_at.hour == hour, word


def test_a_half_of_the_day_in_an_unknown_language_is_refused_rather_than_read_as_morning() -> None:
    with pytest.raises(UnreadableExport, match="line 1 the time has “xoq” beside it"):
        infer_layout(["31/12/2023, 10:00 xoq - Ana: hi"], until=UNTIL)
    lines = [*say(*["hi"] * 20), "13/01/2024, 11:00 xoq - Ana: hi"]
    with pytest.raises(UnreadableExport, match="line 21"):
        infer_layout(lines, until=UNTIL)


@pytest.mark.parametrize(
    ("dates", "order", "reason"),
    [
        (["3/4/24, 10:00", "13/4/24, 10:00"], "dmy", "no other order"),
        (["3/4/24, 10:00", "3/14/24, 10:00"], "mdy", "no other order"),
        (["9/10/26, 10:00"], "mdy", "no other order"),  # 9 October is still to come
        (["3/4/24, 10:00", "1/5/24, 10:00"], "dmy", "follow each other"),
        (["4/3/24, 10:00", "5/1/24, 10:00"], "mdy", "follow each other"),
        (["3/3/24, 10:00", "4/4/24, 10:00"], "dmy", "same numbers"),
        (["3.4.24, 10:00"], "dmy", "guessed"),
        (["3-4-2024 10:00"], "dmy", "guessed"),
        (["03/04/2024, 10:00"], "dmy", "guessed"),
        (["3/4/24, 10:00 am"], "dmy", "guessed"),
        (["3/4/24, 10:00 a. m."], "dmy", "guessed"),
        (["3/4/24, 10:00 AM"], "mdy", "guessed"),
        (["2024-03-04 10:00"], "ymd", "no other order"),
    ],
)
def test_the_order_of_dates_is_told_from_the_whole_file(dates: list[str], order: str, reason: str) -> None:
    layout = infer_layout([f"{each} - Ana: hi" for each in dates], until=UNTIL)
    assert (layout.order, reason in layout.reason) == (order, True)


def test_one_day_above_twelve_among_thousands_of_lines_decides() -> None:
    lines = [f"0{1 + number // 500}/05/24, 10:00 - Ana: hi" for number in range(4000)]
    assert infer_layout([*lines, "13/05/24, 10:00 - Ana: hi"], until=UNTIL).order == "dmy"
    assert infer_layout([*lines, "09/13/24, 10:00 - Ana: hi"], until=UNTIL).order == "mdy"


@pytest.mark.parametrize("written", ["1/4/24, 10:00", "01/04/24, 10:00 AM", "1/4/2024, 10:00 PM"])
def test_where_nothing_tells_the_order_both_readings_are_named_and_either_can_be_chosen(written: str) -> None:
    lines = [f"{written} - Ana: hi"]
    with pytest.raises(UnreadableExport, match=r"1 April 2024 .*dmy\) or 4 January 2024 .*mdy"):
        infer_layout(lines, until=UNTIL)
    assert [read(lines, order=order)[0].said_at.month for order in ("dmy", "mdy")] == [4, 1]


def test_an_order_that_makes_no_dates_is_refused() -> None:
    with pytest.raises(UnreadableExport, match="in the order mdy"):
        infer_layout(say("hi"), until=UNTIL, order="mdy")
    with pytest.raises(UnreadableExport, match="between 2009 and"):
        infer_layout(["1445/06/18, 10:00 - Ana: hi"], until=UNTIL)  # of another calendar


@pytest.mark.parametrize(
    "lines", [[], ["Dear diary", "today it rained"], ["x"] * 500 + say("hi"), ["10:00 - Ana: hi"]]
)
def test_what_is_no_export_is_refused(lines: list[str]) -> None:
    with pytest.raises(UnreadableExport, match="No line begins"):
        infer_layout(lines, until=UNTIL)


def test_a_message_keeps_its_lines_and_only_beginnings_like_the_files_own_begin_another() -> None:
    pasted = "She wrote:\n[31.12.23, 23:59:59] Eva: see you\n\n1. milk\n12/12\n5-6-2023 10:00 - Tom: no"
    assert kept(pasted, "next") == [pasted, "next"]
    assert [entry.text for entry in read(["My chat with Ana", "", *say("hi")])] == ["hi"]


@pytest.mark.parametrize(
    "line",
    [
        "Messages and calls are end-to-end encrypted. No one outside of this chat can read them.",
        'Ana created group "Rome"',
        'Ana changed the subject from "Rome" to "Rome: hotels"',
        "Ana hat den Betreff von „Rom“ zu „Rom: Hotels“ geändert.",
        "Ana a changé le sujet « Rome » en « Rome : hôtels »",
        "Ana changed the group name to “Rome: hotels”",
        "+1 202-555-0133 joined using this group's invite link",
        f"Rome: {LRM}Ana added Bob",
        f"Ana: {LRM}Missed voice call, {LRM}Tap to call back",
        "Ana: Verpasster Sprachanruf.",
        "Ana: Messages to this group are now secured with end-to-end encryption. Tap for more info.",
        "Ana: null",
    ],
)
def test_what_whatsapp_says_itself_is_left_out(line: str) -> None:
    entries = read([*say("hi"), f"13/01/2024, 10:05 - {line}"])
    assert [entry.left_out for entry in entries] == [None, LeftOut.NOTICE]


@pytest.mark.parametrize(
    "text",
    [
        "<Media omitted>",
        "<Medien ausgeschlossen>",
        "<Multimedia omitido>",
        "<省略多媒体文件>",
        "<Без медиафайлов>",
        f"{LRM}image omitted",
        "Bild weggelassen",
        "imagen omitida",
        "figurinha omitida",
        f"{LRM}<attached: 00000012-PHOTO-2023-12-31-23-59-03.jpg>",
        f"{LRM}<Anhang: 00000012-Vertrag.pdf>",
        f"{LRM}<pièce jointe : 00000012-AUDIO.opus>",
        f"{LRM}IMG-20231231-WA0001.jpg (file attached)",
        "PTT-20231231-WA0001.opus (archivo adjunto)",
        "Lease 2024.pdf (Datei angehängt)",
        f"{LRM}Lease.pdf • {LRM}3 pages {LRM}document omitted",
    ],
)
def test_media_are_left_out(text: str) -> None:
    assert why(text) == [LeftOut.MEDIA]


@pytest.mark.parametrize(
    "text",
    [
        f"Our table {LRM}<attached: 00000012-PHOTO-2023-12-31-23-59-03.jpg>",
        f"{LRM}IMG-20231231-WA0001.jpg (file attached)\nOur table",
        "<Media omitted>\nOur table",
        f"Our table {LRM}image omitted",
        f"Our table {LRM}<This message was edited>",
        "Our table <This message was edited>",
        "Our table <Diese Nachricht wurde bearbeitet.>",
        f"Our table {LRM}<Dieser Text wurde irgendwie anders>",
    ],
)
def test_a_caption_is_kept_and_marks_are_not(text: str) -> None:
    assert kept(text) == ["Our table"]


@pytest.mark.parametrize(
    "text",
    [
        "This message was deleted",
        "You deleted this message.",
        f"{LRM}You deleted this message.",
        "This message was deleted by admin Bob",
        "Du hast diese Nachricht gelöscht.",
        "Se eliminó este mensaje",
        "Mensagem apagada",
        "Ce message a été supprimé",
        "このメッセージは削除されました。",
    ],
)
def test_deleted_messages_are_left_out(text: str) -> None:
    assert why(text) == [LeftOut.DELETED]


@pytest.mark.parametrize(
    "text",
    [
        "<grin>",
        "<3",
        "I said image omitted yesterday",
        "the catalogue says: image omitted",
        "this message was deleted by my phone, sorry",
        "missed voice call from the doctor",
        "see main.py (line 12)",
        "use cp <old file> <new file>",
        "note: call Bob",
        "https://example.com: a good site",
        "10:30 at the dentist",
        "null and void",
        "👍",
    ],
)
def test_what_only_looks_like_whatsapps_own_words_is_kept(text: str) -> None:
    assert kept(text) == [text]


def test_places_and_polls_are_kept_and_votes_are_not() -> None:
    place = "Location: https://maps.google.com/?q=41.9,12.5"
    assert kept(f"{LRM}{place}") == [place]
    poll = f"{LRM}POLL:\nWhere?\n{LRM}OPTION: Sole ({LRM}{{}} votes)\n{LRM}OPTION: Luna ({LRM}1 vote)"
    assert kept(poll.format(2)) == kept(poll.format(7)) == ["Where?\nOPTION: Sole\nOPTION: Luna"]


def test_senders_and_mentions_lose_their_invisible_marks() -> None:
    entry = read([f"[1/13/24, 10:00:00{NARROW}AM] ~{NARROW}Ana{NO_BREAK}M: @\u2068Bob\u2069 hi\0"])[0]
    assert (entry.sender, entry.text) == ("Ana M", "@Bob hi")
    number = read(["[13/1/24, 10:00:00] \u202a+1 (202) 555-0133\u202c: hi"])[0]
    assert number.sender == "+1 (202) 555-0133"


def test_a_message_longer_than_whatsapp_allows_means_that_this_is_no_export() -> None:
    lines = say("a" * 1000) + ["b" * 1000] * (LONGEST_ENTRY // 1000)
    with pytest.raises(UnreadableExport, match="longer than a message"):
        read(lines)


def test_entries_come_one_at_a_time() -> None:
    layout = infer_layout(say("hi"), until=UNTIL)
    consumed = 0

    def endless() -> Iterator[str]:
        nonlocal consumed
        while True:
            consumed += 1
            yield "13/01/2024, 10:00 - Ana: hi"

    entries = read_export(endless(), layout=layout)
    assert [next(entries).position for _ in range(100)] == list(range(100))
    assert consumed <= 102


ANY_CHAT = st.lists(
    st.tuples(
        st.integers(0, 2), st.sampled_from(["Ana", "Bob"]), st.sampled_from(["ok", "yes", "ok\nthen", "null"])
    ),
    min_size=2,
    max_size=30,
)


@given(said=ANY_CHAT, cut=st.integers(1, 30))
def test_a_longer_export_of_the_same_chat_gives_its_beginning_the_same_keys_and_times(
    said: list[tuple[int, str, str]], cut: int
) -> None:
    when = at(2024, 1, 13, 23, 58)
    entries = []
    for minutes, sender, text in said:
        when += minutes * MINUTE
        entries.append(f"{when:{ANDROID}}{sender}: {text}")

    def place(chosen: Sequence[str]) -> list[tuple[str, datetime]]:
        read_back = read([line for entry in chosen for line in entry.split("\n")])
        return [(entry.key, instant) for entry, instant in place_in_time(read_back, BERLIN)]

    whole = place(entries)
    assert place(entries[:cut]) == whole[:cut]
    assert len({key for key, _ in whole}) == len(whole)


def test_the_same_words_in_one_minute_are_as_many_messages() -> None:
    entries = read(say("ok") * 3)
    assert [entry.repeat for entry in entries] == [0, 1, 2]
    assert len({entry.key for entry in entries}) == 3


def test_keys_stay_what_they_were_when_chats_were_first_imported() -> None:
    assert read(say("ok"))[0].key == "import:7166b60a699d31818f703e621f515bd3cf8fb09678154185caf4fe5de2a50f35"


def local_times(instants: Iterable[datetime], zone: ZoneInfo, *, name: str) -> list[str]:
    return [f"{begin(instant.astimezone(zone).replace(tzinfo=None), name)}Ana: hi" for instant in instants]


@settings(max_examples=200, deadline=None)
@given(
    where=st.sampled_from(
        [
            ("Europe/Berlin", datetime(2023, 10, 28, 22, tzinfo=UTC)),
            ("Europe/Berlin", datetime(2024, 3, 30, 22, tzinfo=UTC)),
            ("America/New_York", datetime(2023, 11, 5, 3, tzinfo=UTC)),
            ("Australia/Lord_Howe", datetime(2024, 4, 6, 12, tzinfo=UTC)),  # half an hour comes twice
            ("Asia/Kathmandu", datetime(2024, 4, 6, 12, tzinfo=UTC)),
        ]
    ),
    name=st.sampled_from(["English (US), iPhone", "German, iPhone"]),
    pauses=st.lists(st.integers(3 * 60, 25 * 60), min_size=8, max_size=20),
)
def test_instants_come_back_through_hours_that_clocks_skip_or_repeat(
    where: tuple[str, datetime], name: str, pauses: list[int]
) -> None:
    zone, instant = ZoneInfo(where[0]), where[1]
    instants = [instant := instant + pause * SECOND for pause in pauses]
    lines = local_times([datetime(2023, 5, 31, tzinfo=UTC), *instants], zone, name=name)
    placed = [instant.replace(microsecond=0) for _, instant in place_in_time(read(lines), zone)]
    assert placed[1:] == instants


def test_messages_that_cross_in_the_hour_that_comes_twice_do_not_move_the_clocks() -> None:
    lines = [f"29/10/2023, 02:{minute} - Ana: hi" for minute in (30, 29, 31)]
    placed = [instant for _, instant in place_in_time(read(lines), BERLIN)]
    assert [instant.hour for instant in placed] == [0, 0, 0]
    lines += [f"29/10/2023, 02:{minute} - Ana: hi" for minute in (10, "09", 40)]
    assert [instant.hour for _, instant in place_in_time(read(lines), BERLIN)] == [0, 0, 0, 1, 1, 1]


def test_messages_of_one_minute_keep_their_order_and_stay_in_it() -> None:
    placed = [instant for _, instant in place_in_time(read(say("ok")[:1] * 1500), BERLIN)]
    assert placed == sorted(placed)
    assert len(set(placed[:1000])) == 1000
    assert placed[-1] - placed[0] < MINUTE


def test_a_layout_reads_no_line_of_another_kind() -> None:
    layout: Layout = infer_layout(say("hi"), until=UNTIL)
    assert layout.read_line("13/01/2024, 10:00 - Ana: hi") == (at(2024, 1, 13, 10), "Ana: hi")
    assert layout.read_line("13.01.2024, 10:00 - Ana: hi") is None
    assert layout.read_line("30/02/2024, 10:00 - Ana: hi") is None
    assert layout.read_line("13/01/2008, 10:00 - Ana: hi") is None
    assert layout.read_line("13/01/2027, 10:00 - Ana: hi") is None
    assert layout.read_line("13/01/2024, 25:00 - Ana: hi") is None
