"""Files a phone sends: uploaded by the page, brought to the webhook, shown in the chat."""

from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import IntegrityError, connection, transaction
from django.test import Client
from procrastinate.contrib.django.models import ProcrastinateJob

from messaging.simulator.attachments import clean_content_type, infer_message_type
from messaging.simulator.models import SimulatedMedia, SimulatedMessage
from messaging.simulator.posts import get_inbound_fields
from tests.conftest import PAYLOADS
from tests.settings import ACCOUNT_SID
from tests.simulator.conftest import attach, make_picture, make_sid, write
from tests.simulator.test_views import poll

pytestmark = pytest.mark.django_db
PICTURE = make_picture(12, 8)


def upload(
    client: Client,
    content: bytes = PICTURE,
    *,
    name: str = "a.png",
    claimed: str = "image/png",
    **fields: Any,
) -> Any:
    file = SimpleUploadedFile(name, content, claimed)
    data = {"phone": "us", "sid": make_sid("MM"), "body": "", "file": file} | fields
    return client.post("/simulator/send", data)


def test_a_picture_is_stored_apart_from_what_the_bot_keeps(admin_client: Client, settings: Any) -> None:
    answer = upload(admin_client, body="Where I parked")
    assert answer.status_code == 201, answer.content
    media = SimulatedMedia.objects.get()
    assert Path(media.file.path) == settings.UPLOADS_DIR / "simulator" / media.sid
    assert Path(media.file.path).read_bytes() == PICTURE
    assert Path(media.file.path).stat().st_mode & 0o077 == 0
    assert answer.json()["message"]["body"] == "Where I parked"
    assert answer.json()["message"]["media"] == {
        "sid": media.sid,
        "type": "image/png",
        "kind": "image",
        "name": "a.png",
        "size": len(PICTURE),
        "width": 12,
        "height": 8,
    }
    assert ProcrastinateJob.objects.get().task_name == "simulator.deliver"


def test_a_file_posted_again_is_kept_once(admin_client: Client) -> None:
    sid = make_sid("MM")
    first, again = upload(admin_client, sid=sid), upload(admin_client, sid=sid)
    assert first.json() == again.json()
    assert SimulatedMedia.objects.count() == ProcrastinateJob.objects.count() == 1


def test_a_file_that_is_too_big_is_refused_in_words(admin_client: Client, settings: Any) -> None:
    settings.MEDIA_MAX_BYTES = 1024
    answer = upload(admin_client, b"x" * 1025)
    assert answer.status_code == 400
    assert "At most 1.0\xa0KB can be sent" in answer.json()["error"]
    assert not SimulatedMessage.objects.exists()
    assert upload(admin_client, b"x" * 1024).status_code == 201


@pytest.mark.parametrize(
    "fields", [{"sid": make_sid("SM")}, {"file": ""}, {"phone": "mars"}, {"sid": "ME" + "0" * 32}]
)
def test_a_file_needs_a_sid_for_media_and_such_a_sid_needs_a_file(
    admin_client: Client, fields: dict[str, Any]
) -> None:
    assert upload(admin_client, **fields).status_code == 400
    assert not SimulatedMessage.objects.exists()


def test_an_upload_needs_djangos_token_and_staff(admin_user: Any, client: Client) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(admin_user)
    assert upload(strict).status_code == upload(client).status_code == 403
    assert not SimulatedMedia.objects.exists()


def test_a_message_the_webhook_refused_is_sent_again_without_its_file(admin_client: Client) -> None:
    message = attach(PICTURE, content_type="image/png")
    SimulatedMessage.objects.update(status="failed")
    answer = admin_client.post("/simulator/send", {"phone": "us", "sid": message.sid, "body": ""})
    assert (answer.status_code, answer.json()["message"]["status"]) == (201, "sent")
    assert ProcrastinateJob.objects.count() == 1


@pytest.mark.parametrize(
    ("name", "claimed", "body", "said", "kind"),
    [
        ("lease.pdf", "application/pdf", "", "lease.pdf", "document"),
        ("lease.pdf", "application/pdf", "The lease", "The lease", "document"),
        ("page.html", "text/html", "", "page.html", "document"),
        ("draw.svg", "image/svg+xml", "", "draw.svg", "document"),
        ("a.jpg", "image/jpeg", "", "", "image"),
        ("a.heic", "image/heic", "", "", "document"),
        ("a.vcf", "text/x-vcard", "", "", "contacts"),
        ("a.webp", "image/webp", "", "", "sticker"),
    ],
)
def test_documents_say_their_name_and_only_safe_types_are_shown_in_place(
    admin_client: Client, name: str, claimed: str, body: str, said: str, kind: str
) -> None:
    message = upload(admin_client, b"not what it says", name=name, claimed=claimed, body=body).json()[
        "message"
    ]
    assert (message["body"], message["media"]["kind"]) == (said, kind)
    assert message["media"]["width"] is None


def test_a_recording_has_no_name(admin_client: Client) -> None:
    message = upload(
        admin_client, b"OggS", name="voice-note.ogg", claimed="audio/ogg;codecs=opus", recorded="true"
    ).json()["message"]
    assert (message["media"]["name"], message["media"]["type"], message["body"]) == ("", "audio/ogg", "")
    assert poll(admin_client)["phones"][0]["last"]["text"] == "Voice message"


@pytest.mark.parametrize("claimed", ["", "x", "text/html\r\nX: y", "a/" + "b" * 100, "text/h\u00e9"])
def test_a_type_that_is_none_is_unknown_bytes(claimed: str) -> None:
    assert clean_content_type(claimed) == "application/octet-stream"
    assert infer_message_type(clean_content_type(claimed)) == "document"


