import io
from typing import Any

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from PIL import Image
from scipy.ndimage import gaussian_filter
from skimage import data as skimage_data
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from sr_gan.data.degradation import Degradation, Exact, Pass, RandomResize
from sr_gan.data.degradation.kinds import Kinds, spoiled
from sr_gan.data.degradation.resize import resample
from sr_gan.images.resize import downscale
from sr_gan.settings.conf import conf_dir


def seeded(seed: int = 0, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)


def photo(name: str = "chelsea", height: int = 128, width: int = 192) -> Tensor:
    """The middle of one of scikit-image's photos: (1, 3, height, width) in [0, 1]."""
    pixels = getattr(skimage_data, name)()
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    window = np.ascontiguousarray(pixels[top : top + height, left : left + width])
    return torch.from_numpy(window).permute(2, 0, 1)[None].float() / 255


def grey_levels(image: Tensor) -> np.ndarray:
    """(1, 3, H, W) in [0, 1] to uint8 (H, W, 3)."""
    return (255 * image[0]).round().byte().permute(1, 2, 0).numpy()


@pytest.mark.parametrize("sigma", [0.5, 1.3, 3.0])
def test_blur_is_scipys(sigma: float) -> None:
    hr = photo()
    degradation = Degradation(blur_sigma=(sigma, sigma))
    lr = degradation(hr, 2, seeded())
    truncate = degradation.radius / sigma
    blurred = gaussian_filter(
        hr.double().numpy(), sigma, axes=(2, 3), mode="nearest", truncate=truncate
    )
    exact = 255 * downscale(torch.from_numpy(blurred), 2)
    assert (255 * lr - exact).abs().max() < 0.5 + 1e-3  # rounded, and nothing else
    assert (lr - Degradation()(hr, 2, seeded())).abs().mean() > 0.001 * sigma


def test_anisotropic_kernels_are_ellipses_in_every_direction() -> None:
    degradation = Degradation(blur_sigma=(1.0, 4.0), anisotropy=1.0)
    kernels = degradation._kernels(2000, seeded())[:, 0].double()
    torch.testing.assert_close(kernels.sum(dim=(1, 2)), torch.ones(2000, dtype=torch.float64))
    at = torch.arange(-degradation.radius, degradation.radius + 1).double()
    xx = (kernels * at**2).sum(dim=(1, 2))
    yy = (kernels * at[:, None] ** 2).sum(dim=(1, 2))
    xy = (kernels * at * at[:, None]).sum(dim=(1, 2))
    covariance = torch.stack([xx, xy, xy, yy], dim=1).view(-1, 2, 2)
    sigmas = torch.linalg.eigvalsh(covariance).sqrt()
    assert sigmas.min() > 0.99
    assert sigmas.max() < 4.01
    # The wider and the narrower of two uniform draws have means at two thirds and one third.
    np.testing.assert_allclose(sigmas.mean(dim=0), [2.0, 3.0], atol=0.06)
    turned = 0.5 * torch.atan2(2 * xy, xx - yy)  # the wider axis
    shares = torch.histc(turned.float(), 8, -np.pi / 2, np.pi / 2) / 2000
    np.testing.assert_allclose(shares, 1 / 8, atol=0.03)


def test_beta_makes_kernels_peaked_or_flat() -> None:
    """Compares the fourth moment of the distance from the centre with the squared second moment.

    The ratio is 2 for a Gaussian, more for a peaked kernel, and 4/3 for a disc.
    """
    found = []
    for beta in (0.5, 1.0, 4.0):
        blur = Pass(blur_sigma=(3.0, 3.0), blur_beta=(beta, beta))
        blur.radius = 40  # so that nothing is cut off
        kernel = blur._kernels(1, seeded())[0, 0].double()
        at = torch.arange(-40, 41).double() ** 2
        distance = at + at[:, None]
        found.append((kernel * distance**2).sum() / (kernel * distance).sum() ** 2)
    assert found[0] > 2.5
    assert found[1] == pytest.approx(2, abs=0.01)
    assert 4 / 3 < found[2] < 1.5


