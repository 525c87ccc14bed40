"""Names and facts of exported files."""

import pytest
from torch import nn

from sr_gan.exports.portable import Portable
from sr_gan.inference.pretrained import Pretrained
from sr_gan.networks import CompactNet


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("gan", "gan-x4"),
        ("srgan/2026-01-02-10-11-12/gan", "srgan-2026-01-02-10-11-12-gan-x4"),
        ("srresnet_3x3", "srresnet_3-3-x4"),  # Upscayl would take it for x3
        ("2x_Photo", "2-_Photo-x4"),
        ("../../etc/passwd", "etc-passwd-x4"),
        ("größer & schöner", "größer-schöner-x4"),
        ("xylophone", "xylophone-x4"),
        ("...", "model-x4"),
    ],
)
def test_names_of_files(name: str, stem: str) -> None:
    assert Portable(Pretrained(name, CompactNet(4))).stem == stem


def test_long_names_keep_their_end() -> None:
    portable = Portable(Pretrained("ä" * 300, CompactNet(4)), half=True)
    assert portable.stem.endswith("ä-x4-fp16")
    assert len(f"{portable.stem}-openvino.xml".encode()) <= 255


def test_a_file_says_only_what_is_known() -> None:
    model = Pretrained("mine", CompactNet(2, 4, 1))
    assert not {"license", "author"} & Portable(model).facts().keys()
    assert Portable(model, license="CC0-1.0").facts()["license"] == "CC0-1.0"


def test_the_networks_are_copies() -> None:
    generator: nn.Module = CompactNet(2, 4, 1)
    network = Portable(Pretrained("a", generator)).network(half=True)
    assert next(network.parameters()).element_size() == 2
    assert next(generator.parameters()).element_size() == 4
