"""Every error this project raises on purpose. The docstring of a class is its default message.

Refusals mix in the Django exception that already means the right status, so no view catches them. Provider
errors come in the two kinds a worker can act on: what is transient is tried again, what is permanent is not.
"""

from django.core.exceptions import BadRequest, PermissionDenied


class WhatsbotError(Exception):
    """Something went wrong in Whatsbot."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class InvalidTwilioSignature(WhatsbotError, PermissionDenied):
    """The request does not carry a valid Twilio signature."""


class MalformedWebhook(WhatsbotError, BadRequest):
    """The request is signed but is not a message we can store."""


class DatabaseUnavailable(WhatsbotError):
    """The database did not come back within the time a webhook may take."""


class ProviderError(WhatsbotError):
    """A call to a provider did not do what it should.

    ``code`` is the provider's own error code, where it gave one.
    """

    def __init__(self, message: str | None = None, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class TransientProviderError(ProviderError):
    """The provider could not do it now and certainly did not do it: safe to try again.

    ``retry_after`` is the provider's own wish in seconds, where it gave one.
    """

    def __init__(
        self, message: str | None = None, *, code: int | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class UnknownOutcome(ProviderError):
    """The provider may or may not have done it: find out before trying again."""


class PermanentProviderError(ProviderError):
    """The provider refused, and will refuse again."""


class MisconfiguredProvider(PermanentProviderError):
    """The provider refused because of our configuration: nothing goes through until an operator mends it."""


class MediaNotThereYet(TransientProviderError):
    """The provider does not have the media yet, or no more: right after the webhook it may still be on its way."""


class MediaRefused(WhatsbotError):
    """A file is not what we keep. ``reason`` is a value of `media.models.MessageMedia.Refusal`."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"A file was refused: {reason}.")
        self.reason = reason


class CannotWrite(WhatsbotError):
    """A member of staff cannot write to this person now."""


class NotTakenOver(CannotWrite):
    """This login does not have the conversation."""


class WindowClosed(CannotWrite):
    """WhatsApp takes no text for somebody who has not written for 24 hours."""


class OptedOut(CannotWrite):
    """The person wants to hear nothing."""


class NothingToSend(CannotWrite):
    """The text is empty, or has a character that cannot be sent."""


class KeyUsedBefore(CannotWrite):
    """Another text was sent with this form before; this one was not sent."""
