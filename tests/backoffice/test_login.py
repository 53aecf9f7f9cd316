"""Signing in: what is counted, what is locked, the second factor, and how long a session lasts."""

import logging
import threading
import time
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.core.management import call_command
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from accounts.audit import Action
from accounts.models import AuditEvent, StaffUser
from accounts.second_factor import WrongCode, make_key, set_up, verify
from backoffice import login
from backoffice.lockout import _name_cookie, get_client_address
from whatsbot.checks import check_logins

PASSWORD = "correct horse battery"
LOGIN, PAGE = "/admin/login/", "/admin/second-factor/"
# Where a session of staff counts, and what each says to somebody who has none.
DOORS = {
    "/admin/": 302,
    "/simulator": 302,
    "/simulator/messages?phone=us": 403,
    "/docs": 302,
    "/media/files/1": 302,
    "/memories": 401,
}

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> StaffUser:
    return StaffUser.objects.create_superuser("anna", password=PASSWORD)


def sign_in(
    client: Client, *, name: str = "anna", password: str = PASSWORD, code: str = "", **more: Any
) -> int:
    """Post the form; returns the status: 302 in, 200 refused, 429 locked."""
    fields = {"username": name, "password": password, "code": code}
    return client.post(LOGIN, fields, **more).status_code


def is_in(client: Client) -> bool:
    answers = {door: client.get(door).status_code for door in DOORS}
    closed = [door for door, status in answers.items() if status == DOORS[door]]
    assert closed in ([], list(DOORS)), f"half a session: {answers}"
    return not closed


def add_second_factor(staff: StaffUser) -> tuple[str, list[str]]:
    """Returns the app's key and the recovery codes."""
    key = make_key()
    return key, set_up(staff, key=key, code=show(key))


def show(key: str, *, periods: int = 0) -> str:
    """What the app shows, now or so many half minutes later; each code counts once, and the next one already."""
    return f"{totp(bytes.fromhex(key), t0=-30 * periods):06d}"


def test_the_fifth_failure_locks_a_name_at_an_address_for_a_while(client: Client, staff: StaffUser) -> None:
    assert [sign_in(client, password="guess") for _ in range(5)] == [200, 200, 200, 200, 429]
    answer = client.post(LOGIN, {"username": "anna", "password": PASSWORD})
    assert answer.status_code == 429
    assert answer["Retry-After"] == "900"
    assert "Try again in 15\n            minutes" in answer.content.decode()
    assert "default-src 'self'" in answer["Content-Security-Policy"]
    assert sign_in(client, REMOTE_ADDR="192.0.2.9") == 302
    # Attempts during the lock do not make it longer.
    assert AccessAttempt.objects.get().failures_since_start == 5
    AccessAttempt.objects.update(attempt_time="2020-01-01T00:00Z")
    assert sign_in(Client()) == 302


def test_a_lock_is_in_the_audit_log_once_and_names_nobody_we_do_not_know(staff: StaffUser) -> None:
    for _ in range(7):
        sign_in(Client(), password="guess")
        sign_in(Client(), name="a secret typed in the wrong field")
    event = AuditEvent.objects.get()
    assert (event.action, event.staff_name, event.object_id) == (Action.LOCKED_OUT, "anna", str(staff.pk))
    assert event.detail == {"addresses": 1}


def test_a_flood_of_logins_is_turned_away_before_it_costs_anything(
    client: Client, staff: StaffUser, monkeypatch: pytest.MonkeyPatch, django_assert_num_queries: Any
) -> None:
    monkeypatch.setattr("backoffice.login._places", threading.BoundedSemaphore(1))
    assert sign_in(client, password="guess") == 200
    with login._places, django_assert_num_queries(0):
        answer = client.post(LOGIN, {"username": "anna", "password": PASSWORD})
    assert "Too many are signing in" in answer.content.decode()
    assert AccessAttempt.objects.get().failures_since_start == 1
    assert sign_in(client) == 302


