"""Describes one run on a page: results, discriminator, curves, pictures and settings."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from sr_gan.errors import UserError
from sr_gan.evaluation.scores import METRICS, table
from sr_gan.reports import figures
from sr_gan.reports.page import Picture, Section
from sr_gan.runs.folder import PRUNED
from sr_gan.runs.grid import COLUMNS, draw_grid, read_grid
from sr_gan.runs.history import Run
from sr_gan.runs.metrics_table import Stage
from sr_gan.runs.published import ORIGINAL_RUN, published, reproduces_original
from sr_gan.runs.verdict import behind_bicubic, diagnose, guessing
from sr_gan.tables import Table, number

# The titles and columns of a run with the original's recipe, as in its figures 3 and 4.
_ORIGINAL = {"real(hr)": "HR", "lr": "LR", "bicubic": "bicubic", "gen(hr)": "SR"}

_VALIDATED = ("psnr_y", "ssim_y", "lpips", "grain", "grid")  # of METRICS


def run_section(run: Run, epochs: Sequence[int], prefix: str = "", title: str = "") -> Section:
    """Returns the section of a run.

    Args:
        run: the run to describe.
        epochs: the epochs whose pictures are shown, or the nearest that have one, and the last.
        prefix: the prefix of the pictures' names.
        title: the heading; the run's name if empty.
    """
    samples, unreadable = _samples(run, epochs, prefix)
    return Section(
        title or run.name,
        text=[*_outcome(run), *_health(run), *unreadable],
        pictures=samples,
        curves=[draw(plot, prefix) for plot in figures.of_run(run)],
        tables=[*_scores(run), *_losses(run), *_benchmarks(run)],
        details=_facts(run),
        settings=yaml.safe_dump(run.config, sort_keys=False) if run.config else "",
    )


def draw(plot: figures.Plot, prefix: str = "") -> Picture:
    """Draws a plot for light and for dark pages."""
    return Picture(prefix + plot.name, plot.title, plot.png(), plot.png(dark=True))


def progress(run: Run) -> str:
    """Returns each stage's finished epochs, with the planned number if it is not reached."""
    parts = []
    for name in dict.fromkeys([*run.config.get("stages", []), *run.stages]):
        done, planned = run.done(name), run.planned(name)
        whole = planned is None or done >= planned
        parts.append(f"{name} {done}" if whole else f"{name} {done} of {planned}")
    return ", ".join(parts) or "no epoch finished"


def _outcome(run: Run) -> list[str]:
    final = run.final
    if final is None:
        return ["No epoch of this run was finished."]
    text = [f"Epochs: {progress(run)}."]
    if (run.path / PRUNED).exists():
        text[0] += f" Pruned: {(run.path / PRUNED).read_text().strip()}."
    elif any((run.planned(name) or 0) > run.done(name) for name in run.config.get("stages", [])):
        text[0] += " The run is not finished; the same command with ckpt_path=last resumes it."
    psnr = final.last("quality/psnr_y")
    if psnr is None:
        return [*text, f"The stage {final.name} was not validated: it has no scores or pictures."]
    score = f"The generator's last validation: PSNR-Y {psnr:.2f} dB"
    score += _beside(final, "psnr_y", 2)
    lpips = final.last("quality/lpips")
    if lpips is not None:
        score += f", LPIPS {lpips:.4f}" + _beside(final, "lpips", 4)
    return [*text, score + "."]


def _beside(stage: Stage, metric: str, digits: int) -> str:
    bicubic = stage.last(f"quality/{metric}_bicubic")
    return "" if bicubic is None else f" (bicubic {bicubic:.{digits}f})"


def _health(run: Run) -> list[str]:
    texts = []
    for stage in run.stages.values():
        health = diagnose(stage, guessing(run.config))
        if health is not None:
            texts.append(health.text)
            texts += [f"What usually helps: {health.advice}."] if health.advice else []
        texts += filter(None, [behind_bicubic(stage)])
    return texts


def _scores(run: Run) -> list[Table]:
    """Returns a table of the last and the best validation of each stage."""
    taken = {metric for stage in run.stages.values() for row in stage.rows for metric in row}
    metrics = {key: METRICS[key] for key in _VALIDATED if f"quality/{key}" in taken}
    rows = []
    for stage in run.stages.values():
        if stage.validated:
            last = stage.validated[-1]
            best = max(stage.validated, key=lambda row: row["quality/psnr_y"])
            rows.append(_validation(f"{stage.name}, last", last, metrics))
            rows.append(_validation(f"{stage.name}, best PSNR-Y", best, metrics))
    if rows:
        baseline = {f"quality/{m}": last.get(f"quality/{m}_bicubic") for m in metrics}
        rows.append(_validation("bicubic", baseline, metrics))
    header = ["", "epoch", *(title for title, _ in metrics.values())]
    return [Table("Validation photos", header, rows)] if rows else []


