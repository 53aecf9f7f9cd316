"""Take the pictures of the README and the documentation from a running server.

    python docs/screenshots.py http://127.0.0.1:8000 admin PASSWORD

Writes simulator.png (a desktop), simulator-phone.png (360 pixels wide), simulator-media.png (a picture that is sent and
asked for), api.png (the API's documentation) and backoffice-*.png into docs/images. It talks to the bot on three of the
pretend phones; on a fresh server with `manage.py make_demo_data` the pictures come out as in the README.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from playwright.sync_api import Page, expect, sync_playwright

IMAGES = Path(__file__).resolve().parent / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
PATIENCE = 30_000  # milliseconds

TALKS = {
    "gb": ("The landlord comes on Tuesday to look at the boiler",),
    "us": (
        "My sister's birthday is on 14 March",
        "She likes _dark_ chocolate",
        "When is my sister's birthday?",
    ),
}


def main() -> None:
    """Sign in, talk, take the pictures."""
    parser = argparse.ArgumentParser(description="Take the pictures of the documentation.")
    parser.add_argument("url", help="where the server is, as in http://127.0.0.1:8000")
    parser.add_argument("username")
    parser.add_argument("password")
    arguments = parser.parse_args()
    path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if path is None:
        parser.error("no Chromium found")
    IMAGES.mkdir(exist_ok=True)
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1280, "height": 860}, color_scheme="light")
        page.goto(f"{arguments.url}/simulator")
        page.get_by_label("Username").fill(arguments.username)
        page.get_by_label("Password").fill(arguments.password)
        page.keyboard.press("Enter")
        page.locator("#phones").wait_for()
        for phone, messages in TALKS.items():
            page.locator(f"a[data-phone={phone}]").click()
            page.locator(f"#log[data-phone={phone}]").wait_for()
            for message in messages:
                say(page, message)
        page.locator(".message.theirs").last.hover()
        page.locator(".message.theirs").last.get_by_role("button", name="Message details").click()
        page.locator("#body").focus()
        page.screenshot(path=IMAGES / "simulator.png")
        page.set_viewport_size({"width": 360, "height": 700})
        page.screenshot(path=IMAGES / "simulator-phone.png")
        page.set_viewport_size({"width": 1280, "height": 860})
        page.locator("a[data-phone=fr]").click()
        page.locator("#log[data-phone=fr]").wait_for()
        with tempfile.TemporaryDirectory() as folder:
            page.set_input_files("#files", [draw_receipt(Path(folder))])
            say(page, "Receipt for the boiler repair", answers=1)
        say(page, "Where is the receipt for the boiler repair?", answers=2)
        page.locator(".message.theirs img").last.wait_for()
        page.screenshot(path=IMAGES / "simulator-media.png")
        page.goto(f"{arguments.url}/docs")
        page.locator("#operations-memories-memories_store .opblock-summary").wait_for()
        page.screenshot(path=IMAGES / "api.png")
        show_backoffice(page, arguments.url)
        browser.close()


def show_backoffice(page: Page, url: str) -> None:
    """The figures, the list of people, and what support sees of the person who sent the receipt."""

    def take(name: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=IMAGES / f"backoffice-{name}.png")

    page.goto(f"{url}/admin/")
    take("figures")
    page.goto(f"{url}/admin/accounts/whatsappuser/")
    take("people")
    page.goto(f"{url}/admin/accounts/whatsappuser/?q=0033+6+39+98+01+23")
    page.locator("#result_list tbody a").first.click()
    take("reason")
    page.get_by_label("Reason").fill("Asked why the bot showed the receipt")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Conversation").click()
    page.locator(".bo-file img").first.wait_for()
    conversation = page.url
    take("conversation")
    page.get_by_role("link", name="Explain").last.click()
    page.locator("#stage-delivered").wait_for()
    take("message")
    page.goto(conversation.replace("/conversation/", "/delete/"))
    take("delete")
    page.set_viewport_size({"width": 390, "height": 780})
    page.emulate_media(color_scheme="dark")
    page.goto(conversation)
    page.locator(".bo-file img").first.wait_for()
    take("phone")


def draw_receipt(folder: Path) -> Path:
    """A small receipt."""
    paper = Image.new("RGB", (420, 300), "#fdfbf4")
    pen = ImageDraw.Draw(paper)
    lines = (
        "SAMPLE PLUMBING",
        "1 Sample Street",
        "",
        "Boiler, new valve     84.00",
        "1 h of work           36.00",
    )
    for number, line in enumerate((*lines, "", "TOTAL                120.00")):
        pen.text((30, 30 + 34 * number), line, fill="#333333", font=ImageFont.load_default(size=22))
    path = folder / "receipt.png"
    paper.save(path)
    return path


def say(page: Page, message: str, *, answers: int = 1) -> None:
    """Send a message and wait until so many answers have come and been read."""
    before = page.locator(".message.theirs").count()
    page.locator("#body").fill(message)
    page.locator("#body").press("Enter")
    expect(page.locator(".message.theirs")).to_have_count(before + answers)
    expect(page.locator(".message").last).to_have_attribute("data-status", "read")
    expect(page.locator(".message.mine").last).to_have_attribute("data-status", "read")


if __name__ == "__main__":
    main()
