"""Makes run folders as train writes them, with made-up numbers."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from sr_gan.runs.grid import draw_grid

MakeRun = Callable[..., Path]


def gan_rows(answers: list[tuple[float, float]], lpips: float | None = 0.3) -> list[dict[str, Any]]:
    """Returns rows of a GAN stage, validated in every epoch, with these D(real) and D(fake)."""
    rows = []
    for epoch, (real, fake) in enumerate(answers, 1):
        row = {
            "stage": "gan",
            "epoch": epoch,
            "loss/discriminator": round(2 - real + fake, 4),
            "loss/generator": 0.5,
            "discriminator/real": real,
            "discriminator/fake": fake,
            "quality/psnr_y": 27.0 + (epoch - 1) / 10,
            "quality/ssim_y": 0.8,
            "quality/psnr_y_bicubic": 26.0,
            "quality/ssim_y_bicubic": 0.7,
        }
        if lpips is not None:
            row |= {"quality/lpips": lpips, "quality/lpips_bicubic": 0.5}
        rows.append(row)
    return rows


BALANCED = [(0.6, 0.4), (0.7, 0.3), (0.75, 0.25)]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Makes a run folder ``runs/<name>`` from rows of its table and settings."""

    def make(
        name: str,
        rows: list[dict[str, Any]] | None = None,
        settings: dict[str, Any] | None = None,
        grids: tuple[int, ...] = (),
    ) -> Path:
        folder = tmp_path / "runs" / name
        folder.mkdir(parents=True)
        rows = gan_rows(BALANCED) if rows is None else rows
        config = {
            "stages": ["gan"],
            "run_dir": str(folder),
            "gan": {"epochs": 3},
            "generator": {"_target_": "sr_gan.networks.SRResNet"},
            **(settings or {}),
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))
        environment = {"command": "python -m sr_gan.train", "packages": {"torch": "2.11.0"}}
        (folder / "environment.json").write_text(json.dumps(environment))
        if rows:
            with (folder / "metrics.csv").open("w", newline="") as file:
                columns = list(dict.fromkeys(key for row in rows for key in row))
                writer = csv.DictWriter(file, columns, restval="")
                writer.writeheader()
                writer.writerows(rows)
        for epoch in grids:
            path = folder / "samples" / "gan" / f"epoch_{epoch:04d}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            grid(epoch).save(path)
        return folder

    return make


def grid(epoch: int) -> Image.Image:
    """Draws LR black, bicubic dark, SR with the grey level 100 + epoch, and HR white."""
    columns = [np.full((32, 24, 3), value, np.uint8) for value in (0, 50, 100 + epoch, 255)]
    return draw_grid([columns, columns])
