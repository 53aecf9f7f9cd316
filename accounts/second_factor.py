"""The second factor of a login: codes of an authenticator app (django-otp), and recovery codes for when it is lost.

`StaffUser.second_factor_at` says that a login has one; it, the device and the recovery codes come and go together.
"""

from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import get_random_string, salted_hmac
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice
from django_otp.util import random_hex

from accounts.models import StaffUser

KEY_BYTES = 20
RECOVERY_CODES = 10
RECOVERY_LENGTH = 10
# Nothing that is easily taken for something else; and a code of the app, which has digits alone, is told from these.
RECOVERY_ALPHABET = "abcdefghjkmnpqrstuvwxyz"


class WrongCode(Exception):
    """The code is not the one the authenticator app shows now."""


def make_key() -> str:
    """A new secret for an app, hexadecimal."""
    return str(random_hex(KEY_BYTES))


def make_device(*, staff: Any, key: str) -> TOTPDevice:
    """What the app and we compute codes with, not saved. ``key`` is hexadecimal, as `make_key` makes it."""
    return TOTPDevice(user=staff, name="Authenticator app", key=key)


@transaction.atomic
def set_up(staff: StaffUser, *, key: str, code: str) -> list[str]:
    """Give a login this second factor and return its recovery codes, which nobody can read again.

    All its sessions end. Raises WrongCode, and ValueError if it has a second factor already.
    """
    row = StaffUser.objects.select_for_update().get(pk=staff.pk)
    if row.second_factor_at is not None:
        raise ValueError("This login has a second factor.")
    if not make_device(staff=row, key=key).verify_token(_tidy(code)):
        raise WrongCode
    _mark(staff, at=timezone.now())
    return make_recovery_codes(staff)


@transaction.atomic
def make_recovery_codes(staff: StaffUser) -> list[str]:
    """New recovery codes, each good for one login; the old ones end."""
    StaticDevice.objects.filter(user=staff).delete()
    device = StaticDevice.objects.create(user=staff, name="Recovery codes")
    codes = [get_random_string(RECOVERY_LENGTH, RECOVERY_ALPHABET) for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=_digest(code)) for code in codes)
    return codes


def count_recovery_codes(staff: StaffUser) -> int:
    """How many are left."""
    return StaticToken.objects.filter(device__user=staff).count()


@transaction.atomic
def verify(staff: StaffUser, *, code: str) -> bool:
    """Whether ``code`` is what the app shows, or a recovery code. Each counts once; after a failure one has to wait.

    The rows are locked, so that a code sent twice at the same moment counts once.
    """
    code = _tidy(code)
    devices = TOTPDevice.objects if code.isdecimal() else StaticDevice.objects
    device = devices.select_for_update().filter(user=staff, confirmed=True).first()
    return device is not None and device.verify_token(code if code.isdecimal() else _digest(code))


@transaction.atomic
def remove(staff: StaffUser) -> None:
    """Let a login sign in with its password alone. All its sessions end."""
    for kind in (TOTPDevice, StaticDevice):
        kind.objects.filter(user=staff).delete()
    _mark(staff, at=None)


def _mark(staff: StaffUser, *, at: Any) -> None:
    staff.second_factor_at = at
    staff.save(update_fields=["second_factor_at"])


def _tidy(code: str) -> str:
    """Apps show codes in groups."""
    return "".join(code.split()).replace("-", "").lower()


def _digest(code: str) -> str:
    """What is kept of a recovery code: 64 bits that nobody can compute without our key."""
    return salted_hmac("accounts.second_factor", code, algorithm="sha256").hexdigest()[:16]