def _validation(name: str, row: Any, metrics: dict[str, tuple[str, int]]) -> list[str]:
    epoch = f"{row['epoch']:.0f}" if "epoch" in row else "-"
    values = [number(row.get(f"quality/{key}"), f".{d}f") for key, (_, d) in metrics.items()]
    return [name, epoch, *values]


def _losses(run: Run) -> list[Table]:
    """Returns a table of the losses at the epochs of the original's table, and at the last.

    The original's losses stand beside those of a run that reproduces it.
    """
    stage = run.stages.get("gan")
    if stage is None or not any("loss/discriminator" in row for row in stage.rows):
        return []
    beside = reproduces_original(run.config)
    rows = []
    for row in stage.rows:
        epoch = int(row["epoch"])
        if epoch in ORIGINAL_RUN or row is stage.rows[-1]:
            values = [row.get(f"loss/{name}") for name in ("discriminator", "generator")]
            values += ORIGINAL_RUN.get(epoch, (None, None)) if beside else ()
            rows.append([str(epoch), *(number(value, ".3g") for value in values)])
    header = ["epoch", "D loss", "G loss"]
    if not beside:
        return [Table("Losses", header, rows)]
    caption = "Losses, beside those of the run that this one reproduces"
    return [Table(caption, [*header, "D loss, original", "G loss, original"], rows)]


def _benchmarks(run: Run) -> list[Table]:
    """Returns tables of what ``sr_gan.evaluate`` measured, beside published scores."""
    tables = []
    for name, scores in run.benchmarks.items():
        rows = {str(scores.get("model", "generator")): scores["mean"]}
        rows["bicubic"] = scores.get("bicubic", {})
        if scores.get("scale") == 4:
            rows |= {who: row for who, row in published(name).items() if "bicubic" not in who}
        tables.append(table(rows, "", f"{name}, by sr_gan.evaluate"))
    return tables


def _samples(run: Run, epochs: Sequence[int], prefix: str) -> tuple[list[Picture], list[str]]:
    """Returns pictures of a run's samples, and a note on each that cannot be read.

    With ``epochs`` these are the last of each stage, and in the final stage also those nearest to
    the chosen ones; without, only the last.
    """
    pictures, unreadable = [], []
    panels = _ORIGINAL if reproduces_original(run.config) else dict(zip(COLUMNS, COLUMNS))
    for stage in list(run.stages) if epochs else list(run.stages)[-1:]:
        grids = run.samples(stage)
        chosen = epochs if run.final is run.stages[stage] else ()
        for epoch in _nearest(list(grids), chosen):
            name = f"{prefix}samples-{stage}-{epoch:04d}"
            caption = f"{' | '.join(panels)} after epoch {epoch} of {stage}"
            try:
                pictures.append(Picture(name, caption, _panels(grids[epoch], panels)))
            except UserError as error:
                unreadable.append(f"Not shown: {error}.")
    return pictures, unreadable


def _nearest(taken: list[int], wanted: Sequence[int]) -> list[int]:
    """Returns the taken epochs that are nearest to the wanted ones, and the last one."""
    if not taken:
        return []
    within = [epoch for epoch in wanted if epoch <= max(taken)]
    return sorted({min(taken, key=lambda t: abs(t - epoch)) for epoch in within} | {max(taken)})


def _panels(path: Path, panels: dict[str, str]) -> bytes:
    """Draws columns of a grid of samples again, as a PNG file; the panels name them by title."""
    columns = read_grid(path)
    grid = draw_grid([[columns[name] for name in panels.values()]], tuple(panels))
    buffer = io.BytesIO()
    grid.save(buffer, "PNG")
    return buffer.getvalue()


def _facts(run: Run) -> list[Table]:
    """Returns a table on the generator, the machine and the speed."""
    generator = run.config.get("generator", {})
    speed = [
        f"{stage.name} {rate[len(rate) // 2]:.0f}"
        for stage in run.stages.values()
        if (rate := sorted(value for _, value in stage.series("speed/images_per_second")))
    ]
    versions = run.environment.get("packages", {})
    facts = {
        **{key: run.environment.get(key) for key in ("command", "date", "git_commit")},
        "generator": str(generator.get("_target_", "")).rpartition(".")[2],
        "photos": run.config.get("data", {}).get("train_dir"),
        "images/s, median": ", ".join(speed),
        "processor": run.environment.get("cpu"),
        "threads": run.environment.get("threads"),
        "GPU": run.environment.get("gpu") or ("none" if run.environment else None),
        "python": run.environment.get("python"),
        "packages": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
    rows = [[name, str(value)] for name, value in facts.items() if value]
    return [Table("Settings and environment", ["", ""], rows)] if rows else []