@pytest.mark.parametrize("grey", [0.0, 1.0])
def test_poisson_noise_grows_with_the_root_of_the_brightness(grey: float) -> None:
    noise = Pass(noise_sigma=(8, 8), poisson_noise=1.0, grey_noise=grey)
    for brightness in (10, 60, 128, 200):
        flat = torch.full((1, 3, 300, 300), float(brightness))
        spoiled = noise.spoil(flat, seeded())
        expected = (64 * brightness / 255 + 1 / 12) ** 0.5
        np.testing.assert_allclose((spoiled - flat).std(dim=(0, 2, 3)), expected, rtol=0.02)


@pytest.mark.parametrize(
    "settings",
    [
        {"blur_sigma": (2.0, 3.0), "blur_share": 0.3},
        {"noise_sigma": (5, 15), "noise_share": 0.3},
        {"jpeg_quality": (30, 60), "jpeg_share": 0.3},
    ],
)
def test_shares_are_of_the_images(settings: dict[str, Any]) -> None:
    hr = photo(height=16, width=16).expand(1000, -1, -1, -1)
    lr = Degradation(**settings)(hr, 4, seeded())
    clean = Degradation()(hr[:1], 4, seeded())
    changed = (lr != clean).flatten(1).any(dim=1).float().mean().item()
    assert changed == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    ("index", "kind"),
    enumerate([Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.BICUBIC]),
)
@pytest.mark.parametrize("size", [(48, 72), (24, 36), (96, 144), (160, 240)])
def test_resampling_is_pillows(index: int, kind: Image.Resampling, size: tuple[int, int]) -> None:
    image = photo(height=80, width=120)
    step, filters = torch.full((1, 1, 1, 1), 80 / size[0]), torch.full((1, 1, 1, 1), index)
    resized = resample(image, size, step, filters)
    expected = np.stack(
        [np.asarray(Image.fromarray(plane.numpy()).resize(size[::-1], kind)) for plane in image[0]]
    )
    inside = ..., slice(8, -8), slice(8, -8)  # at an edge Pillow leaves out what lies beyond
    np.testing.assert_allclose(resized[0][inside], expected[inside], atol=1e-5)


def test_a_size_between_that_is_lrs_changes_nothing() -> None:
    """The cubic reduces directly to LR, as without it, but borders are repeated, not mirrored."""
    hr = photo()
    direct = Degradation()(hr, 4, seeded())
    for resize in (RandomResize((0.7, 1.5), share=0.0), RandomResize((0.7, 1.5))):
        off = 255 * (Degradation(resize=resize)(hr, 4, seeded()) - direct).abs()[..., 2:-2, 2:-2]
        assert (off.max() < 1.001) == (resize.share == 0)
        assert (off.mean() < 0.01) == (resize.share == 0)


@pytest.mark.parametrize("sigma", [2.0, 12.0])
def test_noise_has_its_sigma_and_no_colour_where_grey(sigma: float) -> None:
    hr = torch.full((6, 3, 256, 256), 128 / 255)
    for grey in (0.0, 1.0):
        lr = 255 * Degradation(noise_sigma=(sigma, sigma), grey_noise=grey)(hr, 2, seeded())
        noise = lr - 128
        expected = (sigma**2 + 1 / 12) ** 0.5  # rounding adds noise of its own
        np.testing.assert_allclose(noise.std(dim=(0, 2, 3)), expected, rtol=0.02)
        assert noise.mean().abs() < 0.02 * sigma
        correlation = np.corrcoef(noise[:, 0].flatten(), noise[:, 2].flatten())[0, 1]
        assert abs(correlation - grey) < 0.02
    mixed = Degradation(noise_sigma=(sigma, sigma), grey_noise=0.3)
    lr = mixed(hr[:1, :, :16, :16].expand(2000, -1, -1, -1), 2, seeded())
    alike = (lr[:, 0] == lr[:, 1]).all(dim=-1).all(dim=-1)
    assert abs(alike.float().mean() - 0.3) < 0.04


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_nothing_set_is_the_bicubic_reduction(scale: int) -> None:
    hr = torch.cat([photo(name, 120, 168) for name in ("chelsea", "coffee")])
    expected = (255 * downscale(hr, scale)).round().clamp(0, 255) / 255
    assert torch.equal(Degradation()(hr, scale, seeded()), expected)
    assert Degradation().margin(scale) == 2


