"""Prints the table of experiments/postfilter: ``python table.py RESULTS``."""

import json
import sys
from pathlib import Path

COLUMNS = {
    "psnr_y": ("PSNR-Y", 2),
    "ssim_y": ("SSIM-Y", 4),
    "lpips": ("LPIPS", 4),
    "grain": ("grain", 2),
}


def row(name: str, scores: dict[str, float]) -> str:
    cells = " | ".join(f"{scores[key]:.{digits}f}" for key, (_, digits) in COLUMNS.items())
    return f"| {name} | {cells} |"


def main(results: Path) -> None:
    for model in sorted(path for path in results.iterdir() if path.is_dir()):
        files = sorted(model.glob("*/*.json"), key=lambda path: float(path.parent.name))
        tables = [json.loads(path.read_text()) for path in files]
        print(f"\n{model.name}, on {tables[0]['benchmark']}\n")
        print(f"| sigma | {' | '.join(title for title, _ in COLUMNS.values())} |")
        print("| --- |" + " --: |" * len(COLUMNS))
        for path, table in zip(files, tables):
            print(row(path.parent.name, table["mean"]))
        print(row("bicubic", tables[0]["bicubic"]))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
