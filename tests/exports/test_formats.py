"""Every format of every generator, opened here by the package that it is made for."""

from collections.abc import Callable
from pathlib import Path

import ncnn
import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import spandrel
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.errors import UserError
from sr_gan.exports import ncnn as ncnn_format
from sr_gan.exports.portable import Portable
from sr_gan.exports.proven import export
from sr_gan.inference.pretrained import Pretrained
from sr_gan.networks import RRDBNet
from tests.exports.conftest import Trained

Array = NDArray[np.float32]
KINDS = ["srresnet", "msrresnet", "nearest", "compact", "rrdb"]
SIZES = ((19, 31), (2, 9))  # which the check does not try


def by_onnx(file: Path, image: Array) -> Array:
    session = onnxruntime.InferenceSession(file.read_bytes())
    return session.run(["enlarged"], {"image": image})[0]  # type: ignore[no-any-return]


def by_pt2(file: Path, image: Array) -> Array:
    return torch.export.load(file).module()(torch.from_numpy(image)).numpy()  # type: ignore[no-any-return]


def by_openvino(file: Path, image: Array) -> Array:
    model = openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(model({"image": image})["enlarged"])


def by_spandrel(file: Path, image: Array) -> Array:
    model = spandrel.ModelLoader().load_from_file(file)
    assert isinstance(model, spandrel.ImageModelDescriptor)
    return model(torch.from_numpy(image)).detach().numpy()  # type: ignore[no-any-return]


def by_ncnn(file: Path, image: Array) -> Array:
    net = ncnn.Net()
    assert net.load_param(str(file)) == net.load_model(str(file.with_suffix(".bin"))) == 0
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(image[0]).clone())
    return np.array(extractor.extract("output")[1])[None]


def differs(portable: Portable, run: Callable[[Path, Array], Array], file: Path) -> float:
    """The largest difference to the generator, on two images."""
    return max(differs_on(size, portable, run, file) for size in SIZES)


def differs_on(
    size: tuple[int, int], portable: Portable, run: Callable[[Path, Array], Array], file: Path
) -> float:
    lr = torch.rand(1, 3, *size)
    with torch.no_grad():
        expected = (portable.model.generator(lr).clamp(-1, 1) + 1) / 2
    assert float(expected.std()) > 0.05  # it is a picture
    made = torch.from_numpy(run(file, lr.numpy()))
    assert made.shape == expected.shape
    return float((made - expected).abs().max())


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("kind", KINDS)
def test_onnx(trained: Trained, kind: str, half: bool, tmp_path: Path) -> None:
    portable = Portable(trained(kind), half, author="A. N. Other", license="CC0-1.0")
    (file,) = export(portable, "onnx", tmp_path).files
    assert list(tmp_path.iterdir()) == [file]
    assert differs(portable, by_onnx, file) < (4e-3 if half else 1e-5)
    model, scale = onnx.load(file), portable.model.scale
    facts = {each.key: each.value for each in model.metadata_props}
    assert facts["author"] == "A. N. Other"
    assert (facts["name"], facts["scale"], facts["license"]) == (kind, str(scale), "CC0-1.0")
    session = onnxruntime.InferenceSession(file)
    (given,), (made,) = session.get_inputs(), session.get_outputs()
    assert given.shape == ["batch", 3, "height", "width"]
    assert made.shape == ["batch", 3, f"{scale}*height", f"{scale}*width"]
    assert given.type == made.type == "tensor(float)"
    types = {each.data_type for each in model.graph.initializer if len(each.dims) == 4}
    assert types == {onnx.TensorProto.FLOAT16 if half else onnx.TensorProto.FLOAT}


def test_onnx_for_the_web_is_not_clipped(trained: Trained, tmp_path: Path) -> None:
    made = {}
    for web in (False, True):
        (file,) = export(Portable(trained("compact"), web=web), "onnx", tmp_path).files
        made[web] = by_onnx(file, np.random.default_rng(0).random((2, 3, 9, 5), np.float32))
        kinds = [node.op_type for node in onnx.load(file).graph.node]
        assert ("Clip" in kinds) != web
    assert made[True].max() > 1
    np.testing.assert_allclose(made[True].clip(0, 1), made[False], atol=1e-6)


def test_the_receptive_field_in_the_metadata(trained: Trained, tmp_path: Path) -> None:
    """A pixel further away changes nothing; SRResNet's fields add up to 19 for these sizes."""
    portable = Portable(trained("srresnet"))
    halo = int(portable.facts()["receptive_field"].split()[0])
    lr = torch.rand(1, 3, 8, 80)
    with torch.no_grad():
        one = portable.model.generator(lr)
        lr[..., halo + 1 :] = 0
        two = portable.model.generator(lr)
    assert torch.equal(one[..., :4], two[..., :4])
    assert not torch.equal(one[..., 4 : 4 * halo], two[..., 4 : 4 * halo])


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("kind", KINDS)
def test_ncnn(trained: Trained, kind: str, half: bool, tmp_path: Path) -> None:
    portable = Portable(trained(kind), half)
    param, weights = export(portable, "ncnn", tmp_path).files
    assert sorted(tmp_path.iterdir()) == sorted([param, weights])
    assert differs(portable, by_ncnn, param) < (4e-3 if half else 1e-5)
    lines = [line.split() for line in param.read_text().splitlines()[2:]]
    assert (lines[0][0], lines[0][4], lines[-1][-3]) == ("Input", "data", "output")
    count = sum(each.numel() for each in portable.model.generator.parameters())
    assert weights.stat().st_size / count == pytest.approx(2 if half else 4, rel=0.2)


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("kind", KINDS)
def test_openvino(trained: Trained, kind: str, half: bool, tmp_path: Path) -> None:
    portable = Portable(trained(kind), half)
    file, weights = export(portable, "openvino", tmp_path).files
    assert sorted(tmp_path.iterdir()) == sorted([file, weights])
    assert differs(portable, by_openvino, file) < (4e-3 if half else 1e-5)
    model = openvino.Core().read_model(file)
    assert str(model.inputs[0].partial_shape) == "[?,3,?,?]"
    assert model.get_rt_info(["sr_gan", "name"]).astype(str) == kind


