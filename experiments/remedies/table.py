"""Prints the table of experiments/remedies: ``python table.py FOLDER_OF_RUNS``."""

import sys
from statistics import fmean

from sr_gan.runs.health import STATES
from sr_gan.runs.history import find_runs, read_run
from sr_gan.runs.metrics_table import Stage

COLUMNS = {
    "loss/discriminator": ("D loss", ".2g"),
    "discriminator/real": ("D(real)", ".3f"),
    "discriminator/fake": ("D(fake)", ".3f"),
    "health/state": ("health", ""),
    "gradient/adversarial": ("grad adv.", ".2g"),
    "gradient/vgg": ("grad VGG", ".2g"),
    "quality/psnr_y": ("PSNR-Y", ".2f"),
    "quality/lpips": ("LPIPS", ".4f"),
    "quality/grain": ("grain", ".2f"),
    "health/colour": ("colour", ".1f"),
}


def cell(metric: str, stage: Stage) -> str:
    """Returns the last value of a quality, or the mean of another metric's last two epochs."""
    values = [value for _, value in stage.series(metric)]
    if not values:
        return "-"
    if metric == "health/state":
        return STATES[int(values[-1])]
    value = values[-1] if metric.startswith("quality/") else fmean(values[-2:])
    return format(value, COLUMNS[metric][1])


def main(folder: str) -> None:
    print(f"| run | {' | '.join(title for title, _ in COLUMNS.values())} |")
    print("| --- |" + " --: |" * len(COLUMNS))
    for path in find_runs([folder]):
        name = path.name.partition("_")[2].replace("_", " ")
        stage = read_run(path).stages["gan"]
        print(f"| {name} | {' | '.join(cell(metric, stage) for metric in COLUMNS)} |")


if __name__ == "__main__":
    main(sys.argv[1])
