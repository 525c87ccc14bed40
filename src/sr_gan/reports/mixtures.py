"""Writes a table of the scores of mixtures of two generators, and plots them."""

import json
import logging
from pathlib import Path

from sr_gan.evaluation import scores
from sr_gan.files import atomic_write, relative, shortened
from sr_gan.reports.figures import Point, perception_distortion

log = logging.getLogger(__name__)

_COLUMNS = ("psnr_y", "ssim_y", "lpips", "lr_consistency", "colour_shift", "grain", "grid")


def write(found: scores.Evaluation, output: Path) -> None:
    """Prints and writes the table of mixtures on a benchmark, with a plot if it has LPIPS.

    Args:
        found: the scores of each mixture under its alpha, and of bicubic, which is last.
        output: the folder.
    """
    where = found.benchmark
    rows = {name: scores.mean(images) for name, images in found.models.items()}
    markdown = scores.table(rows, "alpha", keys=_COLUMNS).markdown()
    log.info("\n%s\n\n%s", where, markdown)
    page = output / shortened(where, ".md")
    with atomic_write(page, "wb") as file:
        text = f"# Between two generators, on {where}\n\n{markdown}\n"
        file.write(text.encode(errors=scores.UNDECODABLE))
    with atomic_write(page.with_suffix(".json")) as file:
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
    log.info("written %s", relative(page))
