"""Support staff with a browser: find somebody, read, retry, delete; and what each role cannot see."""

import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.processes import RunningServer, wait_for
from tests.simulator.conftest import make_picture

PATIENCE = 20_000  # milliseconds
NUMBER, WRITTEN_BADLY = "+4915228817386", "0152 / 288-17386"
SECRET = "The zanzibar safe opens with 4711"
QUESTION = "What opens the zanzibar safe?"
PASSWORD = secrets.token_urlsafe(12)
SignIn = Callable[..., Page]


@pytest.fixture(scope="module", autouse=True)
def logins(running_server: RunningServer) -> None:
    """A login for each role."""
    password = PBKDF2PasswordHasher().encode(PASSWORD, secrets.token_hex(8), iterations=1)
    for role in ("Support", "Privacy", "Operator"):
        running_server.stack.sql(
            "WITH login AS (INSERT INTO accounts_staffuser (password, is_superuser, username, first_name, last_name,"
            " email, is_staff, is_active, date_joined)"
            " VALUES (%s, false, %s, '', '', '', true, true, now()) RETURNING id)"
            " INSERT INTO accounts_staffuser_groups (staffuser_id, group_id)"
            " SELECT login.id, auth_group.id FROM login, auth_group WHERE name = %s RETURNING 1",
            *(password, role.lower(), role),
        )


@pytest.fixture
def sign_in(browser: Browser, running_server: RunningServer, faults: list[str]) -> Iterator[SignIn]:
    """A browser of somebody's. At the end none may have complained about anything."""
    contexts = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "403" not in message.text:
            faults.append(message.text)

    def open_browser(name: str, *, width: int = 1280, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            base_url=running_server.base_url,
            color_scheme="dark" if dark else "light",
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", note)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto("/admin/")
        is_root = name == running_server.staff_username
        page.get_by_label("Username").fill(name)
        page.get_by_label("Password").fill(running_server.staff_password if is_root else PASSWORD)
        page.keyboard.press("Enter")
        page.locator("#nav-sidebar").wait_for(state="attached")
        return page

    expect.set_options(timeout=PATIENCE)
    yield open_browser
    for context in contexts:
        context.close()
    assert faults == []


@pytest.fixture
def talk(sign_in: SignIn, running_server: RunningServer, tmp_path: Path) -> None:
    """Somebody tells a secret, asks for it, and sends a picture."""
    page = sign_in(running_server.staff_username)
    page.goto("/simulator")
    page.locator("a[data-phone=de]").click()
    page.locator("#log[data-phone=de]").wait_for()
    (tmp_path / "zanzibar.png").write_bytes(make_picture(300, 200))
    replies = page.locator(".message.theirs")
    for text, file in ((SECRET, ""), (QUESTION, ""), ("The safe", "zanzibar.png")):
        before = replies.count()
        if file:
            page.set_input_files("#files", [tmp_path / file])
        page.locator("#body").fill(text)
        page.locator("#body").press("Enter")
        expect(replies).to_have_count(before + 1)
        expect(page.locator(".message").last).to_have_attribute("data-status", "read")


def find_person(page: Page) -> str:
    """Look for the person as support does, say why, and return the address of their page."""
    page.goto("/admin/accounts/whatsappuser/")
    page.locator("#searchbar").fill(WRITTEN_BADLY)
    page.keyboard.press("Enter")
    page.wait_for_url("**?q=*")
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)
    rows.first.get_by_role("link").first.click()
    page.get_by_label("Reason").wait_for()
    check_accessibility(page)
    page.get_by_label("Reason").fill("Asked why the bot said that")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Conversation").wait_for()
    return page.url


def check_accessibility(page: Page) -> None:
    """No serious problem of accessibility on this page, as axe-core sees it."""
    found = Axe().run(page).response["violations"]
    serious = [
        (problem["id"], [node["target"] for node in problem["nodes"]][:3])
        for problem in found
        if problem["impact"] in ("serious", "critical")
    ]
    assert serious == [], page.url


def assert_fits(page: Page) -> None:
    """Nothing sticks out to the side."""
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0, (page.url, wide)


