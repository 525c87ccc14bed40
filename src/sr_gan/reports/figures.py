"""Draws curves of runs and the perception-distortion plane, for light and for dark pages."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from sr_gan.runs.history import Run
from sr_gan.runs.published import ORIGINAL_RUN, reproduces_original

_SIZE, _DPI = (5.0, 3.2), 180  # in inches, so that text is readable on a phone
_NARROW = 0.002  # of a value; no axis shows less of it to either side, as that is noise
_MARKER = 8  # the size of a model's marker, in points
_BASE: dict[str, Any] = {
    "font.size": 10,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.formatter.useoffset": False,  # ticks show the numbers themselves
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "grid.linewidth": 0.6,
}
_LIGHT = {"paper": "#ffffff", "ink": "#24292f", "grid": "#e3e6ea", "grey": "#6b7280"}
_DARK = {"paper": "#1b1f24", "ink": "#dfe3e8", "grid": "#343b44", "grey": "#9aa4b2"}
_COLOURS = ("#2f81d6", "#dd6b20", "#2a9d6f", "#c2416b", "#8a63d2", "#b58900", "#17a2b8", "#7a7f87")
_LINES, _MARKERS = ("-", "--", ":"), "os^"  # for a second and a third round of the colours
_BLUE, _ORANGE, _GREEN, _RED = _COLOURS[:4]
_QUALITY = {
    "quality/psnr_y": "PSNR-Y on the validation photos, dB",
    "quality/lpips": "LPIPS on the validation photos",
}

Draw = Callable[[Axes, str], None]  # gets axes, and the colour of references


@dataclass(frozen=True)
class Plot:
    """A plot that can be drawn more than once; its file is called ``name``."""

    name: str
    title: str
    draw: Draw

    def png(self, dark: bool = False) -> bytes:
        """Returns the plot as a PNG file for a light or a dark page."""
        colours = _DARK if dark else _LIGHT
        style: Any = {**_BASE, **_inks(colours)}
        with mpl.rc_context(style):
            figure = Figure(_SIZE, _DPI, layout="constrained")
            axes = figure.add_subplot(title=self.title)
            self.draw(axes, colours["grey"])
            buffer = io.BytesIO()
            figure.savefig(buffer, format="png")
        return buffer.getvalue()


def _inks(colours: dict[str, str]) -> dict[str, Any]:
    ink = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    paper = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    return {
        **dict.fromkeys(ink, colours["ink"]),
        **dict.fromkeys(paper, colours["paper"]),
        "grid.color": colours["grid"],
    }


def of_run(run: Run) -> list[Plot]:
    """Returns the curves of one run for which it has values."""
    plots = {
        "loss/generator": Plot("losses", "Losses", partial(_losses, run)),
        "discriminator/real": Plot("discriminator", "D(real) and D(fake)", partial(_answers, run)),
        **{
            metric: Plot(metric.split("/")[1], title, partial(_quality, run, metric))
            for metric, title in _QUALITY.items()
        },
    }
    return [plot for metric, plot in plots.items() if _starts(run, metric)]


def of_runs(runs: Sequence[Run], labels: Sequence[str]) -> list[Plot]:
    """Returns one plot per quantity of several runs, labelled as in the tables."""
    metrics = {**_QUALITY, "loss/discriminator": "D loss"}
    return [
        Plot(metric.split("/")[1], title, partial(_overlay, runs, labels, metric))
        for metric, title in metrics.items()
        if any(_starts(run, metric) for run in runs)
    ]


@dataclass(frozen=True)
class Point:
    """A model on the perception-distortion plane: PSNR-Y in dB and LPIPS."""

    label: str
    psnr_y: float
    lpips: float


def perception_distortion(
    points: Sequence[Point], bicubic: Point, where: str, order: Sequence[str] = ()
) -> Plot:
    """Plots PSNR against LPIPS; better models are further right and further down.

    Args:
        points: the models.
        bicubic: the scores of bicubic on the same images.
        where: the images.
        order: the labels in the order of the colours, as the curves have them; those of the points
            if it is empty.

    Source: Blau and Michaeli 2018, *The perception-distortion tradeoff*.
    """

    def draw(axes: Axes, grey: str) -> None:
        best = pareto_front(points)
        axes.step(
            *zip(*((p.psnr_y, p.lpips) for p in best)), color=grey, lw=1, ls=":", where="post"
        )
        labels = list(order or [point.label for point in points])
        for point in points:
            index = labels.index(point.label)
            marker = _MARKERS[_round(index) % 3]
            axes.plot(point.psnr_y, point.lpips, marker, color=_colour(index), ms=_MARKER)
        axes.plot(bicubic.psnr_y, bicubic.lpips, "x", color=grey, ms=_MARKER)
        axes.margins(0.15)
        axes.set(xlabel="PSNR-Y, dB (higher is better)", ylabel="LPIPS (lower is better)")
        _label([*points, bicubic], axes)

    name = f"perception-distortion-{where}".replace(" ", "-")
    return Plot(name, f"PSNR against LPIPS, {where}", draw)


def _label(points: Sequence[Point], axes: Axes) -> None:
    """Writes the label of each point beside it, if possible where it covers nothing else."""
    axes.autoscale_view()  # places are known from here on
    marker = _MARKER * axes.figure.dpi / 72 / 2
    places = [(point.psnr_y, point.lpips) for point in points]
    taken = [Bbox([at - marker, at + marker]) for at in axes.transData.transform(places)]
    for point, place in zip(points, places):
        texts = [
            axes.annotate(point.label, place, (x, y), textcoords="offset points", ha=side)
            for y in (5, -13)
            for x, side in ((6, "left"), (-6, "right"))
        ]
        free = [each for each in texts if not each.get_window_extent().count_overlaps(taken)]
        chosen = (free or texts)[0]
        taken.append(chosen.get_window_extent())
        for other in texts:
            if other is not chosen:
                other.remove()


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Returns the Pareto-optimal points, by falling PSNR; equal ones stay together."""
    best: list[Point] = []
    for point in sorted(points, key=lambda p: (-p.psnr_y, p.lpips)):
        if not best or point.lpips < best[-1].lpips or _same(point, best[-1]):
            best.append(point)
    return best


