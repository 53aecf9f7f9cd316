"""Who is who: people on WhatsApp, staff who sign in, and the API tokens of staff."""

from collections.abc import Iterator

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex, OpClass
from django.contrib.postgres.search import SearchVector
from django.db import models
from django.db.models.functions import Now, Reverse, TruncDate
from knox.models import AbstractAuthToken


class StaffUser(AbstractUser):  # type: ignore[django-manager-missing]  # knox is untyped
    """A login for the back-office and the API. WhatsApp people never sign in; they are `WhatsAppUser`."""

    # Written by accounts/second_factor.py alone, together with the device and the recovery codes.
    second_factor_at = models.DateTimeField(
        "second factor since",
        null=True,
        blank=True,
        editable=False,
        help_text="Since when signing in asks for a code of the authenticator app, too.",
    )

    class Meta:
        verbose_name = "staff login"

    def get_session_auth_hash(self) -> str:
        """What sessions are bound to: they end when the password changes, and when a second factor comes or goes.

        So a session that began without the code never outlives the moment from which one is asked for.
        """
        return self._bind(super().get_session_auth_hash())

    def get_session_auth_fallback_hash(self) -> Iterator[str]:
        """The same with keys that were replaced."""
        for session_hash in super().get_session_auth_fallback_hash():
            yield self._bind(session_hash)

    def _bind(self, session_hash: str) -> str:
        return (
            f"{session_hash}:{self.second_factor_at.timestamp()}" if self.second_factor_at else session_hash
        )


class Scope(models.TextChoices):
    """What a token of the API may be used for (api/access.py)."""

    READ = "memories:read", "read memories and conversations"
    WRITE = "memories:write", "store, correct and delete memories"
    PEOPLE = "people", "read, change, export and erase people"
    ANALYTICS = "analytics", "read figures without personal texts"


class ApiToken(AbstractAuthToken):
    """A key a program uses for the API, stored as a digest. ``name`` says which program.

    It may do what its ``scopes`` say, as far as the staff login it belongs to may do it.
    """

    name = models.CharField(max_length=100, blank=True)
    scopes = ArrayField(models.CharField(max_length=20, choices=Scope), default=list)
    last_used_at = models.DateTimeField(null=True, blank=True, help_text="To the minute.")

    class Meta:
        verbose_name = "API token"
        db_table_comment = "API tokens; only digests are stored"
        constraints = (
            models.CheckConstraint(
                name="api_token_scopes_known",
                condition=models.Q(
                    scopes__contained_by=["memories:read", "memories:write", "people", "analytics"]
                ),
            ),
        )

    def __str__(self) -> str:
        return self.name or self.token_key

    @property
    def audit_key(self) -> str:
        """How the audit log calls it: the digest stays in its table."""
        return self.token_key


class WhatsAppUser(models.Model):
    """A person on WhatsApp, keyed by the channel address Twilio gives in ``From``.

    The address is kept verbatim (contracts/twilio-whatsapp.md §1.2): usually ``whatsapp:+12025550123``, but people who
    hide their number come as ``whatsapp:US.1349…``, a business-scoped id, and then have no ``phone_number``.
    """

    class TimezoneSource(models.TextChoices):
        INFERRED = "inferred"  # the number belongs to one zone
        GUESSED = "guessed"  # the number may belong to several: the one most people live in
        CHOSEN = "chosen"  # the person said so
        STAFF = "staff"  # set in the back-office

    whatsapp_id = models.CharField(max_length=160, unique=True)
    phone_number = models.CharField(max_length=16, unique=True, null=True, blank=True)
    business_scoped_id = models.CharField(max_length=160, unique=True, null=True, blank=True)
    profile_name = models.TextField(blank=True, help_text="Chosen by the person; never an identity.")
    name = models.CharField(
        max_length=200,
        blank=True,
        db_default="",
        help_text="Given by staff or a program; goes before theirs.",
    )
    timezone = models.CharField(max_length=64, default="UTC")
    timezone_source = models.CharField(
        max_length=8,
        choices=TimezoneSource,
        default=TimezoneSource.GUESSED,
        db_default=TimezoneSource.GUESSED,
    )
    memories_numbered = models.PositiveIntegerField(
        default=0, db_default=0, help_text="The highest memory number ever given; numbers are not used again."
    )
    timezone_asked_at = models.DateTimeField(
        null=True, blank=True, help_text="When we asked whether the guessed zone is right; we ask once."
    )
    tokens_notice_at = models.DateTimeField(
        null=True, blank=True, help_text="When we last said that the day's share of the model is used up."
    )
    opted_out_at = models.DateTimeField(null=True, blank=True)
    last_inbound_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        verbose_name = "WhatsApp user"
        # What staff may do beyond Django's four verbs; backoffice/roles.py gives it out.
        permissions = (
            ("open_people", "Can see a person's data after giving a reason"),
            ("see_personal_data", "Can see numbers and texts in lists without giving a reason"),
            ("export_whatsappuser", "Can export all that is kept of a person"),
            ("take_over", "Can pause the bot and answer in its place"),
            ("retry_work", "Can retry what failed, and replay messages"),
            ("delete_selections", "Can delete many things at once"),
            ("view_settings", "Can see the settings"),
        )
        constraints = (
            models.CheckConstraint(name="whatsapp_user_has_an_address", condition=~models.Q(whatsapp_id="")),
            models.CheckConstraint(
                name="whatsapp_user_phone_is_e164",
                condition=models.Q(phone_number__regex=r"^\+[1-9][0-9]{5,14}$"),
            ),
            models.CheckConstraint(
                name="whatsapp_user_timezone_source_known",
                condition=models.Q(timezone_source__in=["inferred", "guessed", "chosen", "staff"]),
            ),
            # whatsapp_user_timezone_is_known: in migration 0001, because only PostgreSQL's AT TIME ZONE can say it.
        )
        indexes = (
            # Found by the last digits of a number, and by words of a name (backoffice/finding.py).
            models.Index(
                OpClass(Reverse("phone_number"), name="text_pattern_ops"), name="whatsapp_user_number_ends"
            ),
            GinIndex(SearchVector("name", "profile_name", config="simple"), name="whatsapp_user_names"),
        )

    def __str__(self) -> str:
        return self.name or self.profile_name or self.phone_number or self.whatsapp_id