FULL: dict[str, Any] = {
    "blur_sigma": (0.2, 3.0),
    "anisotropy": 1.0,
    "noise_sigma": (1.0, 15.0),
    "grey_noise": 0.4,
    "jpeg_quality": (30, 95),
}
TWICE: dict[str, Any] = {
    **FULL,
    "resize": RandomResize((0.7, 1.5), share=0.5),
    "second": Pass(blur_sigma=(0.0, 1.0), noise_sigma=(0, 5), jpeg_quality=(50, 95)),
}
ALONE: list[dict[str, Any]] = [
    {"blur_sigma": (0.2, 3.0)},
    {"noise_sigma": (1, 15)},
    {"jpeg_quality": (30, 95)},
    {"resize": RandomResize((0.5, 2.0))},
    FULL,
    TWICE,
]


@pytest.mark.parametrize("settings", ALONE)
def test_each_image_draws_its_own(settings: dict[str, Any]) -> None:
    hr = photo().expand(8, -1, -1, -1)
    lr = Degradation(**settings)(hr, 4, seeded())
    clean = Degradation()(hr, 4, seeded())
    changes = (lr - clean).abs().mean(dim=(1, 2, 3))
    assert len({change.item() for change in changes}) == 8
    assert changes.max() > 1.2 * changes.min() > 0


@pytest.mark.parametrize("settings", ALONE)
def test_the_generator_decides_alone(settings: dict[str, Any]) -> None:
    hr = photo().expand(3, -1, -1, -1)
    degradation = Degradation(**settings)
    first = degradation(hr, 4, seeded(1))
    torch.manual_seed(1)  # the global generator must not matter
    assert torch.equal(degradation(hr, 4, seeded(1)), first)
    assert not torch.equal(degradation(hr, 4, seeded(2)), first)


def test_an_image_does_not_depend_on_its_neighbours() -> None:
    cat, cup = photo("chelsea"), photo("coffee")
    for settings in (FULL, TWICE):
        with_cat = Degradation(**settings)(torch.cat([cat, cup]), 4, seeded())
        alone = Degradation(**settings)(torch.cat([cup, cup]), 4, seeded())
        assert torch.equal(with_cat[1], alone[1])


def test_probability_is_the_share_of_degraded_images() -> None:
    hr = photo(height=16, width=16).expand(1000, -1, -1, -1)
    clean = Degradation()(hr[:1], 4, seeded())
    for share in (0.0, 0.3, 1.0):
        lr = Degradation(**FULL, probability=share)(hr, 4, seeded())
        degraded = (lr != clean).flatten(1).any(dim=1).float().mean().item()
        assert degraded == pytest.approx(share, abs=0.05 if share == 0.3 else 0)


