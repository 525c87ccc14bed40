"""OpenVINO against PyTorch, on images of any size."""

import logging
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from sr_gan.errors import UserError
from sr_gan.inference.openvino import convert, load, run_by_openvino
from sr_gan.inference.prepare import prepare
from sr_gan.inference.pretrained import Interpolation, Pretrained
from sr_gan.inference.upscaler import Upscaler
from sr_gan.networks import CompactNet, MSRResNet, SRResNet
from sr_gan.networks.split import enlarge
from sr_gan.settings.options import Options

pytestmark = pytest.mark.skipif(not find_spec("openvino"), reason="needs the extra openvino")


@pytest.mark.parametrize(
    "network",
    [SRResNet(filters=8, blocks=2), MSRResNet(2, 8, 1), CompactNet(filters=8, blocks=2)],
)
def test_equals_pytorch_at_any_size(network: nn.Module) -> None:
    network = prepare(network)
    trunk, reconstruction = run_by_openvino(network, convert(network), "fp32")
    for height, width in ((16, 16), (19, 41)):
        lr = torch.rand(1, 3, height, width)
        sr = enlarge(trunk, reconstruction, lr, int(network.scale))  # type: ignore[arg-type]
        torch.testing.assert_close(sr, network(lr), atol=1e-5, rtol=0)


def test_an_upscaler_of_it_makes_the_same_image_in_tiles() -> None:
    model = Pretrained("tiny", MSRResNet(filters=8, blocks=1))
    image = torch.randint(0, 256, (3, 37, 50), dtype=torch.uint8)
    plain = Upscaler(model, Options(device="cpu", precision="fp32"))(image)
    tiled = Upscaler(model, Options(device="cpu", backend="openvino", precision="fp32", tile=16))(
        image
    )
    assert (plain.int() - tiled.int()).abs().max() <= 1
    assert (plain != tiled).float().mean() < 0.001


def test_what_it_returns_is_not_overwritten_by_the_next() -> None:
    network = prepare(MSRResNet(filters=8, blocks=1))
    trunk, _ = run_by_openvino(network, convert(network), "fp32")
    first = trunk.run(torch.zeros(1, 3, 16, 16))
    kept = first.clone()
    trunk.run(torch.ones(1, 3, 16, 16))
    assert torch.equal(first, kept)


def test_leaves_the_logging_as_it_was() -> None:
    root = logging.getLogger()
    before = (root.level, root.filters.copy(), root.handlers.copy())
    convert(prepare(MSRResNet(filters=8, blocks=1)))
    assert (root.level, root.filters, root.handlers) == before


def test_reports_nothing_to_its_makers() -> None:
    """Runs in a process where nothing else has imported the package."""
    code = "import sys; from sr_gan.inference.openvino import load; load(); "
    code += "sys.exit(sys.modules['openvino_telemetry'] is not None)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_an_interpolation_is_refused() -> None:
    with pytest.raises(UserError, match="Interpolation: use backend=torch"):
        convert(Interpolation("bicubic"))


def test_without_the_package_the_extra_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"pip install 'sr_gan\[openvino\]'"):
        load()
