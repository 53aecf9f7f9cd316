"""Every address has a lock, and a key opens what it is for and nothing else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone

from accounts.models import ApiToken, Scope, StaffUser, WhatsAppUser
from api.base import ApiView
from tests.api.conftest import NUMBER, Ask

pytestmark = pytest.mark.django_db
READ, WRITE, PEOPLE, ANALYTICS = Scope
ANY = None  # any token
# The decision for every method of every address of the API. A new one without a decision fails.
DECISIONS: dict[tuple[str, str], Scope | None] = {
    ("GET", "memories"): READ,
    ("POST", "memories"): WRITE,
    ("POST", "memories/list"): READ,
    ("GET", "memories/<int:memory_id>"): READ,
    ("PATCH", "memories/<int:memory_id>"): WRITE,
    ("DELETE", "memories/<int:memory_id>"): WRITE,
    ("GET", "memories/<int:memory_id>/history"): READ,
    ("GET", "interactions/recent"): READ,
    ("GET", "analytics/summary"): ANALYTICS,
    ("GET", "users/<str:number>"): PEOPLE,
    ("PATCH", "users/<str:number>"): PEOPLE,
    ("DELETE", "users/<str:number>"): PEOPLE,
    ("GET", "users/<str:number>/export"): PEOPLE,
    ("GET", "erasures/<uuid:receipt>"): PEOPLE,
    ("GET", "schema"): ANY,
    ("GET", "health/ready"): ANY,
}
# Everything else that answers, and what locks it.
OTHERS = {
    "": "a redirect to what has a lock",
    "favicon.ico": "a redirect to a picture",
    "webhook": "Twilio's signature",
    "webhook/status": "Twilio's signature",
    "health/live": "open: says that the process answers",
    "export/<str:token>.zip": "a signed link",
    "media/<str:token>/<str:name>": "a signed link",
    "media/files/<int:file_id>": "staff login",
    "media/files/<int:file_id>/thumbnail": "staff login",
    "docs": "staff login",
}
EXAMPLES = {
    "<int:memory_id>": "1",
    "<str:number>": NUMBER,
    "<uuid:receipt>": "00000000-0000-4000-8000-000000000000",
}


@dataclass(frozen=True)
class Address:
    route: str
    view: Any

    @property
    def path(self) -> str:
        path = self.route
        for name, example in EXAMPLES.items():
            path = path.replace(name, example)
        return f"/{path}"

    @property
    def methods(self) -> list[str]:
        return [name.upper() for name in self.view.http_method_names if hasattr(self.view, name)]


def list_addresses(patterns: Any, prefix: str = "") -> Iterator[Address]:
    for pattern in patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            if not route.startswith(("admin/", "simulator")):  # Django's own login; tests/simulator
                yield from list_addresses(pattern.url_patterns, route)
        elif isinstance(pattern, URLPattern):
            yield Address(route, getattr(pattern.callback, "view_class", None) or pattern.callback)


ADDRESSES = [*list_addresses(get_resolver().url_patterns)]
OURS = [each for each in ADDRESSES if isinstance(each.view, type) and issubclass(each.view, ApiView)]
METHODS = [(each, method) for each in OURS for method in each.methods if method not in ("OPTIONS", "HEAD")]
NAMES = [f"{method} {address.route}" for address, method in METHODS]


def call(client: Client, address: Address, method: str, **headers: str) -> Any:
    body = {} if method == "GET" else {"data": "{}", "content_type": "application/json"}
    return getattr(client, method.lower())(address.path, headers=headers, **body)


def test_every_address_has_a_decision() -> None:
    assert {(method, address.route) for address, method in METHODS} == set(DECISIONS)
    assert {each.route for each in ADDRESSES if each not in OURS} == set(OTHERS)


@pytest.mark.parametrize(("address", "method"), METHODS, ids=NAMES)
def test_without_a_key_nothing_opens(client: Client, db: None, address: Address, method: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer ü"},
        {"Authorization": "x"},
    ):
        response = call(client, address, method, **headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == "Bearer"
        assert response.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize(("address", "method"), METHODS, ids=NAMES)
def test_a_token_opens_what_its_scope_says_and_nothing_else(
    client: Client, make_token: Callable[..., str], address: Address, method: str, scope: Scope
) -> None:
    cache.clear()
    response = call(client, address, method, Authorization=f"Bearer {make_token(scope)}")
    needed = DECISIONS[method, address.route]
    if needed in (ANY, scope):
        assert response.status_code not in (401, 403), response.content
    else:
        assert response.status_code == 403
        assert response.json()["detail"] == f"This token lacks the scope {needed}."


@pytest.mark.parametrize(("address", "method"), METHODS, ids=NAMES)
def test_a_token_may_do_no_more_than_its_login(
    client: Client, make_token: Callable[..., str], address: Address, method: str
) -> None:
    cache.clear()
    poor = StaffUser.objects.create_user("poor", password="correct horse", is_staff=True)
    response = call(client, address, method, Authorization=f"Bearer {make_token(*Scope, user=poor)}")
    assert (response.status_code == 403) == (DECISIONS[method, address.route] is not ANY)


@pytest.mark.parametrize(("address", "method"), METHODS, ids=NAMES)
def test_a_login_opens_what_its_permissions_say(client: Client, address: Address, method: str) -> None:
    cache.clear()
    login = StaffUser.objects.create_user("reader", password="correct horse", is_staff=True)
    for name in ("view_memory", "view_interaction", "see_personal_data"):
        login.user_permissions.add(Permission.objects.get(codename=name))
    client.force_login(login)
    response = call(client, address, method)
    is_open = DECISIONS[method, address.route] in (READ, ANALYTICS, ANY)
    assert (response.status_code != 403) == is_open, response.content


def test_a_session_writes_only_with_its_csrf_token(staff: StaffUser, person: WhatsAppUser) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(staff)
    assert client.get("/memories", {"whatsapp_number": NUMBER}).status_code == 200
    body = {"whatsapp_number": NUMBER, "memory_text": "x"}
    assert client.post("/memories", body, content_type="application/json").status_code == 403


def test_a_login_that_is_not_staff_is_refused(client: Client) -> None:
    client.force_login(StaffUser.objects.create_user("visitor", password="correct horse"))
    assert client.get("/memories", {"whatsapp_number": NUMBER}).status_code == 403


@pytest.mark.parametrize("change", [{"is_active": False}, {"is_staff": False}])
def test_a_token_dies_with_its_login(ask: Ask, staff: StaffUser, change: dict[str, bool]) -> None:
    assert ask("GET", "/memories", query={"whatsapp_number": NUMBER}).status_code == 404
    StaffUser.objects.update(**change)
    assert ask("GET", "/memories", query={"whatsapp_number": NUMBER}).status_code == 401


def test_a_token_ends_on_its_day_and_with_its_row(ask: Ask) -> None:
    url = "/analytics/summary"
    assert ask("GET", url).status_code == 200
    ApiToken.objects.update(expiry=timezone.now() - timedelta(seconds=1))
    assert ask("GET", url).status_code == 401
    ApiToken.objects.update(expiry=timezone.now() + timedelta(hours=1))
    assert ask("GET", url).status_code == 200
    ApiToken.objects.all().delete()
    assert ask("GET", url).status_code == 401


def test_the_last_use_is_noted_at_most_once_a_minute(ask: Ask) -> None:
    ask("GET", "/analytics/summary")
    first = ApiToken.objects.get().last_used_at
    assert first is not None
    ask("GET", "/analytics/summary")
    assert ApiToken.objects.get().last_used_at == first
    ApiToken.objects.update(last_used_at=first - timedelta(minutes=2))
    ask("GET", "/analytics/summary")
    assert ApiToken.objects.get().last_used_at > first


def test_who_asks_too_often_is_told_when_to_come_back(
    ask: Ask, settings: Any, make_token: Callable[..., str]
) -> None:
    settings.API_REQUESTS_PER_MINUTE = 2
    other = make_token(ANALYTICS)
    codes = [ask("GET", "/analytics/summary").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
    refused = ask("GET", "/analytics/summary")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json()["status"] == 429
    assert ask("GET", "/analytics/summary", token=other).status_code == 200


def test_no_token_is_stored_in_the_clear_where_requests_are_counted(
    ask: Ask, make_token: Callable[..., str]
) -> None:
    from django.db import connection

    token = make_token(ANALYTICS)
    ask("GET", "/analytics/summary", token=token)
    with connection.cursor() as cursor:
        cursor.execute("SELECT cache_key FROM whatsbot_cache")
        keys = [key for (key,) in cursor.fetchall()]
    digests = ApiToken.objects.values_list("digest", flat=True)
    assert keys
    assert not any(secret in key for key in keys for secret in (token, *digests))


def test_the_back_office_lists_tokens_with_their_use_and_revokes_them(
    client: Client, ask: Ask, staff: StaffUser
) -> None:
    ask("GET", "/analytics/summary")
    client.force_login(staff)
    page = client.get("/admin/accounts/apitoken/").content.decode()
    assert all(said in page for said in ("analytics", "test", f"{timezone.now():%Y}"))
    token = ApiToken.objects.get()
    client.post(f"/admin/accounts/apitoken/{token.pk}/delete/", {"post": "yes"})
    assert ask("GET", "/analytics/summary").status_code == 401


def test_revoking_needs_its_permission(client: Client, make_token: Callable[..., str]) -> None:
    make_token(READ)
    client.force_login(StaffUser.objects.create_user("reader", password="correct horse", is_staff=True))
    assert client.post(f"/admin/accounts/apitoken/{ApiToken.objects.get().pk}/delete/").status_code == 403
    assert ApiToken.objects.exists()


def test_the_documentation_asks_a_browser_to_sign_in(client: Client, staff: StaffUser) -> None:
    assert client.get("/docs").headers["Location"].startswith("/admin/login/")
    client.force_login(staff)
    assert client.get("/docs").status_code == 200
