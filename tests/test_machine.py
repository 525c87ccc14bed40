import platform

import pytest

from sr_gan.machine import cpu_name, keep_freed_memory


def test_the_processor_has_a_name() -> None:
    assert cpu_name()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_takes_the_settings_and_their_defaults() -> None:
    assert keep_freed_memory()
    assert keep_freed_memory(False)


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert not keep_freed_memory()
