import io
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from PIL import Image

from sr_gan.reports import figures
from sr_gan.reports.figures import (
    Plot,
    Point,
    of_run,
    of_runs,
    pareto_front,
    pareto_ranks,
    perception_distortion,
)
from sr_gan.runs.history import read_run
from tests.conftest import Compose
from tests.made_runs import BALANCED, MakeRun, gan_rows


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)


def test_a_run_has_the_curves_that_it_has_values_for(make_run: MakeRun) -> None:
    pretrain = [{"stage": "pretrain", "epoch": 1, "loss/generator": 0.1}]
    run = read_run(make_run("a", pretrain + gan_rows(BALANCED)))
    assert [plot.name for plot in of_run(run)] == ["losses", "discriminator", "psnr_y", "lpips"]
    only = read_run(make_run("b", pretrain))
    assert [plot.name for plot in of_run(only)] == ["losses"]
    assert [plot.name for plot in of_runs([only, run], "12")] == [
        "psnr_y",
        "lpips",
        "discriminator",
    ]
    assert of_run(read_run(make_run("c", []))) == []


def test_every_curve_is_drawn_light_and_dark(make_run: MakeRun) -> None:
    rows = [{"stage": "pretrain", "epoch": 1, "loss/generator": 0.1}, *gan_rows(BALANCED * 40)]
    run = read_run(make_run("a", rows))
    for plot in [*of_run(run), *of_runs([run, run], "12")]:
        light, dark = pixels(plot.png()), pixels(plot.png(dark=True))
        assert np.median(light) > 250
        assert np.median(dark) < 40
        assert dark.max() > 200  # its letters
        assert light.std() > 5


def test_the_originals_losses_stand_beside_a_long_run_that_reproduces_it(
    make_run: MakeRun, composed: Compose
) -> None:
    def legend(epochs: int, recipe: Any) -> list[str]:
        run = read_run(
            make_run(f"{epochs} {bool(recipe)}", gan_rows([(0.7, 0.3)] * epochs), recipe)
        )
        return labels(of_run(run)[0])

    recipe = OmegaConf.to_container(composed("srgan_400ep", small=()), resolve=True)
    assert legend(100, recipe) == ["G", "D", "D, original run"]
    assert legend(99, recipe) == ["G", "D"]
    assert legend(100, {}) == ["G", "D"]


def test_curves_show_the_numbers_of_the_table(make_run: MakeRun) -> None:
    """One stage after the other: the GAN's first epoch lies behind the pretrain's last one."""
    pretrain = [
        {
            "stage": "pretrain",
            "epoch": i,
            "quality/psnr_y": 24.0 + i,
            "quality/psnr_y_bicubic": 24.0,
        }
        for i in range(1, 4)
    ]
    rows = gan_rows(BALANCED)
    plots = {plot.name: plot for plot in of_run(read_run(make_run("a", pretrain + rows)))}
    before, after, *bicubic = drawn(plots["psnr_y"])
    assert before == [(1, 25.0), (2, 26.0), (3, 27.0)]
    assert after == [(3 + row["epoch"], row["quality/psnr_y"]) for row in rows]
    assert bicubic[0] == [(1, 24.0), (2, 24.0), (3, 24.0)]
    assert bicubic[1] == [(3 + row["epoch"], row["quality/psnr_y_bicubic"]) for row in rows]
    real, fake = drawn(plots["discriminator"])[1:]  # the first line is that of guessing
    assert [y for _, y in real] == [row["discriminator/real"] for row in rows]
    assert [y for _, y in fake] == [row["discriminator/fake"] for row in rows]


def test_curves_of_several_runs_have_their_labels_and_the_colours_of_the_plane(
    make_run: MakeRun,
) -> None:
    runs = [read_run(make_run(name)) for name in "abc"]
    curves = colours(of_runs(runs, ["0", "4", "7"])[0])
    assert list(curves) == ["0", "4", "7"]
    axes = Figure().add_subplot()
    points, bicubic = [Point("7", 30, 0.3), Point("4", 28, 0.1)], Point("bicubic", 26, 0.5)
    perception_distortion(points, bicubic, "Set5", ["0", "4", "7"]).draw(axes, "grey")
    assert [line.get_color() for line in axes.lines[1:3]] == [curves["7"], curves["4"]]


def colours(plot: Plot) -> dict[str, Any]:
    axes = Figure().add_subplot()
    plot.draw(axes, "grey")
    return {str(line.get_label()): line.get_color() for line in axes.lines}


