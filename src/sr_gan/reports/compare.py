"""Compares runs on a page: their settings, their results and the perception-distortion plane."""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sr_gan.evaluation.scores import METRICS
from sr_gan.files import real
from sr_gan.reports import figures
from sr_gan.reports.crop_strip import crop_strip
from sr_gan.reports.figures import Point
from sr_gan.reports.page import Section
from sr_gan.reports.single import draw, progress
from sr_gan.runs.history import Run
from sr_gan.runs.metrics_table import Stage
from sr_gan.runs.verdict import behind_bicubic, diagnose
from sr_gan.settings.overrides import label, short, shortened
from sr_gan.tables import Table, number

_MOST_KEYS = 6  # settings beside the scores; if there are more, they get their own table
_LONGEST = 60  # characters of a run's name
_LITTLE = 0.3  # dB of PSNR-Y that may be given up
_PSNR_DIGITS, _LPIPS_DIGITS = METRICS["psnr_y"][1], METRICS["lpips"][1]
_NOWHERE = "-"
_JOB = re.compile(r"\d+(?=_[\w.@/]+=)")  # the number of a sweep's job, before its settings
Places = tuple[list[Point], Point]  # those of the runs, and that of bicubic


def comparison_section(runs: Sequence[Run], notes: Sequence[str] = ()) -> Section:
    """Returns the section that numbers the runs and compares them, after the ``notes``."""
    settings = differing(runs)
    planes, order = _planes(runs), numbers(runs)
    plots = [figures.perception_distortion(*each, where, order) for where, each in planes.items()]
    points, _ = next(iter(planes.values()), ([], None))
    text = [*notes, *_incomparable(runs), *_suggestion(runs, points), *_missing(runs, points)]
    fronts = figures.pareto_ranks(points)
    names = titles(runs)  # which may contain a setting already
    beside = {k: v for k, v in settings.items() if any(f"{short(k)}=" not in n for n in names)}
    tables = [_outcomes(runs, beside if len(settings) <= _MOST_KEYS else {}, fronts)]
    if len(settings) > _MOST_KEYS:
        header = ["setting", *order]
        rows = [[key, *values] for key, values in settings.items()]
        tables.append(Table("What differs", header, rows))
    curves = [draw(plot, "runs-") for plot in [*plots, *figures.of_runs(runs, order)]]
    crops = crop_strip(runs, names)
    return Section("Comparison", text, [crops] if crops else [], curves, tables)


def numbers(runs: Sequence[Run]) -> list[str]:
    """Returns the numbers of the runs: those of a sweep's jobs, or else from 1."""
    folders = [real(run.path) for run in runs]
    jobs = [job[0] for folder in folders if (job := _JOB.match(folder.name))]
    if len(set(jobs)) == len(runs) and len({folder.parent for folder in folders}) == 1:
        return jobs
    return [str(i) for i in range(1, len(runs) + 1)]


def titles(runs: Sequence[Run]) -> list[str]:
    """Returns a title such as ``1: saturated`` for each run: its number and its folder.

    The part of the path that all folders share is left out. For a job of a sweep the title has the
    job's own settings.
    """
    paths = [real(run.path) for run in runs]
    common = os.path.commonpath(paths)
    names = [label(str(path.relative_to(common))) for path in paths]
    return [
        f"{number}: {name if len(name) <= _LONGEST else name[: _LONGEST - 1] + '…'}"
        for number, name in zip(numbers(runs), names)
    ]


