"""Writes a table of the scores of mixtures of two generators, and plots them."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path

from sr_gan.evaluation import scores
from sr_gan.files import atomic_write, relative
from sr_gan.reports.figures import Point, perception_distortion

log = logging.getLogger(__name__)

_COLUMNS = ("psnr_y", "ssim_y", "lpips", "lr_consistency", "colour_shift", "grain")


def write(found: Sequence[scores.Evaluation], names: Sequence[str], output: Path) -> None:
    """Prints and writes the table of mixtures on one benchmark, with a plot if it has LPIPS."""
    where = found[0].benchmark
    rows = {name: scores.mean(each.images) for name, each in zip(names, found)}
    rows["bicubic"] = scores.mean(found[0].bicubic)
    markdown = scores.table(rows, "alpha", keys=_COLUMNS).markdown()
    log.info("\n%s\n\n%s", where, markdown)
    with atomic_write(output / f"{where}.md") as file:
        file.write(f"# Between two generators, on {where}\n\n{markdown}\n")
    with atomic_write(output / f"{where}.json") as file:
        json.dump(rows, file, indent=2)
    points = [
        Point(name, psnr_y, lpips)
        for name, row in rows.items()
        if (psnr_y := row["psnr_y"]) is not None and (lpips := row.get("lpips")) is not None
    ]
    if len(points) == len(rows):
        plot = perception_distortion(points[:-1], points[-1], where)
        with atomic_write(output / f"{plot.name}.png", "wb") as file:
            file.write(plot.png())
    log.info("written %s", relative(output / f"{where}.md"))
