import io

import numpy as np
from PIL import Image

from sr_gan.reports.crop_strip import crop_strip
from sr_gan.runs.history import read_run
from tests.made_runs import MakeRun, grid


def test_the_crops_stand_side_by_side(make_run: MakeRun) -> None:
    """HR 255 and bicubic 50 come first, then each run, whose grey level is its last epoch."""
    runs = [read_run(make_run(str(i), grids=(1, i))) for i in range(1, 6)]
    picture = crop_strip(runs, [f"number {i}" for i in range(1, 6)])
    assert picture is not None
    pixels = np.asarray(Image.open(io.BytesIO(picture.png)).convert("L"))
    rows = [row for row in np.split(pixels, np.flatnonzero(pixels[:, 29:52].min(1) == 255)) if 1]
    middles = [row[12] for row in rows if len(row) > 20]
    columns = range(12, 6 * 28, 28)
    assert [[int(middle[x]) for x in columns] for middle in middles] == [
        [255, 50, 101, 102, 103, 104],
        [255, 50, 105, 255, 255, 255],
    ]


def test_what_cannot_be_compared_is_left_out(make_run: MakeRun) -> None:
    with_one = [read_run(make_run("a", grids=(1,))), read_run(make_run("b"))]
    assert crop_strip(with_one, ["a", "b"]) is None
    other = read_run(make_run("c", grids=(1,)))
    Image.eval(grid(1), lambda value: 255 - value).save(other.samples("gan")[1])
    assert crop_strip([with_one[0], other], ["a", "c"]) is None
