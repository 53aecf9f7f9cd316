"""The API in a browser: documentation to try things out in, and addresses to look at."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, expect

from tests.processes import RunningServer

PATIENCE = 20_000  # milliseconds


@pytest.fixture
def page(browser: Browser, running_server: RunningServer, faults: list[str]) -> Iterator[Page]:
    """Signed in, at the documentation. At the end the browser may not have complained about anything."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, base_url=running_server.base_url)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            faults.append(message.text)

    page.on("console", note)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.goto("/docs")
    page.get_by_label("Username").fill(running_server.staff_username)
    page.get_by_label("Password").fill(running_server.staff_password)
    page.keyboard.press("Enter")
    page.locator(".swagger-ui .info").wait_for()  # the address alone would fit the login's, too
    yield page
    context.close()
    assert faults == []


def test_things_can_be_tried_out_in_the_documentation(page: Page) -> None:
    page.locator("#operations-health-health_ready").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    answer = page.locator("#operations-health-health_ready .live-responses-table")
    expect(answer.locator(".response-col_status").last).to_contain_text("200", timeout=PATIENCE)
    expect(answer).to_contain_text('"worker"')


@pytest.mark.parametrize("width", [1280, 360])
def test_an_address_can_be_looked_at(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto("/analytics/summary")
    assert page.title() == "Analytics Summary – Whatsbot API"
    expect(page.locator(".response-info")).to_contain_text('"bytes_saved"')
    page.get_by_role("link", name="Whatsbot API").click()
    page.wait_for_url("**/docs")
