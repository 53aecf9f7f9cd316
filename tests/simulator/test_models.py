"""What the database itself does not let through, and the numbers a poll relies on."""

import random
import threading
import time
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction

from messaging.simulator.models import SimulatedMessage, SimulatedPhone
from messaging.simulator.phones import PHONES
from tests.simulator.conftest import make_sid, write


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("constraint", "column", "value"),
    [
        ("simulated_message_sid_shape", "sid", "SM" + "0" * 31 + "G"),
        ("simulated_message_direction_known", "direction", "sideways"),
        ("simulated_message_status_known", "status", "lost"),
        ("simulated_message_says_something", "body", ""),
    ],
)
def test_the_database_refuses(constraint: str, column: str, value: Any) -> None:
    message = write()
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"UPDATE simulator_simulatedmessage SET {column} = %s WHERE id = %s", [value, message.id]
        )


@pytest.mark.django_db
def test_a_sid_exists_once() -> None:
    message = write()
    with pytest.raises(IntegrityError), transaction.atomic():
        SimulatedMessage.objects.filter(id=write().id).update(sid=message.sid)


@pytest.mark.django_db(transaction=True)
def test_whoever_asks_for_everything_after_a_change_misses_nothing() -> None:
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    sids = [make_sid() for _ in range(40)]
    address = PHONES["us"].address

    def write_some(mine: list[str], pauses: random.Random) -> None:
        try:
            for sid in mine:
                with transaction.atomic():
                    write(sid=sid)
                    time.sleep(pauses.random() * 0.004)  # between taking a number and committing it
        finally:
            connection.close()

    threads = [
        threading.Thread(target=write_some, args=(sids[part::4], random.Random(seed + part)))
        for part in range(4)
    ]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    change = 0
    while any(thread.is_alive() for thread in threads) or len(seen) < len(sids):
        was_alive = any(thread.is_alive() for thread in threads)
        phone = SimulatedPhone.objects.filter(address=address).first()
        reached = phone.changes if phone else 0
        rows = SimulatedMessage.objects.filter(phone=address, change__gt=change, change__lte=reached)
        seen += rows.order_by("change").values_list("sid", flat=True)
        change = reached
        if not was_alive:
            break
    assert sorted(seen) == sorted(sids)
