from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torchmetrics.functional.image import dists
from torchvision.models import vgg16

from sr_gan.errors import UserError
from sr_gan.images.resize import downscale, upscale
from sr_gan.metrics import DISTS, LPIPS
from sr_gan.networks.lpips import Backbone


def load(path: Path) -> Tensor:
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None]


@pytest.fixture
def weights(shared: Path) -> str:
    return str(shared / "weights" / "alexnet_features.safetensors")


def test_the_authors_own_example(shared: Path, weights: str) -> None:
    ref, p0, p1 = (load(shared / f"data/parity/lpips/ex_{n}.png") for n in ("ref", "p0", "p1"))
    distances = LPIPS(weights)(torch.cat([p0, p1, ref]), torch.cat([ref, ref, ref]))
    assert distances.tolist() == pytest.approx([0.722, 0.138, 0], abs=5e-4)


def test_bicubic_on_set5(shared: Path, weights: str) -> None:
    lpips, distances = LPIPS(weights), []
    for path in sorted((shared / "data/benchmarks/Set5/HR").iterdir()):
        hr = load(path)
        hr = hr[..., : hr.shape[-2] // 4 * 4, : hr.shape[-1] // 4 * 4]
        distances.append(lpips(upscale(downscale(hr, 4), 4), hr))
    assert torch.cat(distances).mean().item() == pytest.approx(0.3407, abs=1.5e-3)


def test_grey_is_rgb_of_the_grey_and_small_images_are_refused(alexnet_file: Path) -> None:
    lpips = LPIPS(str(alexnet_file))
    a, b = (torch.randint(0, 256, (1, 1, 40, 48), dtype=torch.uint8) for _ in range(2))
    repeated = lpips(a.repeat(1, 3, 1, 1), b.repeat(1, 3, 1, 1))
    torch.testing.assert_close(lpips(a, b), repeated)
    assert repeated.item() > 0
    with pytest.raises(ValueError, match="32x32"):
        lpips(a[..., :20], b[..., :20])


def test_convolutions_are_in_fp32(alexnet_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    lpips, image = LPIPS(str(alexnet_file)), torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    for layer in lpips.network.modules():
        if isinstance(layer, torch.nn.Conv2d):
            layer.register_forward_pre_hook(
                lambda *args: seen.append(torch.backends.cudnn.allow_tf32)
            )
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    lpips(image, image)
    assert seen
    assert not any(seen)


@pytest.fixture
def backbones(alexnet_file: Path, squeezenet_file: Path, vgg16_file: Path) -> dict[Backbone, Path]:
    return {"alex": alexnet_file, "squeeze": squeezenet_file, "vgg": vgg16_file}


@pytest.mark.parametrize("net", ["alex", "squeeze", "vgg"])
@pytest.mark.parametrize("size", [(301, 34), (32, 333)])
def test_tiles_have_the_distance_of_the_whole_image(
    net: Backbone,
    size: tuple[int, int],
    backbones: dict[Backbone, Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In float64, so that no feature of a tile can differ unnoticed."""
    lpips = LPIPS(str(backbones[net]), net=net)
    lpips.network.double()
    monkeypatch.setattr(lpips, "_scaled", lambda image: image.double() / 127.5 - 1)
    a, b = (torch.randint(0, 256, (2, 3, *size), dtype=torch.uint8) for _ in range(2))
    expected = lpips.network(a.double() / 127.5 - 1, b.double() / 127.5 - 1).flatten()
    assert expected.min() > 0
    torch.testing.assert_close(lpips(a, b), expected, rtol=1e-14, atol=0)
    lpips.tile = 5
    torch.testing.assert_close(lpips(a, b), expected, rtol=1e-14, atol=0)


@pytest.fixture
def reference(vgg16_file: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """torchmetrics' DISTS on the same weights."""
    network = vgg16(weights=None)
    network.load_state_dict(load_file(vgg16_file), strict=False)
    monkeypatch.setattr(dists, "vgg16", lambda weights: network)
    return dists.DISTSNetwork()


def test_dists_agrees_with_torchmetrics_in_one_piece_and_in_tiles(
    shared: Path, vgg16_file: Path, reference: nn.Module
) -> None:
    metric = DISTS(str(vgg16_file))
    files = sorted((shared / "data/photos/valid").iterdir())[:10]
    hr = torch.cat([load(path)[..., 200:277, 200:301] for path in files])
    sr = upscale(downscale(hr, 4), 4)[..., : hr.shape[-2], : hr.shape[-1]]
    expected = reference.double()(sr.double() / 255, hr.double() / 255)
    assert expected.min() > 0.001
    torch.testing.assert_close(metric(sr, hr), expected, rtol=0, atol=1e-6)
    metric.tile = 2
    torch.testing.assert_close(metric(sr, hr), expected, rtol=0, atol=1e-6)
    assert metric(hr, hr).abs().max() < 1e-6
    grey = hr[:1, :1]
    torch.testing.assert_close(
        metric(sr[:1, :1], grey), metric(sr[:1, :1].expand(1, 3, -1, -1), grey)
    )


def test_missing_and_wrong_weights(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"with callbacks\.lpips\.weights=FILE .* \(233 MB"):
        LPIPS()
    with pytest.raises(UserError, match=r"are not at .*none\.pth"):
        LPIPS(str(tmp_path / "none.pth"))
    save_file({"features.0.weight": torch.zeros(2)}, tmp_path / "b.safetensors")
    with pytest.raises(UserError, match=r"does not hold AlexNet: features\.0"):
        LPIPS(str(tmp_path / "b.safetensors"))


def test_torchs_cache_is_used(alexnet_file: Path) -> None:
    cache = Path(torch.hub.get_dir()) / "checkpoints"
    cache.mkdir(parents=True, exist_ok=True)
    from sr_gan.tensor_files import load_tensors

    cached = cache / "alexnet-owt-7be5be79.pth"
    torch.save(load_tensors(alexnet_file), cached)
    try:
        a, b = (torch.randint(0, 256, (1, 3, 40, 48), dtype=torch.uint8) for _ in range(2))
        torch.testing.assert_close(LPIPS()(a, b), LPIPS(str(alexnet_file))(a, b))
    finally:
        cached.unlink()


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_a_failed_download_says_what_to_fetch(
    net: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*args: object, **kwargs: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(UserError) as error:
        LPIPS("download", net=net)
    for part in ("https://download.pytorch.org/models/", "/checkpoints/", "lpips.weights=FILE"):
        assert part in str(error.value)