@pytest.mark.parametrize("quality", [None, (30, 95)])
@pytest.mark.parametrize(("height", "width", "scale"), [(4, 4, 4), (20, 12, 4), (147, 201, 3)])
def test_any_size_gives_256_levels(
    height: int, width: int, scale: int, quality: tuple[int, int] | None
) -> None:
    hr = photo("coffee", height, width)
    hr = (1.6 * hr - 0.3).clamp(0, 1)  # black and white, so that noise goes beyond them
    settings: dict[str, Any] = {"blur_sigma": (0.2, 3.0), "noise_sigma": (40.0, 40.0)}
    for resize in (None, RandomResize((0.5, 2.0))):
        degradation = Degradation(resize=resize, jpeg_quality=quality, **settings)
        lr = degradation(hr, scale, seeded())
        assert lr.shape == (1, 3, height // scale, width // scale)
        assert lr.dtype == torch.float32
        assert lr.min() >= 0
        assert lr.max() <= 1
        assert torch.equal(lr, (255 * lr).round() / 255)


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"blur_sigma": (1.0, 1.0)},
        {"blur_sigma": (3.0, 3.0)},
        {"resize": RandomResize((0.75, 0.75))},
        {"resize": RandomResize((1.5, 1.5)), "second": Pass(blur_sigma=(1.0, 1.0))},
        {"resize": RandomResize((0.75, 0.75)), "second": Pass(blur_sigma=(0.5, 0.5))},
    ],
)
def test_a_crop_without_its_margin_is_the_whole_photos(
    scale: int, settings: dict[str, Any]
) -> None:
    degradation = Degradation(**settings)
    margin, side, top, left = degradation.margin(scale), 5, 8, 12  # LR pixels
    size = 2 * (margin + 12) + side
    whole = np.random.default_rng(0).integers(0, 2, (1, 3, size * scale, size * scale))
    hr = torch.from_numpy(whole).float()  # black and white: a wrong pixel shows
    window = side + 2 * margin

    def cut(image: Tensor, factor: int) -> Tensor:
        return image[..., top * factor :, left * factor :][
            ..., : window * factor, : window * factor
        ]

    expected = 255 * cut(degradation(hr, scale, seeded()), 1)
    off = (255 * degradation(cut(hr, scale), scale, seeded()) - expected).abs()
    off = off.amax(dim=(0, 1))
    # Sums in another order rarely round to another level.
    inside = off[margin:-margin, margin:-margin]
    assert inside.max() <= 1
    assert inside.mean() < 0.05
    assert off[0].mean() > (0 if "resize" in settings else 2)  # and the border needs cutting


@pytest.mark.parametrize("settings", [FULL, TWICE])
def test_nothing_waits_for_the_device(settings: dict[str, Any]) -> None:
    degradation, hr, generator = Degradation(**settings), photo(), seeded()
    degradation(hr, 4, generator)  # tables are copied to the device once
    seen: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            seen.append(func.name())
            return func(*args, **(kwargs or {}))

    with Watch():
        degradation(hr, 4, generator)
    assert "aten::bmm" in seen or "aten::mm" in seen
    waiting = ("_local_scalar_dense", "nonzero", "masked_select", "unique", "equal", "lift_fresh")
    assert [name for name in seen if name.removeprefix("aten::") in waiting] == []


def test_jpeg_blocks_begin_anywhere_and_the_image_stays_in_place() -> None:
    """A crop comes from a photo that was saved whole, so its blocks can begin anywhere."""
    lr = photo(height=41, width=50).expand(24, -1, -1, -1)
    clean = Degradation()(lr, 1, seeded())
    best = Degradation(jpeg_quality=(100, 100), chroma_subsampling=False)
    assert (255 * (best(lr, 1, seeded()) - clean)).abs().max() < 5
    results = Degradation(jpeg_quality=(10, 10))(lr, 1, seeded())
    assert len({image.numpy().tobytes() for image in results}) > 20
    assert (255 * (results - clean)).abs().mean() < 10


def preset(name: str) -> Any:
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        node = compose("prepare", [f"degradation={name}", "data.train_dir=x"]).degradation
    return instantiate(node, _convert_="all")


@pytest.mark.parametrize("name", ["blur_noise", "jpeg", "real", "photo"])
def test_presets_degrade(name: str) -> None:
    degradation = preset(name)
    hr = photo().expand(100, -1, -1, -1)
    lr = degradation(hr, 4, seeded())
    assert isinstance(degradation, Degradation)
    changes = 255 * (lr - Degradation()(hr[:1], 4, seeded())).abs().mean(dim=(1, 2, 3))
    assert 0.5 < changes.median() < 20
    clean = (changes == 0).float().mean().item()
    assert clean == pytest.approx(0.22 if name == "photo" else 0, abs=0.1)


