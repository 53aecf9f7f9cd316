"""A person with a browser: the whole bot, from the message typed to the answer read."""

import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from mutagen.oggopus import OggOpus
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, expect

from messaging.simulator.phones import PHONES
from tests.simulator.conftest import make_picture

PATIENCE = 20_000  # milliseconds; the first message loads the embedder
OpenPhone = Callable[..., Page]

STATEMENT = "My sister's birthday is on 14 March"
QUESTION = "When is my sister's birthday?"


@pytest.fixture
def open_phone(browser: Browser, running_server: Any, faults: list[str]) -> Iterator[OpenPhone]:
    """Sign in and pick up a phone. At the end the browser may not have complained about anything."""
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            faults.append(message.text)

    def open_page(key: str | None, *, width: int = 1280, height: int = 860) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height})
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.goto(f"{running_server.base_url}/simulator")
        page.get_by_label("Username").fill(running_server.staff_username)
        page.get_by_label("Password").fill(running_server.staff_password)
        page.keyboard.press("Enter")
        page.locator("#phones").wait_for()
        page.on("console", note)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.reload()
        if key is not None:
            page.locator(f"a[data-phone={key}]").click()
            page.locator(f"#log[data-phone={key}]").wait_for()
        return page

    expect.set_options(timeout=PATIENCE)
    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def say(page: Page, text: str) -> Locator:
    """Write a message and press Enter; returns its bubble."""
    page.locator("#body").fill(text)
    page.locator("#body").press("Enter")
    return sent(page).last


def sent(page: Page) -> Locator:
    return page.locator(".message.mine")


def replies(page: Page) -> Locator:
    return page.locator(".message.theirs")


def assert_fits(page: Page, width: int) -> None:
    """Nothing sticks out to the side: not the page, not the list, not the chat."""
    widths = page.evaluate(
        "[document.documentElement, document.body, ...document.querySelectorAll('.phones ul, .log, .bench')]"
        ".filter((one) => one.offsetParent !== null || one === document.documentElement)"
        ".map((one) => one.scrollWidth - one.clientWidth)"
    )
    assert set(widths) == {0}
    assert page.evaluate("innerWidth") == width


def test_what_was_said_is_remembered_and_quoted_when_asked_for(open_phone: OpenPhone) -> None:
    page = open_phone("us")
    # Other tests may have left a message unread on another phone: "(1) Whatsbot simulator".
    expect(page).to_have_title(re.compile(r"^(\(\d+\) )?Whatsbot simulator$"))
    page.get_by_role("button", name=STATEMENT).click()  # an example, tapped
    expect(sent(page).locator(".text")).to_have_text(STATEMENT)
    expect(replies(page)).to_have_count(1)
    expect(page.locator("#typing")).to_be_hidden()
    question = say(page, QUESTION)
    expect(replies(page)).to_have_count(2)
    expect(replies(page).last).to_contain_text(STATEMENT)
    expect(question).to_have_attribute("data-status", "read")
    expect(question.locator(".status")).to_have_text("Read by the bot")
    expect(replies(page).last).to_have_attribute("data-status", "read")
    page.reload()
    expect(replies(page).last).to_contain_text(STATEMENT)


def test_a_message_delivered_twice_is_answered_once(open_phone: OpenPhone) -> None:
    page = open_phone("gb")
    page.get_by_role("switch", name="Deliver this twice").check()
    expect(page.locator("#armed")).to_contain_text("delivered twice")
    bubble = say(page, "The spare key is under the blue pot")
    expect(bubble.locator(".note")).to_have_text("delivered twice")
    expect(page.get_by_role("switch", name="Deliver this twice")).not_to_be_checked()
    expect(replies(page)).to_have_count(1)
    say(page, "/help")  # answers come in order: after this one, a second answer to the first would be here
    expect(replies(page).last).to_contain_text("/")
    expect(replies(page)).to_have_count(2)


def test_a_reply_whose_answer_was_lost_is_not_sent_again(open_phone: OpenPhone) -> None:
    page = open_phone("fr")
    page.get_by_role("switch", name="Lose the reply").check()
    say(page, "The dentist is on Rue de Rivoli")
    expect(replies(page).locator(".note")).to_have_text("bot was told: error 503")
    expect(replies(page)).to_have_attribute("data-status", "read")
    say(page, "/help")
    expect(replies(page)).to_have_count(2)
    expect(replies(page).last.locator(".note")).to_be_empty()


def test_everything_works_on_a_narrow_screen(open_phone: OpenPhone) -> None:
    page = open_phone(None, width=360, height=740)
    expect(page.locator(".phones")).to_be_visible()
    expect(page.locator(".device")).to_be_hidden()
    assert_fits(page, 360)
    page.locator("a[data-phone=de]").click()
    expect(page.locator(".phones")).to_be_hidden()
    assert_fits(page, 360)
    say(page, "Donaudampfschifffahrt" * 12)
    expect(replies(page)).to_have_count(1)
    assert_fits(page, 360)
    page.get_by_role("button", name="How this works, and switches").click()
    expect(page.get_by_role("switch", name="Lose the reply")).to_be_visible()
    assert_fits(page, 360)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Back to the phones").click()
    expect(page.locator(".phones")).to_be_visible()
    expect(page.locator("a[data-phone=de] .phone-last")).not_to_be_empty()


