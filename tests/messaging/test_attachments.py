"""Files of messages: kept once, described once, remembered, sent back, and never in the way of the answer."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from django.core.files.storage import default_storage
from django.db import connection
from django.test import Client
from django.utils import timezone

from accounts.models import WhatsAppUser
from media.models import MediaFile, MessageMedia
from memories.changes import forget_memory
from memories.models import Memory
from messaging import tasks
from messaging.answers import Turn
from messaging.attachment_replies import caption_files
from messaging.attachments import take_media
from messaging.bursts import MEDIA_PAUSE
from messaging.content import read_content
from messaging.delivery import send_message
from messaging.models import Interaction, OutboundMessage, RawMessage
from messaging.turns import process_message
from tests.conftest import make_payload
from tests.doubles.gemini import GeminiDouble, running_gemini_double
from tests.doubles.gemini_model import ModelRequest, Reply, call, describe_as, say
from tests.doubles.twilio import TwilioDouble
from tests.media.files import pdf, picture, voice_note
from tests.settings import SENDER

pytestmark = pytest.mark.django_db(transaction=True)
OTHER = "whatsapp:+12025550142"
CARD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Dana Rivera\r\nTEL:+12025550123\r\nEND:VCARD\r\n"


@pytest.fixture(autouse=True)
def files_folder(settings: Any, tmp_path: Path) -> Iterator[Path]:
    settings.MEDIA_ROOT, settings.UPLOADS_DIR = tmp_path / "files", tmp_path
    yield tmp_path / "files"
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs, mem0_local CASCADE")


@pytest.fixture
def send(
    deliver: Callable[..., Any], run_jobs: Callable[[], int], twilio_double: TwilioDouble
) -> Callable[..., str]:
    """A person sends a file; returns what they are answered."""

    def send(content: bytes, content_type: str = "image/jpeg", *, caption: str = "", **fields: Any) -> str:
        details = {name: fields.pop(name) for name in list(fields) if name.islower()}
        payload = twilio_double.make_media_payload(content, content_type, **details)
        before = len(twilio_double.messages)
        assert deliver(make_payload(caption, **payload, **fields)).status_code == 200
        run_jobs()
        return "\n---\n".join(message.body for message in twilio_double.messages[before:])

    return send


@pytest.fixture
def tell(
    deliver: Callable[..., Any], run_jobs: Callable[[], int], twilio_double: TwilioDouble
) -> Callable[..., str]:
    """A person writes; returns what they are answered."""

    def tell(text: str, **fields: str) -> str:
        before = len(twilio_double.messages)
        deliver(make_payload(text, **fields))
        run_jobs()
        return "\n---\n".join(message.body for message in twilio_double.messages[before:])

    return tell


@pytest.fixture
def gemini(settings: Any) -> Iterator[GeminiDouble]:
    """A model that can see and hear."""
    with running_gemini_double() as double:
        settings.GEMINI_API_KEY, settings.GEMINI_BASE_URL = double.api_key, double.base_url
        yield double


def see(description: str = "", *, text: str = "", language: str = "en") -> Callable[[ModelRequest], Reply]:
    """A model that sees the same in every file."""
    return lambda request: describe_as(description=description, text=text, language=language)


class TestWithoutAModel:
    """What can be read without a key."""

    def test_a_picture_is_kept_remembered_and_found_by_its_caption(
        self, send: Callable[..., str], tell: Callable[..., str], twilio_double: TwilioDouble
    ) -> None:
        answer = send(picture(), caption="Receipt for the boiler repair")
        assert answer == "Saved as #1.\nPicture: kept, but I could not look into it."
        memory = Memory.objects.get()
        assert memory.type == "file"
        assert memory.text == "Picture: Receipt for the boiler repair\n(not described; 64 × 48 pixels)"
        tell("Where is the receipt for the boiler repair?")
        text, file = twilio_double.messages[-2:]
        assert text.body == "Today you sent me: Picture: Receipt for the boiler repair"
        assert file.body.startswith("Picture, ")
        assert file.media_url.startswith("https://bot.example.com/media/")

    def test_the_text_of_a_document_is_found(
        self, send: Callable[..., str], tell: Callable[..., str]
    ) -> None:
        send(pdf("The rent is 940 euros a month"), "application/pdf", file_name="lease.pdf")
        memory = Memory.objects.get()
        assert memory.text.startswith("PDF: lease.pdf\n")
        assert "940 euros" in memory.text
        assert MediaFile.objects.get().described_by == ""
        assert "940 euros" in tell("How much is the rent a month?")

    def test_a_contact_card_becomes_a_person(
        self, send: Callable[..., str], tell: Callable[..., str]
    ) -> None:
        assert send(CARD, "text/vcard") == "Saved as #1."
        memory = Memory.objects.get()
        assert memory.type == "person"
        assert "+12025550123" in memory.text
        assert "+12025550123" in tell("What is Dana Rivera's number?")

    def test_a_sticker_is_kept_and_is_no_memory(self, send: Callable[..., str]) -> None:
        assert send(picture("WEBP", size=(512, 512)), "image/webp") == "I have kept the sticker."
        assert MediaFile.objects.get().kind == "sticker"
        assert not Memory.objects.exists()

    def test_two_pictures_nobody_could_describe_are_two(self, send: Callable[..., str]) -> None:
        assert send(picture(size=(64, 48))).startswith("Saved as #1.")
        assert send(picture(size=(64, 48), quality=30)).startswith("Saved as #2.")

    def test_a_place_is_kept_with_a_link_to_its_map(self, tell: Callable[..., str]) -> None:
        assert tell("", Latitude="51.500729", Longitude="-0.124625", Label="Example Café") == "Saved as #1."
        assert Memory.objects.get().text == (
            "Example Café (51.500729, -0.124625) "
            "https://www.google.com/maps/search/?api=1&query=51.500729,-0.124625"
        )


class TestSentAgain:
    """The same file is one file, and people hear of their own sendings only."""

    def test_one_is_told_when_one_sent_it_before(
        self, send: Callable[..., str], deliver: Callable[..., Any], run_jobs: Callable[[], int]
    ) -> None:
        send(picture(), caption="Menu")
        MessageMedia.objects.update(sent_at=timezone.now() - timedelta(days=400))
        answer = send(picture(), caption="Menu")
        assert answer.startswith("You sent this before, on ")
        assert "[#1]" in answer
        assert Memory.objects.count() == 1
        assert MediaFile.objects.get().forwarded_count == 1

    def test_nobody_hears_of_anothers_sending(self, send: Callable[..., str]) -> None:
        send(picture(), From=OTHER, WaId="12025550142")
        assert "before" not in send(picture())
        assert MediaFile.objects.get().forwarded_count == 1

    def test_a_description_is_made_without_anybodys_caption(
        self, send: Callable[..., str], gemini: GeminiDouble
    ) -> None:
        gemini.describe_with(see("A menu"))
        send(picture(), caption="The code of my safe is 4711", From=OTHER, WaId="12025550142")
        send(picture(), caption="Lunch")
        (asked,) = gemini.descriptions
        assert "4711" not in str(asked)
        mine, theirs = Memory.objects.order_by("-id")
        assert mine.text == "Picture: Lunch\nA menu"
        assert theirs.text == "Picture: The code of my safe is 4711\nA menu"


class TestWithAModel:
    """Descriptions, transcripts, and files going back."""

    def test_a_picture_is_described_once_and_found_by_what_it_shows(
        self,
        send: Callable[..., str],
        tell: Callable[..., str],
        gemini: GeminiDouble,
        twilio_double: TwilioDouble,
    ) -> None:
        gemini.describe_with(see("A receipt of a plumber for 120 euros", text="Boiler 120.00"))
        gemini.play(lambda request: say("A receipt, thank you."))
        assert send(picture()) == "A receipt, thank you.\n\nSaved as #1."
        assert Memory.objects.get().text == "Picture\nA receipt of a plumber for 120 euros\nBoiler 120.00"
        (message,) = gemini.calls[-1].texts[-1:]
        assert '"shows": "A receipt of a plumber for 120 euros"' in message
        assert '"saved_as": "#1"' in message

        def find_and_send(request: ModelRequest) -> Reply:
            if request.step == 0:
                return call(("find_media", {"query": "plumber", "kind": "picture"}))
            if request.step == 1:
                found = request.responses[0][1]["files"]
                return call(("send_media", {"ids": [each["id"] for each in found]}))
            return say("Here it is.")

        gemini.play(find_and_send)
        tell("Show me the plumber's receipt")
        text, file = twilio_double.messages[-2:]
        assert text.body == "Here it is."
        assert file.body.startswith("Picture, ")
        got = Client().get(file.media_url.removeprefix("https://bot.example.com"))
        assert (got.status_code, got["Content-Type"]) == (200, "image/jpeg")
        assert b"".join(got.streaming_content) == picture()
        assert len(gemini.descriptions) == 1

    def test_what_is_said_of_a_picture_alone_is_in_the_language_of_the_talk(
        self, send: Callable[..., str], tell: Callable[..., str], gemini: GeminiDouble
    ) -> None:
        gemini.play(lambda request: say("👍"))
        tell("Mañana tengo cita con el dentista a las nueve")
        assert send(picture()) == "👍\n\nGuardado como #1."

    def test_descriptions_count_towards_what_a_person_may_cost(
        self, send: Callable[..., str], gemini: GeminiDouble, settings: Any
    ) -> None:
        gemini.describe_with(see("Soup"))
        gemini.play(lambda request: say("Noted."))
        send(picture())
        cost = MessageMedia.objects.get().tokens
        assert cost > 0
        Interaction.objects.update(input_tokens=0, output_tokens=0)
        settings.TOKENS_PER_DAY = cost
        send(picture(size=(32, 32)))
        assert len(gemini.descriptions) == 1
        assert "not described" in Memory.objects.order_by("number").last().text  # type: ignore[union-attr]

    def test_a_voice_note_is_heard_as_words_of_ones_own(
        self, send: Callable[..., str], gemini: GeminiDouble
    ) -> None:
        gemini.describe_with(see("About a flight", text="When do I fly to Lisbon?"))
        gemini.play(lambda request: say("You have not told me."))
        assert send(voice_note(), "audio/ogg; codecs=opus") == "You have not told me."
        assert '"spoken_words": "When do I fly to Lisbon?"' in gemini.calls[-1].texts[-1]
        assert [media.mime_type for media in gemini.descriptions[0].media] == ["audio/ogg"]
        assert not Memory.objects.exists()

    def test_a_forwarded_voice_note_is_somebody_elses_and_is_kept_as_a_file(
        self, send: Callable[..., str], gemini: GeminiDouble
    ) -> None:
        gemini.describe_with(see("About a code", text="The gate code is 4711"))
        gemini.play(lambda request: say("Noted."))
        send(voice_note(), "audio/ogg", Forwarded="true")
        assert "spoken_words" not in gemini.calls[-1].texts[-1]
        assert Memory.objects.get().text == "Voice note\nAbout a code\nThe gate code is 4711"

    def test_a_spoken_yes_confirms_nothing(
        self, send: Callable[..., str], tell: Callable[..., str], gemini: GeminiDouble
    ) -> None:
        gemini.play(lambda request: say("Noted."))
        tell("/forget everything")
        gemini.describe_with(see("A yes", text="Yes"))
        send(voice_note(), "audio/ogg")
        assert RawMessage.objects.count() == 2

    def test_files_of_others_are_not_sent(
        self,
        send: Callable[..., str],
        tell: Callable[..., str],
        gemini: GeminiDouble,
        twilio_double: TwilioDouble,
    ) -> None:
        send(picture(), From=OTHER, WaId="12025550142")
        theirs = MessageMedia.objects.get()
        gemini.play(
            lambda request: call(("send_media", {"ids": [theirs.id]})) if request.step == 0 else say("Sorry.")
        )
        tell("Send me that picture")
        assert twilio_double.messages[-1].media_url == ""
        assert gemini.calls[-1].responses == [("send_media", {"error": ANY})]
        mine = Turn(
            user=WhatsAppUser.objects.latest("id"), contents=(read_content(RawMessage.objects.latest("id")),)
        )
        assert mine.user.id != theirs.user_id
        assert caption_files(mine, [theirs.id], language="en") == ([], [])

    def test_a_file_the_model_could_not_see_is_described_later(
        self, send: Callable[..., str], gemini: GeminiDouble, settings: Any
    ) -> None:
        from django.core.management import call_command

        key, settings.GEMINI_API_KEY = settings.GEMINI_API_KEY, ""
        send(picture(), caption="Lunch")
        send(picture(size=(32, 32)), caption="Dinner")
        settings.GEMINI_API_KEY = key
        gemini.describe_with(see("Soup"))
        call_command("describe_media", "--limit", "1")
        assert sorted(Memory.objects.values_list("text", flat=True)) == [
            "Picture: Dinner\n(not described; 32 × 32 pixels)",
            "Picture: Lunch\nSoup",
        ]
        call_command("describe_media")
        assert {row.text for row in Memory.objects.all()} == {"Picture: Lunch\nSoup", "Picture: Dinner\nSoup"}
        call_command("describe_media")
        assert len(gemini.descriptions) == 2


class TestTrouble:
    """The text is answered, whatever becomes of the file, and the truth is told."""

    @pytest.mark.parametrize(
        ("content", "details", "said"),
        [
            (b"", {}, "Picture: there is nothing in it, so there was nothing to keep."),
            (b"MZ\x90\x00" + bytes(500), {}, "Picture: this is not a type of file I keep."),
            (picture()[:300], {}, "Picture: damaged or not safe to open, so I did not keep it."),
            (picture(), {"status": 410}, "Picture: I could not fetch it. Please send it again."),
            (picture(), {"trouble": "endless"}, "Picture: larger than 1 MB, so I could not keep it."),
            (picture(), {"location": "https://evil.example/"}, "the fault is ours, not yours."),
        ],
    )
    def test_a_file_that_is_refused_is_said_to_be_and_why(
        self, send: Callable[..., str], settings: Any, content: bytes, details: Any, said: str
    ) -> None:
        settings.MEDIA_MAX_BYTES = 1024 * 1024
        answer = send(content, caption="This is where I parked", **details)
        assert said in answer
        assert "I saved the text as #1." in answer
        assert Memory.objects.get().text == "This is where I parked"
        assert MessageMedia.objects.get().refusal != ""
        assert not MediaFile.objects.exists()

    def test_a_file_right_behind_its_webhook_is_waited_for(
        self, send: Callable[..., str], twilio_double: TwilioDouble
    ) -> None:
        assert send(picture(), not_found=2).startswith("Saved as #1.")
        assert twilio_double.media[0].requests == 3

    def test_an_answer_does_not_wait_for_ever_and_the_file_comes_later(
        self,
        deliver: Callable[..., Any],
        run_jobs: Callable[[], int],
        twilio_double: TwilioDouble,
    ) -> None:
        payload = twilio_double.make_media_payload(picture(), "image/jpeg", status=503)
        deliver(make_payload("My new bike", **payload))
        raw = RawMessage.objects.get()
        assert take_media(raw.id) is not None
        raw.refresh_from_db()
        assert raw.media_pending
        RawMessage.objects.update(received_at=timezone.now() - timedelta(seconds=40))
        twilio_double.media[0].status = 503
        assert take_media(raw.id) is not None
        raw.refresh_from_db()
        assert not raw.media_pending
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM procrastinate_jobs WHERE task_name = 'messaging.take_media'")
        run_jobs()
        answer = twilio_double.messages[-1].body
        assert "it has not reached me yet" in answer
        assert "I saved the text as #1." in answer
        twilio_double.media[0].status = None
        assert take_media(raw.id) is None
        assert Memory.objects.order_by("number").last().text.startswith("Picture: My new bike")  # type: ignore[union-attr]

    def test_an_answer_waits_for_a_dead_job_no_longer_than_a_minute(
        self, deliver: Callable[..., Any], twilio_double: TwilioDouble
    ) -> None:
        deliver(make_payload("My new bike", **twilio_double.make_media_payload(picture(), "image/jpeg")))
        raw = RawMessage.objects.get()
        assert process_message(raw.id) == MEDIA_PAUSE
        assert not Interaction.objects.exists()
        RawMessage.objects.update(received_at=timezone.now() - timedelta(seconds=61))
        assert process_message(raw.id) is None
        assert "it has not reached me yet" in Interaction.objects.get().answer

    def test_a_file_that_cannot_be_had_within_a_day_is_given_up(
        self, deliver: Callable[..., Any], twilio_double: TwilioDouble
    ) -> None:
        payload = twilio_double.make_media_payload(picture(), "image/jpeg", status=503)
        deliver(make_payload("", **payload))
        raw = RawMessage.objects.get()
        RawMessage.objects.update(received_at=timezone.now() - timedelta(hours=25))
        assert take_media(raw.id) is None
        assert MessageMedia.objects.get().refusal == "unreachable"

    def test_a_file_that_kills_its_workers_is_refused_in_the_end(
        self, deliver: Callable[..., Any], twilio_double: TwilioDouble
    ) -> None:
        payload = twilio_double.make_media_payload(picture(), "image/jpeg")
        deliver(make_payload("", **payload))
        raw = RawMessage.objects.get()
        MessageMedia.objects.create(
            raw_message=raw, user=raw.user, position=0, sent_at=raw.received_at, attempts=4
        )
        assert take_media(raw.id) is None
        assert MessageMedia.objects.get().refusal == "deadly"

    def test_a_model_that_is_away_leaves_the_file_as_it_is_until_it_is_back(
        self, deliver: Callable[..., Any], twilio_double: TwilioDouble, gemini: GeminiDouble
    ) -> None:
        gemini.fail_next("describe", kind="error", status=503, word="UNAVAILABLE", times=2)
        payload = twilio_double.make_media_payload(picture(), "image/jpeg")
        deliver(make_payload("Lunch", **payload))
        raw = RawMessage.objects.get()
        assert take_media(raw.id) is not None
        assert Memory.objects.get().text == "Picture: Lunch\n(not described; 64 × 48 pixels)"
        assert take_media(raw.id) is not None
        gemini.describe_with(see("Soup"))
        assert take_media(raw.id) is None
        assert Memory.objects.get().text == "Picture: Lunch\nSoup"
        assert (twilio_double.media[0].fetches, MediaFile.objects.get().forwarded_count) == (1, 0)

    def test_who_has_stopped_the_bot_has_nothing_fetched(
        self, send: Callable[..., str], tell: Callable[..., str], twilio_double: TwilioDouble
    ) -> None:
        tell("/stop")
        send(picture())
        assert not MessageMedia.objects.exists()
        assert twilio_double.media[0].requests == 0


def test_files_leave_half_of_the_threads_to_those_who_only_write(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_work = []

    def take(raw_message_id: int) -> None:
        at_work.append(raw_message_id)
        if len(at_work) < 100:
            tasks.take_media.func(Context(), raw_message_id + 1)

    class Context:
        class job:
            attempts = 0

    monkeypatch.setattr(tasks.attachments, "take_media", take)
    with pytest.raises(tasks.TryAgain) as later:
        tasks.take_media.func(Context(), 1)
    assert len(at_work) == settings.WORKER_CONCURRENCY // 2
    assert later.value.seconds == tasks.MEDIA_SLOT_SECONDS


class TestForgetting:
    """A file goes with the last memory of it."""

    def test_forgetting_a_picture_takes_its_file_along(
        self, send: Callable[..., str], tell: Callable[..., str], files_folder: Path
    ) -> None:
        send(picture(), caption="Lunch")
        assert [path for path in files_folder.rglob("*") if path.is_file()] != []
        tell("/forget 1")
        assert not MediaFile.objects.exists()
        assert [path for path in files_folder.rglob("*") if path.is_file()] == []
        assert RawMessage.objects.order_by("id")[0].redacted_at is not None

    def test_twilios_copy_goes_too_also_when_twilio_is_away_at_first(
        self, send: Callable[..., str], tell: Callable[..., str], twilio_double: TwilioDouble
    ) -> None:
        send(picture(), caption="Lunch")
        forget_memory(user_id=WhatsAppUser.objects.get().id, number=1)
        twilio_double.fail_deletions = 1
        tell("Hello")
        assert twilio_double.media[0].is_deleted

    def test_everything_that_twilio_has_of_a_person_goes_with_them(
        self, send: Callable[..., str], tell: Callable[..., str], twilio_double: TwilioDouble
    ) -> None:
        send(picture(), caption="Lunch")
        send(picture(size=(32, 32)))
        send(picture(), From=OTHER, WaId="12025550142")
        tell("/forget everything")
        tell("yes")
        assert [file.is_deleted for file in twilio_double.media] == [True, True, False]

    def test_a_file_that_waits_to_be_sent_is_not_sent_once_it_is_forgotten(
        self, send: Callable[..., str], twilio_double: TwilioDouble
    ) -> None:
        send(picture(), caption="Lunch")
        part = OutboundMessage.objects.create(
            interaction=Interaction.objects.get(),
            user=WhatsAppUser.objects.get(),
            part=9,
            to_address=OTHER,
            from_address=OTHER,
            body="",
            media=MessageMedia.objects.get(),
            has_media=True,
        )
        before = len(twilio_double.requests)
        forget_memory(user_id=part.user_id, number=1)
        send_message(part.id)
        part.refresh_from_db()
        assert (part.media, part.status) == (None, "failed")
        assert len(twilio_double.requests) == before


def test_a_lost_send_of_a_file_is_found_among_files_and_not_among_texts(
    send: Callable[..., str], twilio_double: TwilioDouble, settings: Any
) -> None:
    send(picture(), caption="Lunch")
    part = OutboundMessage.objects.create(
        interaction=Interaction.objects.get(),
        user=WhatsAppUser.objects.get(),
        part=9,
        to_address=OTHER,
        from_address=SENDER,
        body="Picture",
        media=MessageMedia.objects.get(),
        has_media=True,
        status="sending",
        attempted_at=timezone.now() - timedelta(minutes=1),
    )
    twilio_double.add_message(to=OTHER, from_=SENDER, body="Picture")
    lost = twilio_double.add_message(
        to=OTHER, from_=SENDER, body="Picture", media_url="https://bot.example.com/x"
    )
    twilio_double.add_message(to=OTHER, from_=SENDER, body="Picture")
    before = len(twilio_double.messages)
    send_message(part.id)
    part.refresh_from_db()
    assert (part.status, part.twilio_sid) == ("sent", lost.sid)
    assert len(twilio_double.messages) == before


def test_the_file_is_really_there(send: Callable[..., str]) -> None:
    send(picture())
    file = MediaFile.objects.get()
    assert default_storage.open(file.storage_name).read() == picture()
    assert default_storage.open(file.thumbnail_name).read()[:2] == b"\xff\xd8"
