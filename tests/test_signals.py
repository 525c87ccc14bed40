import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from sr_gan import signals
from sr_gan.signals import Interrupted, caught

NAMES = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1"]


@pytest.fixture(autouse=True)
def _at_once() -> Iterator[None]:
    signals.allow()
    before = {name: signal.signal(getattr(signal, name), signal.SIG_DFL) for name in NAMES[1:]}
    yield  # nohup around the tests would ignore SIGHUP
    signals.allow()
    for name, handler in before.items():
        signal.signal(getattr(signal, name), handler)


def send(name: str) -> None:
    os.kill(os.getpid(), getattr(signal, name))


@pytest.mark.parametrize("name", NAMES)
def test_a_signal_ends_what_is_running(name: str) -> None:
    before = signal.getsignal(getattr(signal, name))
    with pytest.raises(Interrupted, match=f"stopped by {name}") as stopped, caught():
        send(name)
    assert stopped.value.signum == getattr(signal, name)
    assert signal.getsignal(getattr(signal, name)) is before


@pytest.mark.parametrize("name", NAMES)
def test_or_is_noted_until_there_is_time_for_it(name: str) -> None:
    with caught():
        signals.postpone()
        send(name)
        assert signals.received() == getattr(signal, name)
        signals.allow()
        assert signals.received() is None
        with pytest.raises(Interrupted):
            send(name)


def test_a_second_ctrl_c_does_not_wait() -> None:
    with caught():
        signals.postpone()
        send("SIGTERM")
        send("SIGTERM")  # a second one changes nothing
        with pytest.raises(Interrupted, match="stopped by SIGINT"):
            send("SIGINT")


def test_one_ctrl_c_may_come_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal sends it to the whole group, in which ``timeout --foreground`` sends it on."""
    now = [5.0]
    monkeypatch.setattr(signals, "monotonic", lambda: now[0])
    with caught():
        signals.postpone()
        for now[0] in (5.0, 5.1):
            send("SIGINT")
        now[0] = 6.0
        with pytest.raises(Interrupted, match="stopped by SIGINT"):
            send("SIGINT")


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_terminal_that_is_gone_is_no_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Gone())
    with caught():
        signals.postpone()
        send("SIGHUP")
        assert signals.received() == signal.SIGHUP


def test_a_handler_that_was_put_over_it_does_not_hear_of_it() -> None:
    """Lightning's would end the program at the end of an epoch, with the exit code 0."""
    heard: list[int] = []
    with caught():
        signal.signal(signal.SIGTERM, lambda signum, frame: heard.append(signum))
        signals.postpone()
        send("SIGTERM")
        assert signals.received() == signal.SIGTERM
    assert not heard


@pytest.mark.parametrize("name", ["SIGHUP", "SIGUSR1"])
def test_handlers_of_nohup_and_of_clusters_stay(name: str) -> None:
    heard: list[int] = []
    before = signal.signal(getattr(signal, name), lambda signum, frame: heard.append(signum))
    try:
        with caught():
            send(name)
    finally:
        signal.signal(getattr(signal, name), before)
    assert heard == [getattr(signal, name)]


def test_blocks_in_each_other_keep_the_handler() -> None:
    with caught():
        with caught():
            pass
        with pytest.raises(Interrupted):
            send("SIGTERM")


def test_an_error_amid_a_postponement_ends_it() -> None:
    def work() -> None:
        signals.postpone()
        raise ValueError

    with caught():
        with pytest.raises(ValueError), caught():  # noqa: PT011
            work()
        with pytest.raises(Interrupted):
            send("SIGTERM")


def test_a_handler_that_was_replaced_meanwhile_stays() -> None:
    before = signal.getsignal(signal.SIGTERM)
    try:
        with caught():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_other_threads_leave_signals_alone() -> None:
    failed: list[BaseException] = []

    @caught()
    def work() -> None:
        pass

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert not failed
