"""What a command is."""

from collections.abc import Callable
from dataclasses import dataclass

from messaging.answers import Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What a message asks for, ready to be carried out.

    ``run`` of a look-up only reads and may ask Mem0: it runs outside of transactions. Every other touches only our
    database and runs in the transaction that commits its answer, so that effect and answer are one.
    ``only_reads``: it has no effect besides its answer.
    """

    run: Callable[[], Answer]
    is_lookup: bool = False
    only_reads: bool = False