@pytest.mark.parametrize(
    ("number", "name", "content_type"),
    [
        (1, "a.jpg", "image/jpeg"),
        (2, "a.jpg", "image/jpeg"),
        (3, "", "audio/ogg"),
        (4, "lease-2026-signed.pdf", "application/pdf"),
        (13, "a.vcf", "text/vcard"),
        (22, "a.webp", "image/webp"),
        (23, "a.mp4", "video/mp4"),
    ],
)
def test_the_webhook_gets_what_twilio_would_post(
    number: int, name: str, content_type: str, settings: Any
) -> None:
    example = PAYLOADS[number]
    message = attach(b"bytes", content_type=content_type, name=name, body=example["Body"])
    fields = get_inbound_fields(message)
    path = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages/{message.sid}/Media/{message.media.sid}"
    assert fields["MediaUrl0"] == settings.TWILIO_API_BASE_URL + path
    assert set(fields) == set(example)
    same = ("NumMedia", "MessageType", "MediaContentType0", "Body", "NumSegments", "SmsStatus")
    assert {key: fields[key] for key in same} == {key: example[key] for key in same}


@pytest.mark.django_db(transaction=True)
def test_the_bytes_go_with_the_message_once_that_is_committed() -> None:
    message = attach(PICTURE, content_type="image/png")
    path = Path(message.media.file.path)
    with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
        SimulatedMessage.objects.filter(id=message.id).delete()
        raise ZeroDivisionError
    assert path.exists()
    SimulatedMessage.objects.filter(id=message.id).delete()
    assert not path.exists()


def test_a_file_whose_row_is_refused_leaves_no_bytes(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = settings.UPLOADS_DIR / "simulator"
    before = set(folder.iterdir()) if folder.exists() else set()

    def refuse(self: SimulatedMedia, *_: Any, **__: Any) -> None:
        raise IntegrityError

    monkeypatch.setattr(SimulatedMedia, "save", refuse)
    with pytest.raises(IntegrityError):
        attach(PICTURE, content_type="image/png")
    assert set(folder.iterdir()) == before
    assert not SimulatedMessage.objects.exists()


def test_the_database_refuses_a_media_sid_of_another_shape() -> None:
    media = attach(b"x", content_type="image/png").media
    with (
        pytest.raises(IntegrityError, match="simulated_media_sid_shape"),
        transaction.atomic(),
        connection.cursor() as cursor,
    ):
        cursor.execute("UPDATE simulator_simulatedmedia SET sid = 'MEx' WHERE id = %s", [media.id])


def test_a_poll_costs_no_more_for_files(admin_client: Client, django_assert_num_queries: Any) -> None:
    for _ in range(5):
        quoted = attach(b"x", content_type="image/png")
        write("and this?", replied_to_sid=quoted.sid)
    attach(b"x", content_type="image/png", phone="de")
    with django_assert_num_queries(4):  # session, user, phones, messages
        answer = poll(admin_client)
    assert answer["messages"][-1]["quote"]["text"] == "Photo"


# --- What the page shows


def get(client: Client, message: SimulatedMessage, **headers: str) -> Any:
    return client.get(f"/simulator/media/{message.media.sid}", headers=headers)


@pytest.mark.parametrize(
    ("claimed", "served", "disposition"),
    [
        ("image/png", "image/png", "inline"),
        ("image/gif", "image/gif", "inline"),
        ("audio/ogg", "audio/ogg", "inline"),
        ("video/mp4", "video/mp4", "inline"),
        ("application/pdf", "application/pdf", "attachment"),
        ("image/svg+xml", "application/octet-stream", "attachment"),
        ("text/html", "application/octet-stream", "attachment"),
        ("application/xhtml+xml", "application/octet-stream", "attachment"),
        ("text/vcard", "application/octet-stream", "attachment"),
    ],
)
def test_only_what_can_run_nothing_is_served_in_place(
    admin_client: Client, claimed: str, served: str, disposition: str
) -> None:
    answer = get(admin_client, attach(b"<script>", content_type=claimed, name='na"me\u00e9.x'))
    assert (answer.status_code, answer["Content-Type"]) == (200, served)
    assert answer["Content-Disposition"].startswith(f"{disposition}; filename")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert "private" in answer["Cache-Control"]
    assert b"".join(answer.streaming_content) == b"<script>"


def test_files_of_a_chat_are_for_staff(client: Client) -> None:
    assert get(client, attach(b"x", content_type="image/png")).status_code == 403


def test_a_file_that_is_not_there_is_not_found(admin_client: Client) -> None:
    assert admin_client.get(f"/simulator/media/{make_sid('ME')}").status_code == 404


@pytest.mark.parametrize(
    ("asked", "content", "told"),
    [
        ("bytes=0-", b"0123456789", "bytes 0-9/10"),
        ("bytes=2-4", b"234", "bytes 2-4/10"),
        ("bytes=7-99", b"789", "bytes 7-9/10"),
        ("bytes=-3", b"789", "bytes 7-9/10"),
    ],
)
def test_a_player_gets_the_part_it_asks_for(
    admin_client: Client, asked: str, content: bytes, told: str
) -> None:
    answer = get(admin_client, attach(b"0123456789", content_type="audio/ogg"), Range=asked)
    assert (answer.status_code, answer["Content-Range"]) == (206, told)
    assert answer["Content-Length"] == str(len(content))
    assert b"".join(answer.streaming_content) == content


@pytest.mark.parametrize(
    ("asked", "status"), [("bytes=10-", 416), ("bytes=5-2", 416), ("bytes=-", 200), ("x", 200)]
)
def test_a_part_that_is_none(admin_client: Client, asked: str, status: int) -> None:
    answer = get(admin_client, attach(b"0123456789", content_type="audio/ogg"), Range=asked)
    assert answer.status_code == status
