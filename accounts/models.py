"""Who is who: people on WhatsApp, staff who sign in, and the API tokens of staff."""

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now
from knox.models import AbstractAuthToken


class StaffUser(AbstractUser):  # type: ignore[django-manager-missing]  # knox is untyped
    """A login for the back-office and the API. WhatsApp people never sign in; they are `WhatsAppUser`."""


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

    def __str__(self) -> str:
        return self.name or self.profile_name or self.phone_number or self.whatsapp_id
