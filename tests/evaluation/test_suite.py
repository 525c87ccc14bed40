import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import Tensor

from sr_gan.errors import UserError
from sr_gan.evaluation.suite import suite
from sr_gan.settings.measures import Measures

CPU = torch.device("cpu")


def image(shared: Path, grey: bool) -> tuple[np.ndarray, np.ndarray]:
    """A photograph and a spoiled copy, (H, W) or (H, W, 3)."""
    with Image.open(min((shared / "data/photos/valid").iterdir())) as opened:
        hr = np.array(opened.convert("L" if grey else "RGB").crop((0, 0, 120, 100)))
    noise = np.random.default_rng(0).normal(0, 6, hr.shape)
    return np.clip(hr + noise, 0, 255).round().astype(np.uint8), hr


def tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.atleast_3d(pixels).transpose(2, 0, 1).copy())[None]


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("convention", ["srgan", "matlab", "pytorch"])
def test_conventions_are_those_of_the_papers(shared: Path, convention: Any, grey: bool) -> None:
    pair = image(shared, grey)
    sr, hr = (tensor(x) for x in pair)
    scores = suite(4, CPU, Measures(convention=convention, border=3)).score(sr, hr, sr)
    ys = []
    for pixels in pair:
        if grey and convention != "pytorch":
            y = pixels.astype(float)
        else:
            y = rgb2ycbcr(np.dstack([pixels] * 3) if grey else pixels)[..., 0]
            y = y.round() if convention == "matlab" else y
        ys.append(y[3:-3, 3:-3])
    psnr = peak_signal_noise_ratio(*ys, data_range=255)
    assert scores["psnr_y"] == pytest.approx(psnr, abs=1e-9)
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    _, similarity = structural_similarity(*ys, data_range=255, full=True, **gaussian)
    assert scores["ssim_y"] == pytest.approx(similarity[5:-5, 5:-5].mean(), abs=1e-9)


def test_what_is_asked_for_is_measured(shared: Path, vgg16_file: Path) -> None:
    lpips = str(shared / "weights/alexnet_features.safetensors")
    vgg = str(vgg16_file)
    chosen = suite(4, CPU, Measures(lpips=lpips, lpips_vgg=vgg, dists=vgg, niqe="fitted"))
    assert set(chosen.measures) >= {"psnr_y", "lpips", "lpips_vgg", "dists", "niqe"}
    sr, hr = (tensor(np.tile(x, (2, 2, 1))) for x in image(shared, grey=False))
    scores = chosen.score(sr, hr, sr)
    assert all(scores[key] is not None for key in chosen.measures if key != "lr_consistency")
    assert "pytorch" not in chosen.describe()
    assert "4 pixels are cut from each side" in chosen.describe()
    assert "1 pixel is cut" in suite(4, CPU, Measures(border=1)).describe()


def fake(metric_mode: str) -> ModuleType:
    """A package with the functions of pyiqa that are called."""

    def create_metric(name: str, device: torch.device) -> SimpleNamespace:
        if name == "broken":
            raise RuntimeError("no network\nat all")

        def measure(*images: Tensor) -> Tensor:
            if images[0].shape[-1] < 32:
                raise RuntimeError("kernel size can't be greater than actual input size")
            return torch.stack([x.mean() for x in images]).sum() + len(images)

        class Metric(SimpleNamespace):
            def __call__(self, *images: Tensor) -> Tensor:
                assert all(x.shape[1] == 3 and 0 <= x.min() <= x.max() <= 1 for x in images)
                return measure(*images)

        return Metric(metric_mode=metric_mode)

    module = ModuleType("pyiqa")
    module.list_models = lambda: ["musiq", "broken"]  # type: ignore[attr-defined]
    module.create_metric = create_metric  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize(("mode", "images"), [("FR", 2), ("NR", 1)])
def test_a_measure_of_pyiqa(mode: str, images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyiqa", fake(mode))
    sr = torch.full((1, 1, 32, 32), 51, dtype=torch.uint8)
    scores = suite(4, CPU, Measures(pyiqa=["musiq"])).score(sr, sr, sr)
    assert scores["pyiqa_musiq"] == pytest.approx(images * 1.2)
    small = sr[..., :16]
    assert (
        suite(4, CPU, Measures(pyiqa=["musiq"])).score(small, small, small)["pyiqa_musiq"] is None
    )
    with pytest.raises(UserError, match=r"no such measure; did you mean musiq\?"):
        suite(4, CPU, Measures(pyiqa=["musik"]))
    with pytest.raises(UserError, match=r"pyiqa=\[broken\]: pyiqa cannot load it: no network$"):
        suite(4, CPU, Measures(pyiqa=["broken"]))