def test_whatsapps_formatting_is_shown_and_html_is_text(open_phone: OpenPhone) -> None:
    page = open_phone("au")
    html = "<img src=x onerror=alert(1)>"
    bubble = say(
        page,
        f"*bold* _italic_ ~struck~ `code` 2*3*4 a_b_c *x*y https://example.com/a_b. ```mono {html}``` {html}",
    )
    text = bubble.locator(".text")
    for tag, content in (("strong", "bold"), ("em", "italic"), ("s", "struck"), ("code >> nth=0", "code")):
        expect(text.locator(tag)).to_have_text(content)
    expect(text.locator("code.block")).to_have_text(f"mono {html}")
    expect(text.locator("a")).to_have_attribute("href", "https://example.com/a_b")
    expect(text).to_contain_text("2*3*4 a_b_c *x*y")
    expect(text.locator("img")).to_have_count(0)


def test_enter_sends_and_shift_with_enter_starts_a_line(open_phone: OpenPhone) -> None:
    page = open_phone("au")
    page.locator("#body").press("Enter")  # nothing written yet
    page.keyboard.type("first line")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("second line")
    page.keyboard.press("Enter")
    expect(sent(page).filter(has_text="first line")).to_have_count(1)
    assert sent(page).last.locator(".text").text_content() == "first line\nsecond line"
    expect(page.locator("#body")).to_have_value("")


def test_a_message_can_be_quoted_and_looked_into_by_keyboard(open_phone: OpenPhone) -> None:
    page = open_phone("hidden")
    say(page, "The boiler code is 2291")
    expect(replies(page)).to_have_count(1)
    expect(replies(page)).to_have_attribute("data-status", "read")
    replies(page).focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Quote this message").last).to_be_focused()
    page.keyboard.press("Enter")
    answer = say(page, "Thanks")
    expect(answer.locator(".quote")).to_contain_text("Whatsbot")
    expect(replies(page)).to_have_count(2)
    page.reload()
    expect(sent(page).last.locator(".quote")).to_contain_text("Whatsbot")  # the server knows it too
    replies(page).first.focus()
    page.keyboard.press("ArrowUp")
    expect(sent(page).first).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#details-list")).to_contain_text("answered 200")


def test_a_place_can_be_shared(open_phone: OpenPhone) -> None:
    page = open_phone("hidden")
    page.get_by_role("button", name="Share a place").click()
    page.get_by_label("Name").fill("Where the bikes are")
    page.get_by_role("dialog").get_by_role("button", name="Send").click()
    expect(sent(page).last.locator(".place")).to_contain_text("Where the bikes are")
    expect(sent(page).last).to_have_attribute("data-status", "read")
    # The answer comes after BURST_SECONDS; unseen, it would count as unread in other tests.
    expect(page.locator(".message.theirs").last).to_contain_text("Saved as #")


def test_times_are_those_of_the_phone_in_hand(open_phone: OpenPhone) -> None:
    page = open_phone("au")
    now = datetime.now(ZoneInfo(PHONES["au"].time_zone[0]))
    possible = {(now + timedelta(minutes=minutes)).strftime("%H:%M") for minutes in (-1, 0, 1)}
    assert page.locator("#statusbar-clock").text_content() in possible
    bubble = say(page, "/help")
    assert bubble.locator("time").text_content() in possible
    expect(page.locator(".day").last).to_have_text("Today")


def test_messages_that_wait_on_another_phone_are_counted(open_phone: OpenPhone) -> None:
    page = open_phone("de")
    say(page, "/help")
    page.locator("a[data-phone=us]").click()
    counter = page.locator("a[data-phone=de] .phone-unread")
    expect(counter).to_be_visible()
    expect(counter).to_have_text(re.compile("[12]"))
    expect(page).to_have_title(re.compile(r"^\([1-9]\) "))
    page.locator("a[data-phone=de]").click()
    expect(counter).to_be_hidden()


def test_files_are_attached_each_as_a_message_and_a_picture_is_shown_large(open_phone: OpenPhone) -> None:
    page = open_phone("gb")
    count = sent(page).count()
    files: Any = [
        {"name": "garden.png", "mimeType": "image/png", "buffer": make_picture(600, 400)},
        {"name": "lease.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7"},
    ]
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Attach files").click()
    chooser.value.set_files(files)
    expect(page.locator("#tray li")).to_have_count(2)
    expect(page.locator("#tray canvas")).to_have_count(1)
    page.keyboard.type("The garden in May")
    page.keyboard.press("Enter")
    expect(page.locator("#tray")).to_be_hidden()
    expect(sent(page)).to_have_count(count + 2)
    picture, document = sent(page).nth(count), sent(page).nth(count + 1)
    expect(picture.locator(".text")).to_have_text("The garden in May")
    expect(document.locator("a.card strong")).to_have_text("lease.pdf")
    expect(document.locator(".text")).to_be_hidden()  # the name stands on the card
    shown = picture.locator(".picture img")
    expect(shown).to_be_visible()
    assert shown.evaluate("(one) => one.decode().then(() => one.naturalWidth)") == 600
    picture.get_by_role("button", name="Enlarge").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#viewer")).to_contain_text("600 × 400")
    page.keyboard.press("Escape")
    expect(page.locator("#viewer")).to_be_hidden()
    expect(picture).to_have_attribute("data-status", "read")
    expect(document).to_have_attribute("data-status", "read")


