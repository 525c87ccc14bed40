"""The defaults that conf/ computes."""

import pytest
import torch

from sr_gan.resolvers import _auto_precision


@pytest.mark.parametrize(
    ("gpu", "native", "accelerator", "cpu_has_bf16", "precision"),
    [
        (True, True, "gpu", False, "bf16-mixed"),  # Ampere and later
        (True, False, "gpu", True, "16-mixed"),  # older GPUs, which only emulate bfloat16
        (True, True, "cpu", False, "32-true"),
        (True, True, "cpu", True, "bf16-mixed"),
        (False, False, "gpu", False, "32-true"),
    ],
)
def test_precision(
    monkeypatch: pytest.MonkeyPatch,
    gpu: bool,
    native: bool,
    accelerator: str,
    cpu_has_bf16: bool,
    precision: str,
) -> None:
    def supported(including_emulation: bool = True) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr("sr_gan.resolvers.cpu_computes_bf16", lambda: cpu_has_bf16)
    assert _auto_precision(accelerator) == precision