def test_a_single_epoch_has_its_tick_and_a_line_for_bicubic(make_run: MakeRun) -> None:
    run = read_run(make_run("a", gan_rows([(0.6, 0.4)])))
    axes = Figure().add_subplot()
    {plot.name: plot for plot in of_run(run)}["psnr_y"].draw(axes, "grey")
    low, high = axes.get_xlim()
    assert [tick for tick in axes.get_xticks() if low < tick < high] == [1]
    (bicubic,) = (line for line in axes.lines if line.get_label() == "bicubic")
    assert bicubic.get_ydata() == [26.0, 26.0]
    assert bicubic.get_transform() == axes.get_yaxis_transform()
    assert bicubic.get_xdata() == [0, 1]  # of the width


def test_the_ticks_of_nearly_equal_values_can_be_read(make_run: MakeRun) -> None:
    rows = [{**row, "loss/discriminator": 1.36895} for row in gan_rows([(0.6, 0.4)])]
    near = [{**row, "loss/discriminator": 1.36896, "quality/lpips": 0.30001} for row in rows]
    runs = [read_run(make_run("a", rows)), read_run(make_run("b", near))]
    for plot, tick in zip(of_runs(runs, "12"), ("27.0", "0.3000", "1.369")):
        figure = Figure((5.0, 3.2))
        style: Any = figures._BASE
        with mpl.rc_context(style):
            axes = figure.add_subplot()
            plot.draw(axes, "grey")
            figure.draw_without_rendering()
        assert axes.yaxis.get_offset_text().get_text() == ""
        assert tick in [text.get_text() for text in axes.get_yticklabels()]


@pytest.mark.parametrize(("losses", "scale"), [((1.4, 0.5), "linear"), ((1.4, 0.05), "log")])
def test_losses_far_apart_have_a_logarithmic_axis(
    losses: tuple[float, float], scale: str, make_run: MakeRun
) -> None:
    rows = [{**row, "loss/discriminator": d} for row, d in zip(gan_rows(BALANCED), losses)]
    axes = Figure().add_subplot()
    of_run(read_run(make_run("a", rows)))[0].draw(axes, "grey")
    assert axes.get_yscale() == scale


def test_the_plane_shows_each_model_at_its_scores() -> None:
    points = [Point("1", 30, 0.3), Point("2", 28, 0.1)]
    lines = drawn(perception_distortion(points, Point("bicubic", 26, 0.5), "Set5"))
    assert [(30, 0.3)] in lines
    assert [(28, 0.1)] in lines
    assert [(26, 0.5)] in lines


def drawn(plot: Plot) -> list[list[tuple[float, float]]]:
    """The points of each line of a plot, without the lines that separate stages."""
    axes = Figure().add_subplot()
    plot.draw(axes, "grey")
    data = [np.asarray(line.get_data(), float) for line in axes.lines]
    lines = [[(x, y) for x, y in points.T.tolist()] for points in data]
    return [line for line in lines if len(line) == 1 or line[0][0] != line[1][0]]


def labels(plot: Plot) -> list[str]:
    axes = Figure().add_subplot()
    plot.draw(axes, "grey")
    return list(axes.get_legend_handles_labels()[1])


def test_the_front_is_what_none_beats_in_both() -> None:
    points = [Point(*p) for p in [("a", 30, 0.3), ("b", 28, 0.1), ("c", 27, 0.2), ("d", 30, 0.4)]]
    assert [point.label for point in pareto_front(points)] == ["a", "b"]
    plot = perception_distortion(points, Point("bicubic", 26, 0.5), "Set 5")
    assert plot.name == "perception-distortion-Set-5"
    assert pixels(plot.png()).std() > 5


def test_equal_scores_share_a_front() -> None:
    points = [Point(*p) for p in [("a", 24.16, 0.65), ("b", 24.16, 0.65), ("c", 24.0, 0.66)]]
    assert pareto_ranks(points) == {"a": 1, "b": 1, "c": 2}


def test_labels_of_close_points_do_not_cover_each_other() -> None:
    points = [Point("a", 28.2, 0.2996), Point("b", 28.09, 0.3013), Point("c", 27.97, 0.2927)]
    points = [replace(point, label=f"model {point.label}") for point in points]
    axes = Figure(figsize=(5.0, 3.2)).add_subplot()
    perception_distortion(points, Point("bicubic", 26.0, 0.44), "Set14").draw(axes, "grey")
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 4
    assert all(box.count_overlaps(boxes) == 1 for box in boxes)  # only itself