def test_a_custom_one_does_nothing_until_something_is_set() -> None:
    degradation = preset("custom")
    assert vars(degradation).keys() == vars(Degradation()).keys()
    defaults = {key: value for key, value in vars(Degradation()).items() if key != "second"}
    assert {key: vars(degradation)[key] for key in defaults} == defaults


def test_the_bicubic_preset_is_exact() -> None:
    degradation = preset("bicubic")
    assert isinstance(degradation, Exact)


def test_kinds_are_what_they_are_called() -> None:
    clean = torch.from_numpy(grey_levels(photo())).permute(2, 0, 1)[None]
    assert torch.equal(spoiled(clean, "clean", "a"), clean)
    for sigma in (5, 10):
        flat = torch.full((1, 3, 90, 90), 128, dtype=torch.uint8)
        noise = spoiled(flat, f"noise{sigma}", "a").float() - 128
        assert noise.std() == pytest.approx(sigma, rel=0.03)
    off = {k: (spoiled(clean, k, "a").float() - clean).abs().mean() for k in ("jpeg75", "jpeg40")}
    for quality in (75, 40):
        file = io.BytesIO()
        Image.fromarray(clean[0].permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        pillow = np.asarray(Image.open(file)).astype(float)
        expected = np.abs(pillow - clean[0].permute(1, 2, 0).numpy()).mean()
        assert off[f"jpeg{quality}"] == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("kind", ["clean", "jpeg75", "noise10"])
def test_kinds_are_the_same_each_time_and_leave_grey_grey(kind: str) -> None:
    image = torch.from_numpy(grey_levels(photo())).permute(2, 0, 1)[None]
    first = spoiled(image, kind, "a.png")
    torch.manual_seed(5)
    assert torch.equal(spoiled(image, kind, "a.png"), first)
    assert torch.equal(spoiled(image, kind, "b.png"), first) == (kind == "clean")
    grey = spoiled(image[:, :1], kind, "a.png")
    assert grey.shape == (1, 1, 128, 192)
    assert grey.dtype == torch.uint8


def test_the_five_kinds_are_the_preset() -> None:
    kinds = preset("kinds")
    assert isinstance(kinds, Kinds)
    assert kinds.names == ["clean", "jpeg75", "jpeg40", "noise5", "noise10"]
    assert Kinds(["noise5", "clean", "noise5"]).names == ["noise5", "clean"]


@pytest.mark.gpu
@pytest.mark.parametrize("chroma_subsampling", [True, False])
def test_cuda_equals_cpu(chroma_subsampling: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both devices get the same random numbers, as they draw different ones from one seed."""
    host = seeded()

    def by_host(make: Any) -> Any:
        return lambda *size, generator, device: make(*size, generator=host).to(device)

    hr = torch.cat([photo("chelsea"), photo("coffee")])
    degradation = Degradation(
        blur_sigma=(1.5, 1.5), jpeg_quality=(60, 60), chroma_subsampling=chroma_subsampling
    )
    with monkeypatch.context() as patch:
        patch.setattr(torch, "rand", by_host(torch.rand))
        on_cpu = 255 * degradation(hr, 4, seeded())
        host.manual_seed(0)
        on_gpu = 255 * degradation(hr.cuda(), 4, seeded(device="cuda")).cpu()
    # A blurred pixel may round differently, which changes a coefficient of its block.
    assert ((on_cpu - on_gpu).abs() > 0.5).float().mean() < 0.02


@pytest.mark.gpu
@pytest.mark.parametrize("settings", [FULL, TWICE])
def test_cuda_draws_are_repeatable(settings: dict[str, Any]) -> None:
    degradation, hr = Degradation(**settings), photo().cuda()
    first, again, other = (degradation(hr, 4, seeded(seed, "cuda")) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
