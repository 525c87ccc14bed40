"""The table of experiments/remedies: python table.py FOLDER_OF_RUNS"""

import csv
import sys
from pathlib import Path
from statistics import fmean

from sr_gan.metrics.health import STATES

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


def cell(key: str, rows: list[dict[str, str]]) -> str:
    """Quality from the last validation; the rest as the mean of the last two epochs."""
    values = [float(row[key]) for row in rows if row.get(key)]
    if not values:
        return "-"
    if key == "health/state":
        return STATES[int(values[-1])]
    value = values[-1] if key.startswith("quality/") else fmean(values[-2:])
    return format(value, COLUMNS[key][1])


def main(folder: Path) -> None:
    print(f"| run | {' | '.join(title for title, _ in COLUMNS.values())} |")
    print("| --- |" + " --: |" * len(COLUMNS))
    for path in sorted(folder.glob("*/metrics.csv")):
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["stage"] == "gan"]
        name = path.parent.name.partition("_")[2].replace("_", " ")
        print(f"| {name} | {' | '.join(cell(key, rows) for key in COLUMNS)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
