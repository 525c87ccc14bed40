import platform
from pathlib import Path

import pytest

from sr_gan.machine import cpu_computes_bf16, cpu_name, keep_freed_memory


def test_the_processor_has_a_name() -> None:
    assert cpu_name()


@pytest.mark.parametrize(
    ("told", "computes"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 amx_tile\n", True),
        ("flags\t\t: fpu avx2 avx512f\n", False),
        ("Features\t: fp asimd bf16\n", True),
    ],
)
def test_bf16_is_what_linux_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, told: str, computes: bool
) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(f"processor\t: 0\n{told}")
    monkeypatch.setattr("sr_gan.machine._INFO", info)
    assert cpu_computes_bf16() == computes
    info.unlink()
    assert not cpu_computes_bf16()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="needs glibc")
def test_glibc_takes_the_settings_and_their_defaults() -> None:
    assert keep_freed_memory()
    assert keep_freed_memory(False)


def test_elsewhere_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")
    assert not keep_freed_memory()