def test_files_are_pasted_or_dropped_and_one_that_is_too_big_is_refused(open_phone: OpenPhone) -> None:
    page = open_phone("gb")
    give = """([target, type, field, size]) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(size)], "given.png", { type: "image/png" }));
        const event = new Event(type, { bubbles: true, cancelable: true });
        event[field] = data;
        document.getElementById(target).dispatchEvent(event);
    }"""
    page.evaluate(give, ["body", "paste", "clipboardData", 9])
    page.evaluate(give, ["log", "drop", "dataTransfer", 9])
    expect(page.locator("#tray li")).to_have_count(2)
    page.evaluate(give, ["log", "drop", "dataTransfer", 64 * 1024 * 1024 + 1])
    expect(page.locator("#composer-fault")).to_contain_text("at most 67 MB can be sent")
    page.get_by_role("button", name="Do not send given.png").first.click()
    expect(page.locator("#tray li")).to_have_count(1)
    page.get_by_role("button", name="Do not send given.png").click()
    expect(page.get_by_role("button", name="Record a voice note")).to_be_visible()


def test_a_voice_note_is_recorded_and_arrives_as_ogg_opus(open_phone: OpenPhone) -> None:
    page = open_phone("gb", width=360, height=740)
    count = sent(page).count()
    page.get_by_role("button", name="Record a voice note").click()
    page.get_by_role("button", name="Discard the recording").click()
    expect(page.get_by_role("button", name="Record a voice note")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("timer")).to_have_text("0:01")
    assert_fits(page, 360)
    page.get_by_role("button", name="Send the voice note").press("Enter")
    expect(sent(page)).to_have_count(count + 1)
    player = sent(page).last.locator("audio")
    expect(player).to_be_visible()
    assert_fits(page, 360)
    note: Any = OggOpus(io.BytesIO(page.request.get(player.evaluate("(one) => one.src")).body()))
    assert 0.8 < note.info.length < 10
    assert note.info.channels == 1
    decode = """async (one) => {
        const bytes = await (await fetch(one.src)).arrayBuffer();
        return (await new OfflineAudioContext(1, 1, 48000).decodeAudioData(bytes)).duration;
    }"""
    assert player.evaluate(decode) == pytest.approx(note.info.length, abs=0.05)
    expect(sent(page).last).to_have_attribute("data-status", "read")


def test_a_file_of_the_bots_is_seen_and_an_svg_is_only_offered(
    open_phone: OpenPhone, running_server: Any
) -> None:
    page = open_phone("fr")
    keys = json.loads((running_server.stack.data_dir / "secrets.json").read_text())
    account = keys["SIMULATOR_ACCOUNT_SID"]

    def send(path: str, body: str) -> None:
        answer = requests.post(
            f"{running_server.base_url}/simulator/twilio/2010-04-01/Accounts/{account}/Messages.json",
            auth=(account, keys["SIMULATOR_AUTH_TOKEN"]),
            data={
                "To": PHONES["fr"].address,
                "From": "whatsapp:+12025550199",
                "Body": body,
                "MediaUrl": f"{running_server.base_url}/static/{path}",
            },
            timeout=10,
        )
        assert answer.status_code == 201, answer.text

    send("rest_framework/img/grid.png", "From *May*")
    picture = replies(page).filter(has_text="From May")
    expect(picture.locator(".picture img")).to_be_visible()
    assert picture.locator("img").evaluate("(one) => one.decode().then(() => one.naturalWidth)") > 0
    expect(picture).to_have_attribute("data-status", "read")
    send("whatsbot/icon.svg", "WhatsApp drops this")
    expect(replies(page).last.locator("a.card strong")).to_have_text("icon.svg")
    expect(replies(page).last.locator(".note")).to_have_text("WhatsApp shows no text with this file")
    with page.expect_download() as download:
        replies(page).last.locator("a.card").click()
    assert download.value.suggested_filename == "icon.svg"
    send("nothing-here.png", "")
    expect(replies(page).last).to_contain_text("Media failed to download")
    expect(replies(page).last).to_have_attribute("data-status", "failed")


def test_a_session_that_ended_says_so(open_phone: OpenPhone, faults: list[str]) -> None:
    page = open_phone("us")
    page.context.clear_cookies()
    expect(page.locator("#banner")).to_contain_text("Your session has ended.")
    expect(page.get_by_role("link", name="Sign in again")).to_have_attribute(
        "href", re.compile("^/admin/login/")
    )
    page.close()
    assert faults
    assert all("403" in fault for fault in faults)
    faults.clear()  # the browser says each refusal; here they are expected