def differing(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Returns the settings that differ between runs: key, and the value in each run.

    Settings that hold the place of a run are left out. If keys follow one another, as those of
    ``gan.discriminator`` follow ``discriminator``, the shortest is kept.
    """
    flat = [dict(_leaves(_used(run.config))) for run in runs]
    own = [run.config.get("run_dir") for run in runs]
    found: dict[tuple[str, ...], str] = {}
    for key in sorted(dict.fromkeys(key for leaves in flat for key in leaves), key=len):
        values = [leaves.get(key, _NOWHERE) for leaves in flat]
        places = any(folder and folder in value for folder, value in zip(own, values))
        if len(_distinct(key, values)) > 1 and not places and key not in ("ckpt_path", "stage"):
            found.setdefault((key.rpartition(".")[2], *values), key)
    return {key: list(values) for (_, *values), key in found.items()}


def _distinct(key: str, values: list[str]) -> set[str]:
    """Returns the values; a setting of a stage counts only in runs that have the stage."""
    return set(values) - ({_NOWHERE} if key.startswith(("pretrain.", "gan.")) else set())


def _used(config: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings without those of stages that the run does not have."""
    unused = {"pretrain", "gan"} - set(config.get("stages", ()))
    return {key: value for key, value in config.items() if key not in unused}


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(node, dict) and node:
        for name, value in node.items():
            yield from _leaves(value, f"{key}.{name}" if key else str(name))
    elif key:
        yield key, f"[{','.join(map(str, node))}]" if isinstance(node, list) else str(node)


def _outcomes(runs: Sequence[Run], settings: dict[str, list[str]], fronts: dict[str, int]) -> Table:
    """Returns a table with one row per run, sorted by Pareto front and then by falling PSNR."""
    psnr = f".{_PSNR_DIGITS}f"
    bicubic = {"bicubic dB": ("quality/psnr_y_bicubic", psnr)} if _incomparable(runs) else {}
    scores = {
        "PSNR-Y dB": ("quality/psnr_y", psnr),
        **bicubic,
        "SSIM-Y": ("quality/ssim_y", ".4f"),
        "LPIPS": ("quality/lpips", f".{_LPIPS_DIGITS}f"),
        "grain": ("quality/grain", ".2f"),
        "grid": ("quality/grid", ".2f"),
        "D loss": ("loss/discriminator", ".3g"),
    }
    header = ["", *settings, *scores, "discriminator", "epochs", *(["front"] if fronts else [])]
    rows = {}
    order = numbers(runs)
    for i, (run, name) in enumerate(zip(runs, titles(runs))):
        values = [(run.final.last(metric) if run.final else None) for metric, _ in scores.values()]
        cells = [number(value, style) for value, (_, style) in zip(values, scores.values())]
        health = diagnose(run.final) if run.final else None
        chosen = [shortened(values[i]) for values in settings.values()]
        state = health.name if health else _NOWHERE
        front = fronts.get(order[i], len(runs) + 1)
        on_front = [str(front) if front <= len(runs) else _NOWHERE] if fronts else []
        row = [name, *chosen, *cells, state, progress(run), *on_front]
        rows[(front, -(values[0] or 0), i) if fronts else (i,)] = row
    caption = "What differs, and the results of the last validation"
    caption += "; front 1 is Pareto-optimal in PSNR and LPIPS" if fronts else ""
    return Table(caption, header, [rows[key] for key in sorted(rows)])


def _suggestion(runs: Sequence[Run], points: Sequence[Point]) -> list[str]:
    """Suggests a run to begin with, if there are three and they differ and have learned enough."""
    finals = [run.final for run in runs if run.final]
    if len(finals) > 1 and all(map(_behind, finals)):
        return [
            "Every run is worse than bicubic, by LPIPS or else by PSNR-Y: train them longer before "
            "you compare them."
        ]
    if len(points) > 1 and len({(point.psnr_y, point.lpips) for point in points}) == 1:
        same = _named([point.label for point in points]).capitalize()
        return [f"{same} do not differ in PSNR-Y and LPIPS, to the digits of the table."]
    return [_choice(runs, points)] if len(points) > 2 else []


def _choice(runs: Sequence[Run], points: Sequence[Point]) -> str:
    """Names the run with the lowest LPIPS among those that give up little PSNR."""
    trained = _trained(runs)
    least = round(max(point.psnr_y for point in points) - _LITTLE, _PSNR_DIGITS)
    chosen = min((p for p in points if p.psnr_y >= least), key=lambda p: (p.lpips, -p.psnr_y))
    title = dict(zip(numbers(runs), titles(runs)))[chosen.label]
    text = f"The run to begin with: {title} ({trained[chosen.label].name}). "
    left_out = sorted(trained.keys() - {point.label for point in points}, key=int)
    if left_out:
        text += f"Of the runs with LPIPS that are within {_LITTLE:g} dB of their highest PSNR-Y "
        text += "it has the lowest LPIPS. Without LPIPS, "
        text += f"{_named(left_out)} {'is' if len(left_out) == 1 else 'are'} left out. "
    else:
        text += f"Of the runs within {_LITTLE:g} dB of the highest PSNR-Y it has the lowest LPIPS. "
    return text + "Look at the crops, too: neither number sees every artefact."


def _behind(stage: Stage) -> bool:
    """Whether a stage is worse than bicubic; without LPIPS a GAN is judged by PSNR-Y, too."""
    keys = ("psnr_y", "psnr_y_bicubic", "lpips")
    psnr, bicubic, lpips = (stage.last(f"quality/{key}") for key in keys)
    lower = psnr is not None and bicubic is not None and psnr < bicubic
    return bool(behind_bicubic(stage)) or (lower and lpips is None)


def _trained(runs: Sequence[Run]) -> dict[str, Run]:
    """Returns the runs that have finished an epoch, by number."""
    return {number: run for number, run in zip(numbers(runs), runs) if run.final}


def _named(labels: Sequence[str]) -> str:
    """Returns ``run 1``, or ``runs 1, 2 and 3``."""
    *others, last = labels
    return f"runs {', '.join(others)} and {last}" if others else f"run {last}"


def _planes(runs: Sequence[Run]) -> dict[str, Places]:
    """Returns the places of the runs on each shared benchmark, or else on their own photos."""
    trained = _trained(runs)
    planes = {}
    for name in dict.fromkeys(name for run in trained.values() for name in run.benchmarks):
        scores = {number: run.benchmarks.get(name, {}) for number, run in trained.items()}
        bicubics = [score.get("bicubic", {}) for score in scores.values()]
        means = {number: score.get("mean", {}) for number, score in scores.items()}
        if places := _places(means, bicubics):
            planes[name] = places
    if planes:
        return planes
    last = {number: _validation(run, "") for number, run in trained.items()}
    last = {number: scores for number, scores in last.items() if _point(number, scores)}
    places = _places(last, [_validation(trained[number], "_bicubic") for number in last])
    return {"validation photos": places} if places and len(places[0]) > 1 else {}


def _validation(run: Run, beside: str) -> dict[str, float | None]:
    keys = ("psnr_y", "lpips")
    return {key: run.final and run.final.last(f"quality/{key}{beside}") for key in keys}  # type: ignore[misc]


def _places(scores: Mapping[str, Any], bicubics: Sequence[Any]) -> Places | None:
    """Returns None if a run lacks a score, or if bicubic's scores differ, as on other photos.

    Scores are rounded as in the table, so that runs that look the same there are the same.
    """
    points = [_point(number, values) for number, values in scores.items()]
    bicubic = [_point("bicubic", values) for values in bicubics]
    if not points or None in points or None in bicubic or len(set(bicubic)) > 1:
        return None
    return [point for point in points if point], next(point for point in bicubic if point)


def _point(label: str, values: Any) -> Point | None:
    psnr, lpips = values.get("psnr_y"), values.get("lpips")
    if psnr is None or lpips is None:
        return None
    return Point(label, round(psnr, _PSNR_DIGITS), round(lpips, _LPIPS_DIGITS))


def _incomparable(runs: Sequence[Run]) -> list[str]:
    """Returns a warning if bicubic's PSNR-Y, and so the validation photos, differ between runs."""
    found: dict[str, list[str]] = {}
    for i, run in _trained(runs).items():
        score = run.final and run.final.last("quality/psnr_y_bicubic")
        if score is not None:
            found.setdefault(f"{score:.{_PSNR_DIGITS}f} dB", []).append(i)
    if len(found) < 2:
        return []
    scores = "; ".join(f"{score} in {_named(labels)}" for score, labels in found.items())
    return [
        "The runs were validated on different photos, or at different scales, so that their scores "
        f"and curves on these photos cannot be compared. Bicubic's PSNR-Y shows it: {scores}."
    ]


def _missing(runs: Sequence[Run], points: Sequence[Point]) -> list[str]:
    """Returns a note on the runs that are not in the plane, and on how to add them."""
    trained = _trained(runs)
    if len(trained) < 2 or len(points) == len(trained):
        return []
    lacking = [i for i, run in trained.items() if not _point("", _validation(run, ""))]
    if len(lacking) > 1:
        why = f"{_named(lacking)} have no LPIPS of their validation photos"
    elif lacking:
        why = f"{_named(lacking)} has no LPIPS of its validation photos"
    else:
        why = "bicubic's scores on the validation photos are not the same"
    what = "Not in the plot of PSNR against LPIPS" if points else "PSNR against LPIPS is not drawn"
    cure = "measure each on the same images with python -m sr_gan.evaluate model=RUN "
    cure += "benchmark=FOLDER lpips=FILE, and report again."
    if lacking and not _incomparable(runs):
        cure = f"Training with callbacks.lpips.weights=FILE|download measures it, or {cure}"
    return [f"{what}: {why}. {cure[0].upper()}{cure[1:]}"]
