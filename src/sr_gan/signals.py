"""Signals that ask the program to end, such as Ctrl-C: at once, or after a state has been saved."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import Any

_ALWAYS = ("SIGINT", "SIGTERM")
# nohup ignores SIGHUP, and cluster software may use SIGUSR1 itself: those handlers stay.
_UNLESS_HANDLED = ("SIGHUP", "SIGUSR1")
_ONE = 0.5  # seconds in which a signal counts once: a terminal and `timeout` may both send it


class Interrupted(BaseException):
    """The program was asked to end.

    Args:
        signum: the number of the signal.
        checkpoint: the file that holds the state; None if nothing was to be saved.
    """

    def __init__(self, signum: int, checkpoint: Path | None = None) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum, self.checkpoint = signum, checkpoint


class _Signals:
    received: int | None = None
    since = 0.0  # when it was received
    postponed = False


@contextmanager
def caught() -> Iterator[None]:
    """Turns signals into :class:`Interrupted` inside the block."""
    previous: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        for name in (*_ALWAYS, *_UNLESS_HANDLED):
            signum = getattr(signal, name, None)  # Windows lacks some
            handler = signum and signal.getsignal(signum)
            free = name in _ALWAYS or handler is signal.SIG_DFL
            if signum and free and handler is not _handle:
                previous[signum] = signal.signal(signum, _handle)
    try:
        yield
    finally:
        allow()
        for signum, handler in previous.items():
            if signal.getsignal(signum) is _handle:
                signal.signal(signum, handler)


def postpone() -> None:
    """Only notes signals from now on, until :func:`allow`; a second Ctrl-C still ends at once.

    Lightning has put a handler of its own over SIGTERM by then, which ends a run amid its hooks.
    """
    _Signals.received, _Signals.postponed = None, True
    if signal.getsignal(signal.SIGINT) is _handle:  # inside caught()
        signal.signal(signal.SIGTERM, _handle)


def allow() -> None:
    """Lets signals end the program at once again."""
    _Signals.received, _Signals.postponed = None, False


def received() -> int | None:
    """Returns the number of the signal that came since :func:`postpone`, if any."""
    return _Signals.received


def _handle(signum: int, frame: Any) -> None:
    if _Signals.received == signum and monotonic() - _Signals.since < _ONE:
        return
    impatient = _Signals.received is not None and signum == signal.SIGINT
    if impatient or not _Signals.postponed:
        raise Interrupted(signum)
    _Signals.received, _Signals.since = signum, monotonic()
    with suppress(OSError):  # the terminal may be gone
        again = "; Ctrl-C again leaves at once" if signum == signal.SIGINT else ""
        print(f"\nstopping after this step{again}", file=sys.stderr)
