"""Webhooks in the back-office: set up by those who may, with a log of what became of each delivery."""

import threading
import time
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, transaction
from django.test import Client

from accounts.models import AuditEvent, StaffUser
from api.models import WebhookDelivery, WebhookEndpoint
from api.webhooks import ANSWERED_410
from memories.models import Memory
from tests.api.made import get_deliveries, make_endpoint
from tests.memories.sides import make_person
from tests.messaging.made import remember

pytestmark = pytest.mark.django_db
ENDPOINTS, DELIVERIES = "/admin/api/webhookendpoint/", "/admin/api/webhookdelivery/"
SignIn = Callable[..., Client]


@pytest.fixture
def sign_in(client: Client) -> SignIn:
    """Sign in as somebody with these permissions."""

    def log_in(*codenames: str) -> Client:
        person = StaffUser.objects.create(username="staff", is_staff=True)
        person.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client.force_login(person)
        return client

    return log_in


@pytest.fixture
def staff(sign_in: SignIn) -> Client:
    """Somebody who may do all there is to do with endpoints, and look at the log."""
    verbs = ("add", "view", "change", "delete")
    return sign_in(*(f"{verb}_webhookendpoint" for verb in verbs), "view_webhookdelivery")


def get_page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return unescape(" ".join(response.content.decode().split()))


FORM = {"name": "Automation", "url": "https://hooks.example.com/x", "is_enabled": "on"}


def test_an_endpoint_is_added_and_its_secret_shown_on_its_page_only(staff: Client) -> None:
    assert "memory.created" in get_page(staff, f"{ENDPOINTS}add/")
    staff.post(f"{ENDPOINTS}add/", FORM | {"events": ["memory.created", "memory.deleted"]})
    endpoint = WebhookEndpoint.objects.get()
    assert (endpoint.name, endpoint.url, endpoint.is_enabled) == ("Automation", FORM["url"], True)
    event = AuditEvent.objects.get()
    assert (event.action, event.staff_name, event.object_id) == ("added", "staff", str(endpoint.id))
    assert endpoint.events == ["memory.created", "memory.deleted"]
    page = get_page(staff, ENDPOINTS)
    assert "memory.created, memory.deleted" in page
    assert endpoint.secret not in page
    assert endpoint.secret in get_page(staff, f"{ENDPOINTS}{endpoint.id}/change/")


def test_every_endpoint_has_a_secret_of_its_own() -> None:
    assert make_endpoint().secret != make_endpoint().secret


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"url": "http://hooks.example.com/x"}, "An https address"),
        ({"url": "https://10.0.0.1/x"}, "An https address"),
        ({"url": "https://me:key@hooks.example.com/x"}, "An https address"),
        ({"url": ""}, "required"),
        ({"name": ""}, "required"),
        ({"events": []}, "required"),
        ({"events": ["ping"]}, "ping is not one of the available choices"),
    ],
    ids=str,
)
def test_an_endpoint_that_cannot_be_is_said_in_the_form(
    staff: Client, change: dict[str, Any], error: str
) -> None:
    response = staff.post(f"{ENDPOINTS}add/", FORM | {"events": ["memory.created"]} | change)
    assert response.status_code == 200
    assert error in unescape(response.content.decode())
    assert not WebhookEndpoint.objects.exists()


def test_an_address_of_our_own_network_is_taken_if_it_is_named(staff: Client, settings: Any) -> None:
    settings.WEBHOOK_LOCAL_HOSTS = ["10.0.0.1:5678"]
    staff.post(f"{ENDPOINTS}add/", FORM | {"events": ["memory.created"], "url": "http://10.0.0.1:5678/x"})
    assert WebhookEndpoint.objects.get().url == "http://10.0.0.1:5678/x"


def test_an_endpoint_that_was_switched_off_is_switched_on_again(staff: Client) -> None:
    endpoint = make_endpoint(is_enabled=False, disabled_reason=ANSWERED_410)
    secret = endpoint.secret
    assert ANSWERED_410 in get_page(staff, f"{ENDPOINTS}{endpoint.id}/change/")
    response = staff.post(
        f"{ENDPOINTS}{endpoint.id}/change/", FORM | {"events": ["message.answered"], "secret": "mine"}
    )
    assert response.status_code == 302
    endpoint.refresh_from_db()
    assert (endpoint.is_enabled, endpoint.disabled_reason) == (True, "")
    assert endpoint.events == ["message.answered"]
    assert endpoint.secret == secret


def test_who_may_only_look_does_not_see_the_secret(sign_in: SignIn) -> None:
    client, endpoint = sign_in("view_webhookendpoint"), make_endpoint()
    page = get_page(client, f"{ENDPOINTS}{endpoint.id}/change/")
    assert endpoint.url in page
    assert "whsec_" not in page
    assert client.post(f"{ENDPOINTS}{endpoint.id}/change/", FORM).status_code == 403


