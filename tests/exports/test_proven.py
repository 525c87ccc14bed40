"""What does not run as the generator does leaves no file."""

from pathlib import Path

import pytest
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.errors import UserError
from sr_gan.exports.portable import Portable
from sr_gan.exports.proven import export
from sr_gan.inference.pretrained import Pretrained
from tests.exports.conftest import Trained


class Small(nn.Module):
    """Enlarges by two, and does with a picture what a subclass says."""

    scale = 2

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1, bias=False)
        nn.init.dirac_(self.conv.weight)

    def forward(self, lr: Tensor) -> Tensor:
        return F.interpolate(self.conv(self.changed(lr)), scale_factor=2.0) * 2 - 1

    def changed(self, lr: Tensor) -> Tensor:
        return lr


class SizesDiffer(Small):
    def changed(self, lr: Tensor) -> Tensor:
        return lr if lr.shape[-1] > 20 else 1 - lr  # a tracer sees one of them


class ValuesMatter(Small):
    def changed(self, lr: Tensor) -> Tensor:
        return lr if lr.mean() > 0.5 else 1 - lr


class Far(Small):
    def changed(self, lr: Tensor) -> Tensor:
        far: Tensor = self.conv(lr * 1e6)
        return far * 1e-6


class Coarse(Small):
    def changed(self, lr: Tensor) -> Tensor:
        shifted: Tensor = self.conv(lr + 100)
        return shifted - 100


@pytest.mark.parametrize(
    ("kind", "form", "half", "message"),
    [
        (SizesDiffer, "ncnn", False, r"format=ncnn: its result differs by .* grey levels"),
        (SizesDiffer, "openvino", False, r"format=openvino: its result differs by .* grey levels"),
        (SizesDiffer, "onnx", False, r"format=onnx cannot hold this network \(.*width"),
        (ValuesMatter, "pt2", False, r"format=pt2 cannot hold this network \(.*"),
        (ValuesMatter, "onnx", False, r"format=onnx cannot hold this network \(.*"),
        (Far, "onnx", True, r"format=onnx: (computed in fp16, )?its result differs by nan"),
        (Far, "openvino", True, r"format=openvino: its result differs by"),
        (Far, "ncnn", True, r"computed in fp16, its result differs by nan .*; use precision=fp32"),
        (Coarse, "ncnn", True, r"computed in fp16, its result differs by \d"),
    ],
)
def test_a_failure_is_one_line_and_leaves_no_file(
    kind: type[Small], form: str, half: bool, message: str, tmp_path: Path
) -> None:
    model = Pretrained("small", kind().eval())
    with pytest.raises(UserError, match=message) as caught:
        export(Portable(model, half), form, tmp_path)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("form", ["onnx", "ncnn", "openvino", "pt2"])
def test_what_fails_with_fp16_or_one_size_succeeds_without(form: str, tmp_path: Path) -> None:
    for kind in (Small, Far, Coarse):
        assert export(Portable(Pretrained(kind.__name__, kind().eval())), form, tmp_path).files


def test_an_earlier_file_stays_if_the_next_export_fails(trained: Trained, tmp_path: Path) -> None:
    (file,) = export(Portable(trained("compact"), name="a"), "pt2", tmp_path).files
    kept = file.read_bytes()
    other = ValuesMatter().eval()
    other.scale = 8
    model = Pretrained("a", other)
    with pytest.raises(UserError):
        export(Portable(model, name="a"), "pt2", tmp_path)
    assert file.read_bytes() == kept
    (again,) = export(Portable(trained("compact"), name="a"), "pt2", tmp_path).files
    assert again == file
