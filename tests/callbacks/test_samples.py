import numpy as np
import torch
from PIL import Image

from sr_gan.callbacks import SampleGrid
from sr_gan.images.resize import bicubic, downscale
from sr_gan.runs.grid import draw_grid


def test_a_row_shows_one_place_four_times() -> None:
    hr = torch.randint(0, 256, (1, 3, 120, 160), dtype=torch.uint8)
    lr = downscale(hr, 4)
    enlarged, interpolated, sr, truth = SampleGrid("x", size=64)._row(lr, hr, hr)
    assert torch.equal(truth, hr[0, :, 28:92, 48:112])
    assert torch.equal(sr, truth)
    assert torch.equal(interpolated, bicubic(lr, 4)[0, :, 28:92, 48:112])
    assert torch.equal(enlarged[:, ::4, ::4], lr[0, :, 7:23, 12:28])


def test_the_grid_holds_every_picture_unchanged() -> None:
    rng = np.random.default_rng(0)
    rows = [[rng.integers(0, 256, (h, 20, 3), dtype=np.uint8) for _ in range(4)] for h in (16, 24)]
    grid = np.asarray(draw_grid(rows))
    assert grid.shape == (16 + 16 + 4 + 24, 4 * 20 + 3 * 4, 3)
    assert np.array_equal(grid[16:32, 24:44], rows[0][1])
    assert np.array_equal(grid[36:60, 72:92], rows[1][3])
    assert isinstance(draw_grid(rows), Image.Image)
