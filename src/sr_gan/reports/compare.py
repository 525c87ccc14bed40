"""Compares runs on a page: their settings, their results and the perception-distortion plane."""

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sr_gan.files import real
from sr_gan.reports import figures
from sr_gan.reports.crop_strip import crop_strip
from sr_gan.reports.figures import Point
from sr_gan.reports.page import Section
from sr_gan.reports.single import draw, progress
from sr_gan.runs.history import Run
from sr_gan.runs.verdict import diagnose
from sr_gan.settings.overrides import label, short, shortened
from sr_gan.tables import Table, number

_MOST_KEYS = 6  # settings beside the scores; if there are more, they get their own table
_LONGEST = 60  # characters of a run's name
_LITTLE = 0.3  # dB of PSNR-Y that may be given up
_NOWHERE = "-"
Places = tuple[list[Point], Point]  # those of the runs, and that of bicubic


def comparison_section(runs: Sequence[Run], notes: Sequence[str] = ()) -> Section:
    """Returns the section that numbers the runs from 1 and compares them, after the ``notes``."""
    settings = differing(runs)
    planes = _planes(runs)
    plots = [figures.perception_distortion(*each, where) for where, each in planes.items()]
    places = next(iter(planes.values()), None)
    text = [*notes, *_suggestion(runs, places[0] if places else []), *_missing(runs, bool(places))]
    fronts = figures.pareto_ranks(places[0]) if places else {}
    names = titles(runs)  # which may contain a setting already
    beside = {k: v for k, v in settings.items() if any(f"{short(k)}=" not in n for n in names)}
    tables = [_outcomes(runs, beside if len(settings) <= _MOST_KEYS else {}, fronts)]
    if len(settings) > _MOST_KEYS:
        header = ["setting", *(str(i + 1) for i in range(len(runs)))]
        rows = [[key, *values] for key, values in settings.items()]
        tables.append(Table("What differs", header, rows))
    curves = [draw(plot, "runs-") for plot in [*plots, *figures.of_runs(runs)]]
    crops = crop_strip(runs, names)
    return Section("Comparison", text, [crops] if crops else [], curves, tables)


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
        for number, name in enumerate(names, 1)
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
    scores = {
        "PSNR-Y dB": ("quality/psnr_y", ".2f"),
        "SSIM-Y": ("quality/ssim_y", ".4f"),
        "LPIPS": ("quality/lpips", ".4f"),
        "grain": ("quality/grain", ".2f"),
        "grid": ("quality/grid", ".2f"),
        "D loss": ("loss/discriminator", ".3g"),
    }
    header = ["", *settings, *scores, "discriminator", "epochs", *(["front"] if fronts else [])]
    rows = {}
    for i, (run, name) in enumerate(zip(runs, titles(runs))):
        values = [(run.final.last(metric) if run.final else None) for metric, _ in scores.values()]
        cells = [number(value, style) for value, (_, style) in zip(values, scores.values())]
        health = diagnose(run.final) if run.final else None
        chosen = [shortened(values[i]) for values in settings.values()]
        state = health.name if health else _NOWHERE
        front = fronts.get(str(i + 1), len(runs) + 1)
        on_front = [str(front) if front <= len(runs) else _NOWHERE] if fronts else []
        row = [name, *chosen, *cells, state, progress(run), *on_front]
        rows[(front, -(values[0] or 0), i) if fronts else (i,)] = row
    caption = "What differs, and the results of the last validation"
    caption += "; front 1 is Pareto-optimal in PSNR and LPIPS" if fronts else ""
    return Table(caption, header, [rows[key] for key in sorted(rows)])


def _suggestion(runs: Sequence[Run], points: Sequence[Point]) -> list[str]:
    """Suggests the run with the lowest LPIPS among those that give up little PSNR."""
    if len(points) < 3:
        return []
    highest = max(point.psnr_y for point in points)
    chosen = min((p for p in points if p.psnr_y >= highest - _LITTLE), key=lambda p: p.lpips)
    name = titles(runs)[int(chosen.label) - 1]
    return [
        f"The run to begin with: {name}. Of the runs within {_LITTLE:g} dB of the highest PSNR-Y "
        "it has the lowest LPIPS. Look at the crops, too: neither number sees every artefact."
    ]


def _planes(runs: Sequence[Run]) -> dict[str, Places]:
    """Returns the places of the runs on each shared benchmark, or else on their own photos."""
    trained = {str(i): run for i, run in enumerate(runs, 1) if run.final}  # not failed ones
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
    """Returns None if a run lacks a score, or if bicubic's scores differ, as on other photos."""
    points = [_point(number, values) for number, values in scores.items()]
    bicubic = [_point("bicubic", values) for values in bicubics]
    if not points or None in points or None in bicubic or len(set(bicubic)) > 1:
        return None
    return [point for point in points if point], next(point for point in bicubic if point)


def _point(label: str, values: Any) -> Point | None:
    psnr, lpips = values.get("psnr_y"), values.get("lpips")
    return None if psnr is None or lpips is None else Point(label, psnr, lpips)


def _missing(runs: Sequence[Run], drawn: bool) -> list[str]:
    """Returns a note on the runs that are not in the plane, and on how to add them."""
    lacking = [
        str(i)
        for i, run in enumerate(runs, 1)
        if run.final and not _point("", _validation(run, ""))
    ]
    if drawn and not lacking:
        return []
    why = (
        f"run {', '.join(lacking)} has no LPIPS of its validation photos"
        if lacking
        else "the runs were validated on different photos"
    )
    what = "Not in the plot of PSNR against LPIPS" if drawn else "PSNR against LPIPS is not drawn"
    return [
        f"{what}: {why}. Training with callbacks.lpips.weights=FILE|download measures it, or "
        "measure each on the same images with python -m sr_gan.evaluate model=RUN "
        "benchmark=FOLDER lpips=FILE, and report again."
    ]
