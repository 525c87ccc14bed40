"""8-bit integers: calibrated on photographs, cached, and refused if they lose too much."""

import logging
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from skimage import data

from sr_gan.errors import UserError
from sr_gan.inference import int8
from sr_gan.inference.prepare import prepare
from sr_gan.inference.pretrained import Pretrained
from sr_gan.inference.upscaler import Upscaler
from sr_gan.networks import MSRResNet
from sr_gan.settings.options import Options

pytestmark = pytest.mark.skipif(not find_spec("nncf"), reason="needs the extra openvino")

INT8 = Options(device="cpu", backend="openvino", precision="int8")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Calibrates on one photograph, with a cache of its own."""
    monkeypatch.setattr(int8, "bundled_pixels", lambda: [data.chelsea()])
    monkeypatch.setenv("SR_GAN_CACHE", str(tmp_path / "cache"))


def tiny() -> MSRResNet:
    torch.manual_seed(0)
    network = MSRResNet(filters=8, blocks=1)
    for parameter in network.parameters():
        parameter.data.mul_(3)  # so that it matters
    return network


def test_an_image_in_integers_is_close_and_the_calibration_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    model = Pretrained("tiny", tiny())
    image = torch.from_numpy(data.chelsea()[:60, :80].copy()).permute(2, 0, 1)
    exact = Upscaler(model, Options(device="cpu", precision="fp32"))(image).int()
    close = Upscaler(model, INT8)(image).int()
    assert 0 < (exact - close).abs().float().mean() < 2
    assert "calibrating" in caplog.text
    assert "below fp32" in caplog.text
    caplog.clear()
    again = Upscaler(model, INT8)(image).int()
    assert torch.equal(again, close)
    assert "calibrating" not in caplog.text
    (folder,) = (tmp_path / "cache").iterdir()  # nothing unfinished is beside it
    assert {"trunk.xml", "trunk.bin", "reconstruction.xml", "loss.json"} <= {
        path.name for path in folder.iterdir()
    }
    weights = "".join(path.read_text() for path in folder.glob("*.xml"))
    assert 'element_type="i8"' in weights


def test_what_loses_too_much_is_refused_with_the_loss(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(int8, "MOST_LOSS", -100.0)
    with pytest.raises(UserError, match=r"precision=int8 loses -?\d\.\d\d dB .* use precision=bf"):
        int8.quantised(prepare(tiny()), 4)
    assert not list(tmp_path.glob("cache/*"))
