"""Prints the table of experiments/failures: ``python table.py FOLDER_OF_RUNS``."""

import sys

from sr_gan.runs.history import find_runs, read_run
from sr_gan.runs.verdict import diagnose

COLUMNS = {
    "quality/psnr_y": ("PSNR-Y dB", ".2f"),
    "quality/lpips": ("LPIPS", ".3f"),
    "quality/grain": ("grain", ".2f"),
    "health/colour": ("colour", ".1f"),
    "discriminator/real": ("D(photo)", ".3f"),
    "discriminator/fake": ("D(generated)", ".3f"),
}


def main(folder: str) -> None:
    print(f"| run | {' | '.join(title for title, _ in COLUMNS.values())} | verdict of `report` |")
    print("| --- |" + " --: |" * len(COLUMNS) + " --- |")
    for path in find_runs([folder]):
        stage = read_run(path).final
        assert stage
        last = {metric: stage.last(metric) for metric in COLUMNS}
        cells = ["-" if last[m] is None else format(last[m], COLUMNS[m][1]) for m in COLUMNS]
        verdict = diagnose(stage)
        print(f"| {path.name} | {' | '.join(cells)} | {verdict.name if verdict else ''} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
