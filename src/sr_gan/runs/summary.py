"""What came out of a run: scores against bicubic, the loss table, and where everything lies."""

import json
from pathlib import Path
from typing import Any

from sr_gan.files import atomic_write, relative
from sr_gan.runs.folder import PRUNED
from sr_gan.runs.metrics_table import read_table
from sr_gan.runs.published import ORIGINAL_RUN

# key: (title, decimals); LPIPS is not measured by every run
_SCORES = {"psnr_y": ("PSNR-Y dB", 2), "ssim_y": ("SSIM-Y", 4), "lpips": ("LPIPS", 4)}


def summarise(run_dir: Path) -> dict[str, Any]:
    """Reads ``metrics.csv``, writes ``summary.json`` and returns its content.

    A stage has its number of epochs, its last and its best validation scores; the GAN stage also
    the losses at those of :data:`ORIGINAL_RUN`, those reached, and at its last epoch. The last
    stage of a run that was pruned has the reason.
    """
    rows = read_table(run_dir / "metrics.csv")
    stages = {row["stage"]: [r for r in rows if r["stage"] == row["stage"]] for row in rows}
    summary = {stage: _stage(table) for stage, table in stages.items()}
    if summary and (run_dir / PRUNED).exists():
        summary[rows[-1]["stage"]]["pruned"] = (run_dir / PRUNED).read_text().strip()
    with atomic_write(run_dir / "summary.json") as file:
        json.dump(summary, file, indent=2)
    return summary


def _stage(rows: list[dict[str, str]]) -> dict[str, Any]:
    validated = [row for row in rows if row.get("quality/psnr_y")]
    result: dict[str, Any] = {"epochs": int(rows[-1]["epoch"]) + 1}
    if validated:
        best = min(validated, key=_rank)
        result["last"] = _scores(validated[-1])
        result["best"] = _scores(best)
    if rows[-1].get("loss/discriminator"):
        result["losses"] = [
            {
                "epoch": int(row["epoch"]),
                "discriminator": float(row["loss/discriminator"]),
                "generator": float(row["loss/generator"]),
            }
            for row in rows
            if int(row["epoch"]) in ORIGINAL_RUN or row is rows[-1]
        ]
    return result


def _rank(row: dict[str, str]) -> float:
    """Lower is better; runs from before there was a rank go by PSNR-Y."""
    return float(row.get("quality/rank") or -float(row["quality/psnr_y"]))


def _scores(row: dict[str, str]) -> dict[str, float]:
    names = [f"{key}{beside}" for beside in ("", "_bicubic") for key in _SCORES]
    taken = {name: float(row[f"quality/{name}"]) for name in names if row.get(f"quality/{name}")}
    return {"epoch": int(row["epoch"]), **taken}


def as_text(summary: dict[str, Any], run_dir: Path) -> str:
    """The summary as the text that a run ends with."""
    last = [result.get("last", {}) for result in summary.values()]
    measured = {key: how for key, how in _SCORES.items() if any(key in row for row in last)}
    titles = "".join(f"{title:>11}{'bicubic':>9}" for title, _ in measured.values())
    lines = [f"{'stage':<10}{'epochs':>7}{titles}"]
    for (stage, result), scores in zip(summary.items(), last):
        cells = "".join(
            f"{scores[key]:>11.{digits}f}{scores[key + '_bicubic']:>9.{digits}f}"
            for key, (_, digits) in measured.items()
            if key in scores
        )
        lines.append(f"{stage:<10}{result['epochs']:>7}{cells or '   (not validated)'}")
    for result in summary.values():
        if "losses" in result:
            lines += ["", f"{'epoch':<10}{'D loss':>11}{'G loss':>11}"]
            lines += [
                f"{row['epoch']:<10}{row['discriminator']:>11.3g}{row['generator']:>11.3g}"
                for row in result["losses"]
            ]
    lines += ["", *_places(run_dir)]
    return "\n".join(lines)


def _places(run_dir: Path) -> list[str]:
    """What was made and where, of what is there."""
    pictures = sorted(run_dir.glob("samples/*/*.png"), key=_age)[-1:]
    weights = sorted(run_dir.glob("checkpoints/*/generator.safetensors"), key=_age)
    places = {
        "run": [run_dir],
        "picture": pictures,
        "generator": weights,
        "curves": [run_dir / "tensorboard"] if (run_dir / "tensorboard").is_dir() else [],
        "numbers": [run_dir / "metrics.csv", run_dir / "summary.json"],
    }
    lines = [f"{what:<10}{relative(path)}" for what, paths in places.items() for path in paths]
    if not places["curves"]:
        return lines
    where = relative(run_dir)
    logs = where.parts[0] if where.parts[0] == "runs" else where
    return [*lines, f"look at the curves with: tensorboard --logdir {logs}  (page Custom Scalars)"]


def _age(path: Path) -> float:
    return path.stat().st_mtime
