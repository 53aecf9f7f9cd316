"""What staff may do, by role. Roles are Django's groups, kept in line with this file by every migration."""

from collections.abc import Mapping

from django.contrib.auth.models import Group, Permission

_PERSONAL = (
    *("accounts.view_whatsappuser", "accounts.change_whatsappuser", "accounts.open_people"),
    *("messaging.view_rawmessage", "messaging.view_interaction", "messaging.view_outboundmessage"),
    "messaging.view_deliveryevent",
    *("memories.view_memory", "memories.view_memoryhistory"),
    *("media.view_mediafile", "media.view_messagemedia"),
)
_DELETE_ONE = (
    "messaging.delete_rawmessage",
    "memories.delete_memory",
    "media.delete_messagemedia",
    "media.delete_mediafile",
)

ROLES: Mapping[str, tuple[str, ...]] = {
    # Answers "why did the bot say that?": sees one person at a time, for a reason.
    "Support": (*_PERSONAL, *_DELETE_ONE, "accounts.take_over"),
    # Answers "what do you keep of me, and delete it".
    "Privacy": (
        *_PERSONAL,
        *_DELETE_ONE,
        *("accounts.delete_whatsappuser", "accounts.export_whatsappuser", "accounts.see_personal_data"),
        *("accounts.delete_selections", "accounts.view_auditevent", "messaging.view_erasurereceipt"),
    ),
    # Keeps it running: sees what is stuck, not what people said.
    "Operator": (
        *("messaging.view_rawmessage", "messaging.view_interaction"),
        *("messaging.view_outboundmessage", "messaging.view_deliveryevent"),
        *("accounts.retry_work", "accounts.view_settings"),
        *("procrastinate.view_procrastinatejob", "procrastinate.view_procrastinateevent"),
        *("accounts.view_apitoken", "accounts.delete_apitoken"),
        *(f"api.{verb}_webhookendpoint" for verb in ("view", "add", "change", "delete")),
        *("api.view_webhookdelivery", "api.change_webhookdelivery"),
    ),
}


def bring_roles_in_line(*, using: str = "default") -> None:
    """Make the groups of `ROLES` with exactly these permissions; other groups are left alone.

    Call when the permissions are there: this app comes behind those it gives permissions of.

    Raises LookupError for a permission nobody has.
    """
    known = {
        f"{app}.{codename}": pk
        for pk, app, codename in Permission.objects.using(using).values_list(
            "pk", "content_type__app_label", "codename"
        )
    }
    for name, permissions in ROLES.items():
        if unknown := set(permissions) - set(known):
            raise LookupError(f"The role {name} has permissions nobody knows: {sorted(unknown)}")
        group, _ = Group.objects.using(using).get_or_create(name=name)
        group.permissions.set([known[permission] for permission in permissions])