def test_names_that_do_not_exist_are_locked_as_well(staff: StaffUser) -> None:
    assert [sign_in(Client(), name="nobody") for _ in range(5)][-1] == 429


def test_strangers_at_many_addresses_get_so_many_guesses_and_staff_stay_in(
    settings: Any, staff: StaffUser
) -> None:
    settings.LOGIN_FAILURES_ANYWHERE = 10
    known = Client()
    assert sign_in(known) == 302
    known.post("/admin/logout/")
    statuses = [
        sign_in(Client(), password="guess", REMOTE_ADDR=f"192.0.2.{place}")
        for place in range(20)
        for _ in range(4)
    ]
    assert statuses.count(200) == 9
    assert statuses[9:] == [429] * 71
    assert sign_in(Client(), REMOTE_ADDR="198.51.100.7") == 429
    assert sign_in(known, REMOTE_ADDR="198.51.100.7") == 302
    # Whoever steals the cookie has as many guesses as anybody else, wherever they are.
    known.post("/admin/logout/")
    statuses = [sign_in(known, password="guess", REMOTE_ADDR=f"203.0.113.{place}") for place in range(6)]
    assert statuses == [200, 200, 200, 200, 429, 429]


def test_the_cookie_of_a_known_browser_is_good_for_its_own_login_only(staff: StaffUser) -> None:
    client = Client()
    sign_in(client)
    (morsel,) = [morsel for name, morsel in client.cookies.items() if name.startswith("browser-")]
    assert (morsel["path"], morsel["httponly"], morsel["secure"], morsel["samesite"]) == (
        "/admin/",
        True,
        True,
        "Lax",
    )
    assert "anna" not in morsel.OutputString()
    StaffUser.objects.create_user("bert", password=PASSWORD, is_staff=True)
    other = Client()
    their_name, _ = _name_cookie("bert")
    other.cookies.load({their_name: morsel.value, morsel.key: f"{morsel.value}x"})
    for name in ("bert", "anna"):
        sign_in(other, name=name, password="guess")
    assert set(AccessAttempt.objects.values_list("user_agent", flat=True)) == {""}


def test_after_signing_in_one_is_where_one_wanted_to_be(client: Client, staff: StaffUser) -> None:
    fields = {"username": "anna", "password": PASSWORD}
    assert 'name="next" value="/docs"' in client.get(f"{LOGIN}?next=/docs").content.decode()
    assert client.post(LOGIN, fields | {"next": "/docs"}).headers["Location"] == "/docs"
    for other in ({}, {"next": "https://evil.example/"}):
        assert Client().post(LOGIN, fields | other).headers["Location"] == "/admin/"


def test_success_ends_the_count_of_the_same_address_alone(client: Client, staff: StaffUser) -> None:
    for _ in range(4):
        sign_in(client, password="guess")
        sign_in(client, password="guess", REMOTE_ADDR="192.0.2.1")
    assert sign_in(client) == 302
    assert AccessAttempt.objects.get().ip_address == "192.0.2.1"