def test_a_login_without_permission_sees_nothing(sign_in: SignIn) -> None:
    client, endpoint = sign_in(), make_endpoint()
    remember(make_person())
    row = WebhookDelivery.objects.get()
    paths = (
        *(ENDPOINTS, f"{ENDPOINTS}add/", f"{ENDPOINTS}{endpoint.id}/change/"),
        *(f"{ENDPOINTS}{endpoint.id}/delete/", DELIVERIES, f"{DELIVERIES}{row.id}/change/"),
    )
    assert {client.get(path).status_code for path in paths} == {403}
    client.logout()
    assert {client.get(path).status_code for path in paths} == {302}


def test_an_endpoint_is_deleted_with_its_log(staff: Client) -> None:
    endpoint, other = make_endpoint(), make_endpoint()
    remember(make_person())
    assert "webhook deliveries: 1" in get_page(staff, f"{ENDPOINTS}{endpoint.id}/delete/").lower()
    staff.post(f"{ENDPOINTS}{endpoint.id}/delete/", {"post": "yes"})
    assert list(WebhookEndpoint.objects.all()) == [other]
    assert WebhookDelivery.objects.get().endpoint == other
    staff.post(ENDPOINTS, {"action": "delete_selected", "_selected_action": [other.id], "post": "yes"})
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()


@pytest.fixture
def failed() -> WebhookDelivery:
    """A delivery that has failed, beside one that is pending."""
    make_endpoint()
    for _ in range(2):
        remember(make_person())
    row = WebhookDelivery.objects.order_by("object_id")[0]
    row.status, row.error, row.response_status, row.attempts = "failed", "status", 503, 11
    row.attempted_at = row.created_at
    row.save()
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM procrastinate_jobs WHERE args->>'delivery_id' = %s", [str(row.id)])
    return row


def test_the_log_says_what_became_of_each_delivery(staff: Client, failed: WebhookDelivery) -> None:
    page = get_page(staff, DELIVERIES)
    for text in ("Automation", "memory.created", str(failed.object_id), "503", "Failed", "Pending"):
        assert text in page
    other = WebhookDelivery.objects.exclude(id=failed.id).get()
    for asked, found in (
        ("?status__exact=failed", {failed}),
        ("?event__exact=memory.created", {failed, other}),
        ("?event__exact=memory.deleted", set()),
        (f"?endpoint__id__exact={failed.endpoint_id}", {failed, other}),
    ):
        page = get_page(staff, DELIVERIES + asked)
        assert {row for row in (failed, other) if f"{DELIVERIES}{row.id}/change/" in page} == found, asked
    assert "503" in get_page(staff, f"{DELIVERIES}{failed.id}/change/")
    assert staff.get(f"{DELIVERIES}add/").status_code == 403
    assert staff.get(f"{DELIVERIES}{failed.id}/delete/").status_code == 403


def post_again(client: Client) -> str:
    ids = [str(each) for each in WebhookDelivery.objects.values_list("id", flat=True)]
    action = {"action": "deliver_again", "_selected_action": ids}
    return client.post(DELIVERIES, action, follow=True).content.decode()


def test_what_has_failed_is_delivered_again(sign_in: SignIn, failed: WebhookDelivery) -> None:
    client = sign_in("view_webhookdelivery", "change_webhookdelivery")
    assert "1 delivery is queued again." in post_again(client)
    failed.refresh_from_db()
    assert (failed.status, failed.error, failed.response_status) == ("pending", "", None)
    assert (failed.attempts, failed.attempted_at) == (0, None)
    assert len(get_deliveries()) == 2  # which have one job each
    assert "0 deliveries are queued again." in post_again(client)
    assert len(get_deliveries()) == 2


def test_who_may_only_look_has_nothing_delivered_again(staff: Client, failed: WebhookDelivery) -> None:
    assert "deliver_again" not in get_page(staff, DELIVERIES)
    post_again(staff)
    failed.refresh_from_db()
    assert failed.status == "failed"


@pytest.fixture
def _committed(transactional_db: None) -> Any:
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE procrastinate_jobs CASCADE")


def in_a_thread(act: Callable[[], Any]) -> tuple[threading.Thread, list[Exception]]:
    """Begin something, and give it time to wait for a lock."""
    failures: list[Exception] = []

    def run() -> None:
        try:
            act()
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    time.sleep(0.3)
    return thread, failures


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_committed")
def test_an_endpoint_is_deleted_behind_changes_that_are_being_queued(staff: Client) -> None:
    endpoint, ana = make_endpoint(), make_person()
    with transaction.atomic():
        remember(ana)
        path = f"{ENDPOINTS}{endpoint.id}/delete/"
        thread, failures = in_a_thread(lambda: staff.post(path, {"post": "yes"}))
        assert thread.is_alive()
    thread.join(10)
    assert failures == []
    assert not WebhookEndpoint.objects.exists()
    assert not WebhookDelivery.objects.exists()
    assert Memory.objects.count() == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("_committed")
def test_a_change_waits_for_the_deletion_of_an_endpoint_and_goes_through() -> None:
    endpoint, other, ana = make_endpoint(), make_endpoint(), make_person()
    with transaction.atomic():
        endpoint.delete()
        thread, failures = in_a_thread(lambda: remember(ana))
        assert thread.is_alive()
    thread.join(10)
    assert failures == []
    assert len(get_deliveries(other)) == 1
    assert WebhookDelivery.objects.count() == 1
