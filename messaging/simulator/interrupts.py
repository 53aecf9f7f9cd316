"""Ctrl-C in a terminal that is being typed in."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

INTERRUPT_SECONDS = 0.05


@contextmanager
def hearing_interrupts(over: threading.Event) -> Iterator[None]:
    """Lose no Ctrl-C: ``over`` follows each of them.

    CPython's readline looks for signals only when its wait for a key is interrupted (readline_until_enter_or_signal).
    One that comes while the key before it is being shown would wait for the next key. A signal that does nothing
    interrupts the wait again.
    """
    heard, bell = socket.socketpair()
    bell.setblocking(False)
    typing = threading.get_ident()

    def interrupt() -> None:
        if heard.recv(1):
            while not over.wait(INTERRUPT_SECONDS):
                signal.pthread_kill(typing, signal.SIGWINCH)

    waker = threading.Thread(target=interrupt, daemon=True)
    waker.start()
    before = signal.set_wakeup_fd(bell.fileno())
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        bell.close()
        waker.join()
        heard.close()