def test_nothing_that_was_typed_is_kept_or_logged(staff: StaffUser, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for _ in range(6):
        sign_in(
            Client(), password="my-secret", code="987654", REMOTE_ADDR="192.0.2.77", HTTP_USER_AGENT="Browser"
        )
    said = "\n".join(record.getMessage() for record in caplog.records)
    row = AccessAttempt.objects.values().get()
    for text in ("my-secret", "987654"):
        assert text not in said + str(row)
    for text in ("anna", "192.0.2.77"):
        assert text not in said
    assert row["user_agent"] == ""


def test_a_request_that_is_no_login_costs_no_statement(
    client: Client, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        assert client.get("/health/live").status_code == 200
        assert client.get(LOGIN).status_code == 200


@pytest.mark.parametrize(
    ("proxies", "forwarded", "peer", "address"),
    [
        (0, "198.51.100.1", "192.0.2.1", "192.0.2.1"),
        (1, "198.51.100.1", "127.0.0.1", "198.51.100.1"),
        (1, "6.6.6.6, 198.51.100.1", "127.0.0.1", "198.51.100.1"),
        (2, "6.6.6.6, 198.51.100.1, 10.0.0.1", "127.0.0.1", "198.51.100.1"),
        (2, "198.51.100.1", "127.0.0.1", "127.0.0.1"),
        (1, "nonsense", "127.0.0.1", None),
        (0, "", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        (0, "", "::ffff:192.0.2.1", "192.0.2.1"),
        (0, "", "", None),
    ],
)
def test_the_address_is_the_one_our_own_proxies_tell(
    settings: Any, rf: Any, proxies: int, forwarded: str, peer: str, address: str | None
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = rf.get("/", REMOTE_ADDR=peer, HTTP_X_FORWARDED_FOR=forwarded)
    assert get_client_address(request) == address


def test_staff_set_up_a_second_factor_and_sign_in_with_it(client: Client, staff: StaffUser) -> None:
    elsewhere = Client()
    assert sign_in(client) == sign_in(elsewhere) == 302
    assert is_in(client)
    assert is_in(elsewhere)
    page = client.get(PAGE)
    text = page.content.decode()
    assert page["Cache-Control"].startswith("max-age=0, no-cache, no-store")
    assert "<svg" in text
    assert "http" not in text[text.index("<svg") : text.index("</svg>")].replace(
        "http://www.w3.org/2000/svg", ""
    )
    signed = page.context["key"]
    key = TOTPDevice(user=staff, key=_read(page.context["secret"])).key
    fields = {"key": signed, "password": PASSWORD, "code": show(key)}
    assert client.post(PAGE, fields | {"code": "000000"}).status_code == 422
    assert client.post(PAGE, fields | {"password": "guess"}).status_code == 422
    assert client.post(PAGE, fields | {"key": signed + "x"}).status_code == 422
    assert not TOTPDevice.objects.exists()

    answer = client.post(PAGE, fields)
    codes = answer.context["codes"]
    assert len(set(codes)) == 10
    assert all(code in answer.content.decode() for code in codes)
    assert codes[0] not in client.get(PAGE).content.decode()
    assert not StaticToken.objects.filter(token__in=codes).exists()
    assert AuditEvent.objects.get().detail == {"fields": ["second factor"]}
    # Nothing that began without the code goes on anywhere; where it was set up, one stays.
    assert is_in(client)
    assert not is_in(elsewhere)

    assert sign_in(elsewhere) == 200
    assert sign_in(elsewhere, code="000000") == 200
    assert sign_in(elsewhere, code=show(key)) == 200  # it was used to set up
    assert not is_in(elsewhere)


def _read(secret: str) -> str:
    """The key that is shown to type, as hexadecimal."""
    from base64 import b32decode

    return b32decode(secret.replace(" ", "")).hex()


def test_a_code_and_a_recovery_code_each_count_once(client: Client, staff: StaffUser) -> None:
    key, recovery = add_second_factor(staff)
    code = show(key, periods=1)
    assert sign_in(client, code=f"{code[:3]} {code[3:]}") == 302
    assert is_in(client)
    assert sign_in(Client(), code=code) == 200
    assert sign_in(Client(), code=recovery[0].upper()) == 302
    assert sign_in(Client(), code=recovery[0]) == 200
    assert StaticToken.objects.count() == 9


def test_wrong_codes_have_to_wait_and_count_as_failed_logins(client: Client, staff: StaffUser) -> None:
    key, recovery = add_second_factor(staff)
    assert sign_in(client, code="000000") == 200
    assert not verify(staff, code=show(key, periods=1)), "django-otp wants a second between"
    assert [sign_in(client, code="000000") for _ in range(4)] == [200, 200, 200, 429]
    assert sign_in(client, code=recovery[0]) == 429


def test_a_second_factor_is_not_set_up_twice_or_with_a_wrong_code(staff: StaffUser) -> None:
    with pytest.raises(WrongCode):
        set_up(staff, key=make_key(), code="nothing")
    assert not TOTPDevice.objects.exists()
    add_second_factor(staff)
    with pytest.raises(ValueError, match="has a second factor"):
        add_second_factor(staff)


def test_turning_it_off_needs_password_and_code_and_ends_other_sessions(staff: StaffUser) -> None:
    here, elsewhere = Client(), Client()
    _, recovery = add_second_factor(staff)
    assert sign_in(here, code=recovery[0]) == sign_in(elsewhere, code=recovery[1]) == 302
    assert here.post(PAGE, {"password": PASSWORD, "code": "wrong", "do": "off"}).status_code == 422
    StaticToken.objects.first().device.throttle_reset()
    assert here.post(PAGE, {"password": "guess", "code": recovery[2], "do": "off"}).status_code == 422
    renewed = here.post(PAGE, {"password": PASSWORD, "code": recovery[2], "do": "renew"}).context["codes"]
    assert len(set(renewed) - set(recovery)) == 10
    assert here.post(PAGE, {"password": PASSWORD, "code": renewed[0], "do": "off"}).status_code == 302
    assert is_in(here)
    assert not is_in(elsewhere)
    assert sign_in(elsewhere) == 302
    assert not TOTPDevice.objects.exists()
    assert not StaticToken.objects.exists()


def test_a_lost_factor_is_removed_on_the_command_line(staff: StaffUser) -> None:
    add_second_factor(staff)
    call_command("remove_second_factor", "anna")
    assert sign_in(Client()) == 302
    assert AuditEvent.objects.get().program == "manage.py"


def test_where_it_is_required_a_session_without_it_reaches_nothing_but_the_set_up(
    client: Client, settings: Any, staff: StaffUser
) -> None:
    settings.STAFF_SECOND_FACTOR_REQUIRED = True
    assert sign_in(client) == 302
    assert not is_in(client)
    assert client.get(LOGIN).headers["Location"] == PAGE
    page = client.get(PAGE)
    assert "every login needs one" in page.content.decode()
    key = _read(page.context["secret"])
    client.post(PAGE, {"key": page.context["key"], "password": PASSWORD, "code": show(key)})
    assert is_in(client)


def test_a_session_ends_after_its_hours_and_when_it_is_not_used(
    client: Client,
    settings: Any,
    staff: StaffUser,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_num_queries: Any,
) -> None:
    settings.STAFF_SESSION_HOURS, settings.STAFF_IDLE_MINUTES = 2.0, 30.0
    sign_in(client)
    began = time.time()

    def wait_until(minutes: float) -> None:
        monkeypatch.setattr("backoffice.sessions.time.time", lambda: began + minutes * 60)

    assert client.session.get_expiry_age() == 1800
    with django_assert_num_queries(2):  # the session and the login: a use is not written down every time
        client.get("/simulator")
    wait_until(100)
    client.get("/simulator")
    assert client.session.get_expiry_age() <= 1200, "it never lives beyond its hours"
    assert is_in(client)
    wait_until(120)
    assert not is_in(client)
    assert "sessionid" not in client.cookies or not client.cookies["sessionid"].value


def test_a_changed_password_ends_other_sessions(staff: StaffUser) -> None:
    here, elsewhere = Client(), Client()
    sign_in(here)
    sign_in(elsewhere)
    fields = {
        "old_password": PASSWORD,
        "new_password1": "another long one!",
        "new_password2": "another long one!",
    }
    assert here.post("/admin/password_change/", fields).status_code == 302
    assert is_in(here)
    assert not is_in(elsewhere)


def test_limits_that_shut_everybody_out_are_refused_at_the_start(settings: Any) -> None:
    assert check_logins() == []
    settings.LOGIN_FAILURES = 0
    settings.STAFF_IDLE_MINUTES = 1
    assert [str(error.msg) for error in check_logins()] == [
        "LOGIN_FAILURES is less than 1.",
        "STAFF_IDLE_MINUTES is less than 2.",
    ]
