"""What came in, what was answered, what went out."""

from messaging.models.conversation import Interaction, PendingConfirmation, RawMessage, Takeover
from messaging.models.erasure import ErasureReceipt
from messaging.models.outbox import DeliveryEvent, OutboundMessage

__all__ = [
    "DeliveryEvent",
    "ErasureReceipt",
    "Interaction",
    "OutboundMessage",
    "PendingConfirmation",
    "RawMessage",
    "Takeover",
]