class AuditEvent(models.Model):
    """That somebody looked at a person's data, or did something in the back-office or by the API; append-only.

    Triggers of the database refuse every change and deletion (accounts/migrations/0006), but for one: when a person is
    erased, the reasons given for looking at them are blanked, because these may speak of them. There are no foreign
    keys: what happened stays when logins, people and objects are gone. ``detail`` has counts and names of fields, never
    what anybody wrote.
    """

    class Action(models.TextChoices):
        OPENED = "opened", "gave a reason and could look"
        READ = "read", "read by a program"
        REPLAYED = "replayed", "replayed a message"
        RETRIED = "retried", "had a failed step done again"
        TOOK_OVER = "took over", "paused the bot to answer in its place"
        WROTE = "wrote", "wrote in the bot's place"
        HANDED_BACK = "handed back", "let the bot answer again"
        CHANGED = "changed", "changed something"
        ADDED = "added", "added something"
        DELETED = "deleted", "deleted something"
        EXPORTED = "exported", "exported all data"
        ERASED = "erased", "erased the person"
        LOCKED_OUT = "locked out", "was locked out"

    at = models.DateTimeField(db_default=Now())
    staff_id = models.BigIntegerField(null=True, blank=True, help_text="The login's key.")
    staff_name = models.CharField(max_length=150, help_text="The login's name at that time.")
    program = models.CharField(max_length=100, blank=True, help_text="The API token, where one was used.")
    person_id = models.BigIntegerField(
        null=True, blank=True, help_text="The key of the WhatsApp user, who may be gone."
    )
    action = models.CharField(max_length=12, choices=Action)
    object_type = models.CharField(max_length=100, blank=True, help_text="app_label.model")
    object_id = models.CharField(max_length=64, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    detail = models.JSONField(default=dict, blank=True)

    class Meta:
        constraints = (
            models.CheckConstraint(
                name="audit_opened_somebody",
                condition=~models.Q(action="opened") | models.Q(person_id__isnull=False),
            ),
            models.CheckConstraint(name="audit_somebody_did_it", condition=~models.Q(staff_name="")),
            # A program that reads all day is written down once a day for each person, whichever process it asks.
            models.UniqueConstraint(
                "staff_id",
                "program",
                "person_id",
                TruncDate("at"),  # in UTC
                name="audit_read_once_a_day",
                condition=models.Q(action="read"),
            ),
        )
        indexes = (
            # Accesses to a person's data, newest first: /who, and the reasons that are open.
            models.Index(
                name="audit_of_person",
                fields=["person_id", "-at"],
                condition=models.Q(person_id__isnull=False),
            ),
            models.Index(name="audit_of_staff", fields=["staff_id", "-at"]),
        )

    def __str__(self) -> str:
        return f"{self.staff_name} {self.action}"
