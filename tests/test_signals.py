import errno
import io
import signal
import sys

import pytest

from sr_gan import signals


class Gone(io.StringIO):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        raise OSError(errno.EIO, "Input/output error")


def test_a_second_ctrl_c_leaves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Gone())
    with signals.caught():
        signals.postpone()
        try:
            signal.raise_signal(signal.SIGINT)
            assert signals.received() == signal.SIGINT
            with pytest.raises(signals.Interrupted, match="stopped by SIGINT"):
                signal.raise_signal(signal.SIGINT)
        finally:
            signals.allow()
