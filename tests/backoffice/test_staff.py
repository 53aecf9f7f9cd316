"""Who manages the logins of staff, what they see of them, and what stands in the audit log of it."""

from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, Permission
from django.test import Client

from accounts.audit import Action
from accounts.models import ApiToken, AuditEvent, StaffUser
from backoffice.roles import ROLES, bring_roles_in_line
from tests.backoffice.test_login import PASSWORD, add_second_factor, sign_in

LIST = "/admin/accounts/staffuser/"
TOKENS = "/admin/accounts/apitoken/"

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> StaffUser:
    bring_roles_in_line()
    return StaffUser.objects.create_user("anna", password=PASSWORD, is_staff=True)


def act(client: Client, action: str, *logins: StaffUser, **more: str) -> Any:
    fields = {"action": action, "_selected_action": [login.pk for login in logins], **more}
    return client.post(LIST, fields, follow=True)


def change(client: Client, login: StaffUser, **fields: Any) -> int:
    """Post the form of a login as it is shown, with some fields changed."""
    form = client.get(f"{LIST}{login.pk}/change/").context["adminform"].form
    shown = {name: form.get_initial_for_field(field, name) for name, field in form.fields.items()}
    shown["groups"] = [group.pk for group in shown.pop("groups", [])]
    shown = {name: "on" if value is True else value for name, value in shown.items() if value}
    return client.post(f"{LIST}{login.pk}/change/", shown | fields).status_code


def events() -> list[tuple[str, str, dict[str, Any]]]:
    return [(event.action, event.object_id, event.detail) for event in AuditEvent.objects.order_by("id")]


def test_nobody_but_superusers_manages_logins_whatever_else_they_may(
    client: Client, staff: StaffUser
) -> None:
    staff.user_permissions.set(Permission.objects.filter(content_type__app_label__in=("accounts", "auth")))
    staff.groups.set(Group.objects.all())
    client.force_login(staff)
    forms = {"username": "anna", "is_superuser": "on", "is_active": "on"}
    new = {"username": "mole", "password1": PASSWORD, "password2": PASSWORD}
    assert client.get(LIST).status_code == 403
    assert client.post(f"{LIST}{staff.pk}/change/", forms).status_code == 403
    assert client.post(f"{LIST}add/", new).status_code == 403
    assert client.post(f"{LIST}{staff.pk}/password/", new).status_code == 403
    assert client.post(f"{LIST}{staff.pk}/delete/", {"post": "yes"}).status_code == 403
    assert act(client, "unlock", staff).status_code == 403
    staff.refresh_from_db()
    assert not staff.is_superuser
    assert "/admin/accounts/staffuser/" not in client.get("/admin/").content.decode()
    # Where roles and second factors would be edited there is nothing, for nobody.
    for place in ("auth/group", "otp_totp/totpdevice", "otp_static/staticdevice", "axes/accessattempt"):
        assert client.get(f"/admin/{place}/").status_code == 404


def test_a_login_is_made_with_roles_and_can_sign_in(admin_client: Client, staff: StaffUser) -> None:
    page = admin_client.get(f"{LIST}add/").content.decode()
    assert all(role in page for role in ROLES)
    support = Group.objects.get(name="Support")
    fields = {"username": "bert", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    assert admin_client.post(f"{LIST}add/", fields | {"groups": [support.pk]}).status_code == 302
    bert = StaffUser.objects.get(username="bert")
    assert bert.is_staff
    assert not bert.is_superuser
    assert bert.has_perm("accounts.take_over")
    assert sign_in(Client(), name="bert") == 302
    assert events() == [(Action.ADDED, str(bert.pk), {})]


def test_changes_are_written_down_by_fields_and_without_values(
    admin_client: Client, staff: StaffUser
) -> None:
    privacy = Group.objects.get(name="Privacy")
    assert change(admin_client, staff, groups=[privacy.pk], first_name="Anna") == 302
    fields = {
        "usable_password": "true",
        "password1": "an entirely new one",
        "password2": "an entirely new one",
    }
    assert admin_client.post(f"{LIST}{staff.pk}/password/", fields).status_code == 302
    assert admin_client.post(f"{LIST}{staff.pk}/delete/", {"post": "yes"}).status_code == 302
    assert events() == [
        (Action.CHANGED, str(staff.pk), {"fields": ["First name", "Roles"]}),
        (Action.CHANGED, str(staff.pk), {"fields": ["password"]}),
        (Action.DELETED, str(staff.pk), {}),
    ]


def test_a_superuser_does_not_shut_themselves_out(admin_client: Client, admin_user: StaffUser) -> None:
    assert change(admin_client, admin_user, is_active="", is_superuser="") == 302
    assert admin_client.post(f"{LIST}{admin_user.pk}/delete/", {"post": "yes"}).status_code == 403
    act(admin_client, "delete_selected", admin_user, post="yes")
    admin_user.refresh_from_db()
    assert admin_user.is_active
    assert admin_user.is_superuser


def test_a_locked_login_is_seen_and_unlocked(admin_client: Client, staff: StaffUser, settings: Any) -> None:
    for _ in range(5):
        sign_in(Client(), password="guess")
    assert "for an address or a browser" in admin_client.get(LIST).content.decode()
    settings.LOGIN_FAILURES_ANYWHERE = 5
    assert "for all browsers it has not" in admin_client.get(f"{LIST}{staff.pk}/change/").content.decode()
    assert "1 login is unlocked" in act(admin_client, "unlock", staff).content.decode()
    assert not AccessAttempt.objects.exists()
    assert sign_in(Client()) == 302
    assert events()[-1] == (Action.CHANGED, str(staff.pk), {"fields": ["locked"]})
    assert "0 logins are unlocked" in act(admin_client, "unlock", staff).content.decode()


def test_a_lost_second_factor_is_removed_for_others_only(
    client: Client, admin_user: StaffUser, staff: StaffUser
) -> None:
    owner = Client()
    _, recovery = add_second_factor(staff)
    add_second_factor(admin_user)
    client.force_login(admin_user)
    sign_in(owner, code=recovery[0])
    answer = act(client, "remove_second_factor", staff, admin_user).content.decode()
    assert "1 login is without a second factor now" in answer
    assert "Your own is turned off" in answer
    assert owner.get("/admin/").status_code == 302
    assert sign_in(owner) == 302
    assert events() == [(Action.CHANGED, str(staff.pk), {"fields": ["second factor"]})]


def test_the_list_costs_the_same_for_any_number_of_logins(
    admin_client: Client, staff: StaffUser, django_assert_max_num_queries: Any
) -> None:
    groups = list(Group.objects.all())
    for number in range(20):
        StaffUser.objects.create_user(f"login{number}", is_staff=True).groups.set(groups)
    with django_assert_max_num_queries(9):
        page = admin_client.get(LIST).content.decode()
    assert "Support" in page
    assert "<title> Staff | Whatsbot</title>" in page


def test_a_revoked_token_is_written_down_without_its_digest(admin_client: Client, staff: StaffUser) -> None:
    token, _ = ApiToken.objects.create(user=staff, name="crm")
    assert admin_client.get(TOKENS).status_code == 200
    assert admin_client.post(f"{TOKENS}{token.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not ApiToken.objects.exists()
    assert events() == [(Action.DELETED, token.token_key, {})]