@pytest.mark.parametrize("kind", KINDS)
def test_pt2(trained: Trained, kind: str, tmp_path: Path) -> None:
    portable = Portable(trained(kind))
    (file,) = export(portable, "pt2", tmp_path).files
    assert differs(portable, by_pt2, file) < 1e-5
    facts = dict.fromkeys(portable.facts(), "")
    torch.export.load(file, extra_files=facts)
    assert facts == portable.facts()


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
@pytest.mark.parametrize("kind", ["compact", "rrdb", "rrdb_x2", "rrdb_x8"])
def test_spandrel(trained: Trained, kind: str, half: bool, tmp_path: Path) -> None:
    portable = Portable(trained(kind), half)
    (file,) = export(portable, "spandrel", tmp_path).files
    assert differs(portable, by_spandrel, file) < (4e-3 if half else 1e-5)
    model = spandrel.ModelLoader().load_from_file(file)
    assert model.scale == portable.model.scale
    assert model.architecture.id == ("Compact" if kind == "compact" else "ESRGAN")
    state = torch.load(file, weights_only=True)["params"]
    assert {x.dtype for x in state.values()} == {torch.float16 if half else torch.float32}


@pytest.mark.parametrize(
    ("kind", "form", "message"),
    [
        ("srresnet", "spandrel", "spandrel knows RRDBNet and CompactNet, not SRResNet: use onnx"),
        ("rrdb_growth_4", "spandrel", "RRDBNet with growth=32, not 4"),
        ("srresnet", "basicsr", "BasicSR knows MSRResNet, not SRResNet"),
        ("nearest", "basicsr", "MSRResNet x2 and x4 with skip=bilinear"),
    ],
)
def test_what_does_not_fit(
    trained: Trained, kind: str, form: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"format={form}: .*{message}"):
        export(Portable(trained(kind)), form, tmp_path)
    assert not list(tmp_path.iterdir())


class MSRResNetOfBasicSR(nn.Module):
    """The network of basicsr/archs/srresnet_arch.py for x4, as its authors describe it."""

    def __init__(self, filters: int, blocks: int) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(3, filters, 3, 1, 1)
        self.body = nn.Sequential(*(BlockOfBasicSR(filters) for _ in range(blocks)))
        self.upconv1 = nn.Conv2d(filters, filters * 4, 3, 1, 1)
        self.upconv2 = nn.Conv2d(filters, filters * 4, 3, 1, 1)
        self.conv_hr = nn.Conv2d(filters, filters, 3, 1, 1)
        self.conv_last = nn.Conv2d(filters, 3, 3, 1, 1)

    def forward(self, lr: Tensor) -> Tensor:
        def act(x: Tensor) -> Tensor:
            return F.leaky_relu(x, 0.1)

        out = self.body(act(self.conv_first(lr)))
        for up in (self.upconv1, self.upconv2):
            out = act(F.pixel_shuffle(up(out), 2))
        out = self.conv_last(act(self.conv_hr(out)))
        sr: Tensor = out + F.interpolate(lr, scale_factor=4.0, mode="bilinear")
        return sr


class BlockOfBasicSR(nn.Module):
    def __init__(self, filters: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(filters, filters, 3, 1, 1)
        self.conv2 = nn.Conv2d(filters, filters, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.conv2(F.relu(self.conv1(x)))
        return out


def by_basicsr(file: Path, image: Array) -> Array:
    network = MSRResNetOfBasicSR(8, 2)
    network.load_state_dict(torch.load(file, weights_only=True)["params"])
    with torch.no_grad():
        return network(torch.from_numpy(image)).clamp(0, 1).numpy()  # type: ignore[no-any-return]


@pytest.mark.parametrize("half", [False, True], ids=["fp32", "fp16"])
def test_basicsr(trained: Trained, half: bool, tmp_path: Path) -> None:
    portable = Portable(trained("msrresnet"), half)
    (file,) = export(portable, "basicsr", tmp_path).files
    assert differs(portable, by_basicsr, file) < (4e-3 if half else 1e-5)


@pytest.mark.slow
def test_ncnn_of_a_network_as_deep_as_esrgans(tmp_path: Path) -> None:
    """pnnx would fill the memory with the sums of its skips."""
    portable = Portable(Pretrained("deep", RRDBNet(4, 4, 23, 2).eval()))
    assert export(portable, "ncnn", tmp_path).difference < 1e-5


def test_ncnn_takes_an_image_whose_channels_are_last_in_memory(
    trained: Trained, tmp_path: Path
) -> None:
    run = ncnn_format.load(export(Portable(trained("rrdb")), "ncnn", tmp_path).files)
    image = np.random.default_rng(0).random((1, 90, 110, 3), np.float32).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(run(image), run(image.copy()))
