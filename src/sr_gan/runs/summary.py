"""The results of a run: scores beside bicubic's, the loss table, and where the files are."""

import json
from pathlib import Path
from shlex import quote
from typing import Any

from sr_gan.files import atomic_write, relative
from sr_gan.runs.folder import PRUNED, SUMMARY
from sr_gan.runs.health import diverged
from sr_gan.runs.metrics_table import Stage, read_stages
from sr_gan.runs.published import ORIGINAL_RUN
from sr_gan.runs.verdict import behind_bicubic
from sr_gan.tables import Table, number

# key: (title, decimals); LPIPS is not measured by every run
_SCORES = {"psnr_y": ("PSNR-Y dB", 2), "ssim_y": ("SSIM-Y", 4), "lpips": ("LPIPS", 4)}


def summarise(run_dir: Path) -> dict[str, Any]:
    """Reads ``metrics.csv``, writes ``summary.json`` and returns its content.

    Each stage has its number of epochs, and the scores of its last and of its best validation. The
    GAN stage also has the losses at the epochs of :data:`ORIGINAL_RUN` and at its last epoch. In a
    run that was pruned, the last stage has the reason.
    """
    stages = read_stages(run_dir / "metrics.csv")
    summary = {name: _stage(stage) for name, stage in stages.items()}
    if summary and (run_dir / PRUNED).exists():
        summary[list(stages)[-1]]["pruned"] = (run_dir / PRUNED).read_text().strip()
    with atomic_write(run_dir / SUMMARY) as file:
        json.dump(summary, file, indent=2)
    return summary


def _stage(stage: Stage) -> dict[str, Any]:
    result: dict[str, Any] = {"epochs": stage.epochs}
    if stage.validated:
        result["last"] = _scores(stage.validated[-1])
        # The lowest rank is the best; older runs without ranks are ranked by PSNR-Y.
        best = min(stage.validated, key=lambda row: row.get("quality/rank", -row["quality/psnr_y"]))
        result["best"] = _scores(best)
    if "loss/discriminator" in stage.rows[-1]:
        result["losses"] = [
            {
                "epoch": int(row["epoch"]),
                "discriminator": row["loss/discriminator"],
                "generator": row["loss/generator"],
            }
            for row in stage.rows
            if int(row["epoch"]) in ORIGINAL_RUN or row is stage.rows[-1]
        ]
    return result


def _scores(row: dict[str, float]) -> dict[str, float]:
    names = [f"{key}{beside}" for beside in ("", "_bicubic") for key in _SCORES]
    taken = {name: row[f"quality/{name}"] for name in names if f"quality/{name}" in row}
    return {"epoch": int(row["epoch"]), **taken}


def as_text(summary: dict[str, Any], run_dir: Path) -> str:
    """Returns the summary as the text that a run ends with."""
    last = {stage: result.get("last", {}) for stage, result in summary.items()}
    measured = {
        key: how for key, how in _SCORES.items() if any(key in row for row in last.values())
    }
    titles = [title for score, _ in measured.values() for title in (score, "bicubic")]
    rows = [
        [stage, str(summary[stage]["epochs"])]
        + [
            number(scores.get(name), f".{digits}f")
            for key, (_, digits) in measured.items()
            for name in (key, f"{key}_bicubic")
        ]
        for stage, scores in last.items()
    ]
    tables = [Table("", ["stage", "epochs", *titles], rows)]
    for result in summary.values():
        if "losses" in result:
            losses = [
                [str(row["epoch"]), *(f"{row[who]:.3g}" for who in ("discriminator", "generator"))]
                for row in result["losses"]
            ]
            tables.append(Table("", ["epoch", "D loss", "G loss"], losses))
    stages = read_stages(run_dir / "metrics.csv").values()
    remarks = "\n".join(filter(None, map(behind_bicubic, stages)))
    blocks = [*(table.plain() for table in tables), remarks, _places(run_dir), _next(run_dir)]
    return "\n\n".join(filter(None, blocks))


def _places(run_dir: Path) -> str:
    """Lists the files that the run left, as far as they exist."""
    pictures = sorted(run_dir.glob("samples/*/*.png"), key=_age)[-1:]
    weights = sorted(run_dir.glob("checkpoints/*/generator.safetensors"), key=_age)
    places = {
        "run": [run_dir],
        "picture": pictures,
        "generator": weights,
        "numbers": [run_dir / "metrics.csv", run_dir / SUMMARY],
    }
    lines = [f"{what:<10}{relative(path)}" for what, paths in places.items() for path in paths]
    return "\n".join(lines)


def _next(run_dir: Path) -> str:
    """Returns the commands that usually follow, ready to copy; none after a divergence."""
    stages = read_stages(run_dir / "metrics.csv")
    if any(diverged(row) for stage in stages.values() for row in stage.rows[-1:]):
        return ""
    where = relative(run_dir)
    commands = {
        "enlarge": f"sr-gan upscale {quote(f'model={where}')} input=PHOTO",
        "report": f"sr-gan report {quote(f'run={where}')}",
    }
    if any(run_dir.glob("*/events.out.tfevents.*")):
        logs = "runs" if where.parts[:1] == ("runs",) else quote(str(where))
        commands["curves"] = f"tensorboard --logdir {logs}"
    return "\n".join(f"{what:<10}{command}" for what, command in commands.items())


def _age(path: Path) -> float:
    return path.stat().st_mtime