@pytest.mark.usefixtures("talk")
def test_support_finds_reads_and_understands_and_privacy_erases(
    sign_in: SignIn, running_server: RunningServer
) -> None:
    stack = running_server.stack
    # Support finds somebody by a badly written number; the list does not show the whole number.
    support = sign_in("support")
    person = find_person(support)
    user_id = int(re.findall(r"/(\d+)/change", person)[0])
    # The conversation, with the picture and the memory that answered.
    support.get_by_role("link", name="Conversation").click()
    expect(support.locator(".bo-in .bo-text", has_text=SECRET)).to_be_visible()
    expect(support.locator(".bo-out", has_text=SECRET).first).to_be_visible()
    picture = support.locator(".bo-file img").first
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    check_accessibility(support)
    # The message explained.
    support.locator(".bo-in", has_text=QUESTION).get_by_role("link", name="Explain").click()
    expect(support.locator("#stage-delivered")).to_contain_text("done")
    expect(support.locator(".bo-memories").first).to_contain_text(SECRET)
    check_accessibility(support)
    message = support.url
    # What failed is retried by an operator, who sees no text, and no second reply is sent.
    outbound = stack.sql(
        "UPDATE messaging_outboundmessage SET status = 'failed', twilio_sid = NULL, error_code = 63016, sent_at = NULL,"
        " delivered_at = NULL, read_at = NULL WHERE interaction_id = (SELECT turn_id FROM messaging_rawmessage"
        " WHERE body = %s) RETURNING id",
        QUESTION,
    )[0][0]
    operator = sign_in("operator")
    operator.goto(message)
    expect(operator.locator("#stage-sent")).to_contain_text("failed")
    assert "zanzibar" not in operator.content()
    operator.locator("#stage-sent").get_by_role("button").click()
    arrived = "SELECT 1 FROM messaging_outboundmessage WHERE id = %s AND status IN ('delivered', 'read')"
    wait_for(lambda: stack.sql(arrived, outbound), seconds=20, what="the part to be delivered")
    replies = "SELECT count(*) FROM messaging_outboundmessage JOIN messaging_rawmessage raw USING (user_id)"
    assert stack.sql(f"{replies} WHERE raw.body = %s AND interaction_id = raw.turn_id", QUESTION) == [(1,)]
    # Privacy erases the person.
    privacy = sign_in("privacy")
    person = find_person(privacy)
    files = stack.sql(
        "SELECT storage_name FROM media_mediafile file JOIN media_messagemedia link ON link.file_id = file.id"
        " WHERE link.user_id = %s",
        user_id,
    )
    assert files
    privacy.goto(person.replace("/change/", "/delete/"))
    expect(privacy.locator("main, #content-main, body").first).to_contain_text("Mem0")
    check_accessibility(privacy)
    privacy.get_by_role("button", name=re.compile("sure|delete|erase", re.IGNORECASE)).click()
    expect(privacy.locator("body")).to_contain_text(
        re.compile("confirmed|nothing is left", re.IGNORECASE), timeout=60_000
    )
    check_accessibility(privacy)
    tables = {
        "accounts_whatsappuser": "id", "messaging_rawmessage": "user_id", "messaging_outboundmessage": "user_id",
        "memories_memory": "user_id", "memories_memoryword": "user_id", "media_messagemedia": "user_id",
    }  # fmt: skip
    for table, column in tables.items():
        assert stack.sql(f"SELECT count(*) FROM {table} WHERE {column} = %s", user_id) == [(0,)], table
    wait_for(
        lambda: (
            stack.sql("SELECT count(*) FROM mem0_local WHERE payload->>'user_id' = %s", str(user_id))
            == [(0,)]
        ),
        seconds=20,
        what="Mem0 to have nothing",
    )
    for (name,) in files:
        assert not (stack.data_dir / "uploads" / "files" / name).exists()


def test_each_role_sees_and_does_its_own(sign_in: SignIn, running_server: RunningServer) -> None:
    pages = {
        "/admin/accounts/whatsappuser/": {"support", "privacy"},
        "/admin/messaging/rawmessage/": {"support", "privacy", "operator"},
        "/admin/memories/memory/": {"support", "privacy"},
        "/admin/media/mediafile/": {"support", "privacy"},
        "/admin/procrastinate/procrastinatejob/": {"operator"},
        "/admin/settings/": {"operator"},
        "/admin/accounts/apitoken/": {"operator"},
        "/admin/api/webhookendpoint/": {"operator"},
        "/admin/accounts/auditevent/": {"privacy"},
        "/admin/accounts/staffuser/": set(),
    }
    for role in ("support", "privacy", "operator"):
        page = sign_in(role)
        links = {link.get_attribute("href") for link in page.locator("#nav-sidebar a").all()}
        for path, roles in pages.items():
            response = page.goto(path)
            assert response is not None
            assert response.status == (200 if role in roles else 403), (role, path)
            assert (path in links) == (role in roles), (role, path)


@pytest.mark.parametrize(("width", "dark"), [(1280, True), (360, False)])
def test_the_pages_fit_any_screen_and_everybody(
    sign_in: SignIn, running_server: RunningServer, width: int, dark: bool
) -> None:
    page = sign_in(running_server.staff_username, width=width, dark=dark)
    titles = set()
    for path in (
        "/admin/",
        "/admin/settings/",
        "/admin/procrastinate/procrastinatejob/",
        "/admin/second-factor/",
    ):
        response = page.goto(path)
        assert response is not None
        assert response.status == 200, path
        check_accessibility(page)
        assert_fits(page)
        titles.add(page.title())
    assert len(titles) == 4
