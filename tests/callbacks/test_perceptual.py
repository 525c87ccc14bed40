from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from sr_gan.callbacks.perceptual import PerceptualQuality, _lpips
from sr_gan.errors import UserError
from sr_gan.images.resize import bicubic
from sr_gan.metrics import LPIPS, grain, grid
from sr_gan.runs.metrics_table import read_rows
from sr_gan.train import train
from tests.conftest import Compose


def test_a_run_has_lpips_where_it_was_validated(composed: Compose, alexnet_file: Path) -> None:
    """That is after every second epoch, and after the last one of a stage."""
    settings = ["trainer.check_val_every_n_epoch=2", "pretrain.epochs=2", "gan.epochs=3"]
    cfg = composed("quickstart", f"callbacks.lpips.weights={alexnet_file}", *settings)
    summary = train(cfg)
    rows = read_rows(Path(cfg.run_dir) / "metrics.csv")
    assert [bool(row["quality/lpips"]) for row in rows] == [False, True, False, True, True]
    assert len({row["quality/lpips_bicubic"] for row in rows} - {""}) == 1
    last = summary["gan"]["last"]
    assert last["lpips"] == float(rows[-1]["quality/lpips"]) != last["lpips_bicubic"]
    checkpoint = torch.load(Path(cfg.run_dir) / "checkpoints/gan/last.ckpt", weights_only=True)
    assert not any("lpips" in name for name in checkpoint["state_dict"])


def test_kinds_have_scores_of_their_own_beside_their_mean(
    composed: Compose, alexnet_file: Path
) -> None:
    cfg = composed(
        "quickstart",
        f"callbacks.lpips.weights={alexnet_file}",
        "stages=[pretrain]",
        "degradation=blur_noise",
        "data.valid_kinds=[clean,noise10]",
    )
    train(cfg)
    row = read_rows(Path(cfg.run_dir) / "metrics.csv")[-1]
    for score in ("psnr_y", "ssim_y", "lpips", "psnr_y_bicubic", "ssim_y_bicubic", "lpips_bicubic"):
        clean, noisy = (float(row[f"quality/{kind}/{score}"]) for kind in ("clean", "noise10"))
        assert clean != noisy
        assert float(row[f"quality/{score}"]) == pytest.approx((clean + noisy) / 2, rel=1e-4)
        assert (clean > noisy) == ("lpips" not in score)


def test_without_weights_one_line_says_so(
    composed: Compose, caplog: pytest.LogCaptureFixture
) -> None:
    _lpips.cache_clear()
    with caplog.at_level("INFO"):
        summary = train(composed("quickstart", "trainer.limit_train_batches=1"))
    reported = [line for line in caplog.messages if "callbacks.lpips.weights=FILE" in line]
    assert len(reported) == 1
    assert "lpips" not in summary["gan"]["last"]


def test_a_named_file_must_do(composed: Compose, tmp_path: Path) -> None:
    cfg = composed("quickstart", f"callbacks.lpips.weights={tmp_path / 'none.pth'}")
    with pytest.raises(UserError, match=r"^callbacks\.lpips\.weights=.*none\.pth: does not"):
        train(cfg)
    assert not Path(cfg.run_dir).exists()


def test_values_are_those_of_the_images(alexnet_file: Path) -> None:
    """They are means over the photos that count and are large enough."""
    lr, sr, hr = (torch.randint(0, 256, (1, 3, n, n), dtype=torch.uint8) for n in (12, 48, 48))
    logged: dict[str, float] = {}
    module = SimpleNamespace(device="cpu", log_dict=logged.update)
    psnr = {"quality/psnr_y": torch.tensor(20.0), "quality/psnr_y_bicubic": torch.tensor(19.0)}
    small = {"lr": lr[..., :4], "sr": sr[..., :16], "hr": hr[..., :16]}
    other = {"lr": lr, "sr": 255 - sr, "hr": hr}
    callback = PerceptualQuality(str(alexnet_file))
    trainer = cast(Any, SimpleNamespace(world_size=1))
    for images, count in (({"lr": lr, "sr": sr, "hr": hr}, 1), (small, 1), (other, 0)):
        batch = {"name": ["a"], "weight": torch.tensor([count])}
        outputs = {**images, **psnr}
        callback.on_validation_batch_end(trainer, cast(Any, module), outputs, batch, 0)
    callback.on_validation_epoch_end(trainer, cast(Any, module))
    lpips = LPIPS(str(alexnet_file))
    expected = {"quality/lpips": lpips(sr, hr), "quality/lpips_bicubic": lpips(bicubic(lr, 4), hr)}
    assert {name: logged[name] for name in expected} == pytest.approx(
        {name: value.item() for name, value in expected.items()}
    )
    assert logged["quality/rank"] == -20


def test_grid_is_the_mean_over_photos_that_have_a_window() -> None:
    small, hr = (torch.randint(0, 256, (1, 3, side, side), dtype=torch.uint8) for side in (36, 72))
    psnr = {"quality/psnr_y": torch.tensor(20.0), "quality/psnr_y_bicubic": torch.tensor(19.0)}
    logged: dict[str, float] = {}
    module = cast(Any, SimpleNamespace(device="cpu", log_dict=logged.update))
    trainer = cast(Any, SimpleNamespace(world_size=1))
    callback = PerceptualQuality()
    for image in (small, hr):
        outputs = {"lr": image[..., ::4, ::4], "sr": image, "hr": image, **psnr}
        callback.on_validation_batch_end(trainer, module, outputs, {"name": ["a"]}, 0)
    callback.on_validation_epoch_end(trainer, module)
    assert logged["quality/grid"] == pytest.approx(grid(hr, 4, border=4).item())


@pytest.mark.parametrize("threads", [0, 2], ids=["on a CPU", "beside a GPU"])
def test_grain_is_the_mean_over_photos_with_flat_places(threads: int) -> None:
    flat = torch.full((1, 3, 64, 64), 100, dtype=torch.uint8)
    noise = [torch.randint_like(flat, 5 * strength + 1) for strength in (1, 2)]
    rough = torch.randint_like(flat, 256)
    psnr = {"quality/psnr_y": torch.tensor(20.0), "quality/psnr_y_bicubic": torch.tensor(19.0)}
    logged: dict[str, float] = {}
    module = cast(Any, SimpleNamespace(device="cpu", log_dict=logged.update))
    trainer = cast(Any, SimpleNamespace(world_size=1))
    callback = PerceptualQuality()
    callback.pool = ThreadPoolExecutor(threads) if threads else None
    for sr, hr in ((flat + noise[0], flat), (flat + noise[1], flat), (rough, rough)):
        outputs = {"lr": hr[..., :16, :16], "sr": sr, "hr": hr, **psnr}
        callback.on_validation_batch_end(trainer, module, outputs, {"name": ["a"]}, 0)
    callback.on_validation_epoch_end(trainer, module)
    expected = [grain(flat + extra, flat, border=4).item() for extra in noise]
    assert expected[1] > expected[0] > 0.5
    assert logged["quality/grain"] == pytest.approx(sum(expected) / 2)