def _same(point: Point, other: Point) -> bool:
    return (point.psnr_y, point.lpips) == (other.psnr_y, other.lpips)


def pareto_ranks(points: Sequence[Point]) -> dict[str, int]:
    """Returns the number of the Pareto front of each point, by label.

    Front 1 is the Pareto-optimal points, front 2 those that are optimal without front 1, and so on.

    Source: Deb et al. 2002, *NSGA-II*, section III.A.
    """
    left, numbers, number = list(points), {}, 1
    while left:
        best = pareto_front(left)
        numbers.update({point.label: number for point in best})
        left = [point for point in left if point not in best]
        number += 1
    return numbers


def _losses(run: Run, axes: Axes, grey: str) -> None:
    starts = _starts(run, "loss/generator")
    _curve(axes, run, starts, "loss/generator", "G", _BLUE)
    _curve(axes, run, starts, "loss/discriminator", "D", _ORANGE)
    gan = run.stages.get("gan")
    # Of a shorter run only the first point would be in view.
    if gan is not None and gan.epochs > 99 and reproduces_original(run.config):
        points = [(starts["gan"] + n, d) for n, (d, _) in ORIGINAL_RUN.items() if n <= gan.epochs]
        axes.plot(*zip(*points), "s", color=grey, mfc="none", label="D, original run")
    _scale(axes)
    _finish(axes, starts)


def _answers(run: Run, axes: Axes, grey: str) -> None:
    starts = _starts(run, "discriminator/real")
    axes.axhline(0.5, color=grey, lw=1, ls="--", label="guessing")
    _curve(axes, run, starts, "discriminator/real", "D(real)", _GREEN)
    _curve(axes, run, starts, "discriminator/fake", "D(fake)", _RED)
    axes.set_ylim(-0.03, 1.03)
    _finish(axes, starts)


def _quality(run: Run, metric: str, axes: Axes, grey: str) -> None:
    starts = _starts(run, metric)
    _curve(axes, run, starts, metric, "generator", _BLUE)
    bicubic = f"{metric}_bicubic"
    scores = {value for name in starts for _, value in run.stages[name].series(bicubic)}
    if len(scores) == 1:  # the whole width, as a single epoch makes no line
        axes.axhline(scores.pop(), color=grey, ls="--", label="bicubic")
    else:
        _curve(axes, run, starts, bicubic, "bicubic", grey, ls="--", marker="")
    _finish(axes, starts)


def _overlay(
    runs: Sequence[Run], labels: Sequence[str], metric: str, axes: Axes, grey: str
) -> None:
    every = [_starts(run, metric) for run in runs]
    for i, (run, starts, label) in enumerate(zip(runs, every, labels)):
        line = _LINES[_round(i) % 3]
        _curve(axes, run, starts, metric, label, _colour(i), linestyle=line)
    if metric.startswith("loss/"):
        _scale(axes)
    same = [starts for starts in every if starts]
    _finish(axes, same[0] if all(starts == same[0] for starts in same) else {})


def _curve(
    axes: Axes, run: Run, starts: dict[str, int], metric: str, label: str, colour: str, **style: Any
) -> None:
    """Draws the metric over the stages, as a separate line for each."""
    for name, start in starts.items():
        series = [(start + epoch, value) for epoch, value in run.stages[name].series(metric)]
        if series:
            few = {"marker": "." if len(series) < 40 else ""}
            axes.plot(*zip(*series), color=colour, label=label, **{**few, **style})
            label = "_" + label  # matplotlib leaves it out of the legend


def _scale(axes: Axes) -> None:
    """Makes the axis of losses logarithmic, unless a linear one shows all of them well."""
    if axes.dataLim.y1 > 10 * axes.dataLim.minposy:  # the largest, and the smallest above 0
        axes.set_yscale("log")


def _starts(run: Run, metric: str) -> dict[str, int]:
    """Returns the stages that have the metric, with the numbers of epochs before them."""
    starts, begin = {}, 0
    for name, stage in run.stages.items():
        if stage.series(metric):
            starts[name] = begin
            begin += stage.epochs
    return starts


def _finish(axes: Axes, starts: dict[str, int]) -> None:
    for name, start in list(starts.items())[1:]:
        axes.axvline(start + 0.5, color=axes.xaxis.label.get_color(), lw=0.8, ls=":")
        top = axes.get_xaxis_transform()
        beside: Any = {"xytext": (4, 0), "textcoords": "offset points", "va": "top", "fontsize": 9}
        axes.annotate(name, (start + 0.5, 1), xycoords=top, **beside)
    stage = f"epoch of {next(iter(starts))}" if len(starts) == 1 else "epoch, over all stages"
    axes.set_xlabel(stage)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    low, high = axes.get_ylim()
    middle, least = (low + high) / 2, _NARROW * abs(low + high) / 2
    if high - low < 2 * least:
        axes.set_ylim(middle - least, middle + least)
    if len(axes.get_legend_handles_labels()[1]) > 1:
        many = len(axes.get_legend_handles_labels()[1]) > len(_COLOURS)
        axes.legend(ncols=4 if many else 2, handlelength=3, fontsize="small" if many else None)


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _round(index: int) -> int:
    """Returns how often all colours have been used before."""
    return index // len(_COLOURS)
