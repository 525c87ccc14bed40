import pytest
import torch
from torch.nn import functional as F

from sr_gan.networks import SRResNet
from sr_gan.networks.split import split
from sr_gan.networks.tiles import (
    memory_budget,
    smaller,
    spans,
    tile_side,
    tiled,
)


@pytest.mark.parametrize("length", [1, 15, 16, 17, 100])
@pytest.mark.parametrize("size", [1, 7, 16, 200])
def test_spans_cover_a_length_once(length: int, size: int) -> None:
    cut = list(spans(length, size, halo=3))
    assert [i for span in cut for i in range(span.start, span.stop)] == list(range(length))
    widths = [span.stop - span.start for span in cut]
    assert max(widths) <= size
    assert max(widths) - min(widths) <= len(cut)  # no sliver at the end
    for span in cut:
        window = range(length)[span.window]
        assert window.start == max(0, span.start - 3)
        assert window.stop == min(length, span.stop + 3)
        assert [*window][span.core(1)] == [*range(span.start, span.stop)]


@pytest.mark.parametrize("size", [4, 5, 30])
def test_tiled_equals_the_function_on_the_whole(size: int) -> None:
    kernel = torch.rand(3, 3, 5, 5)

    def run(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return F.interpolate(F.conv2d(x, kernel, padding=2) + y, scale_factor=2.0)

    inputs = (torch.rand(2, 3, 13, 17), torch.rand(2, 3, 13, 17))
    torch.testing.assert_close(tiled(run, inputs, size, 2, 2), run(*inputs), atol=1e-5, rtol=0)


def test_a_halo_too_small_shows() -> None:
    kernel = torch.rand(1, 1, 5, 5)
    x = torch.rand(1, 1, 20, 20)
    whole = F.conv2d(x, kernel, padding=2)
    pieces = tiled(lambda x: F.conv2d(x, kernel, padding=2), (x,), 5, 1, 1)
    assert not torch.allclose(pieces, whole, atol=1e-3)


def test_the_tile_and_its_halo_fit_the_budget() -> None:
    side = tile_side(1e6, bytes_per_pixel=25, halo=20)
    assert (side + 40) ** 2 * 25 <= 1e6 < (side + 41) ** 2 * 25
    assert tile_side(1, 25, 20) == 16
    assert smaller(100) == 50
    assert smaller(20) is None
    assert 0 < memory_budget(torch.device("cpu")) <= 400_000_000


def test_tiles_of_a_large_gpu_have_no_tensor_of_more_than_2_31_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sr_gan.networks.tiles.free_memory", lambda device: 140_000_000_000)
    for part in split(SRResNet(scale=8)):
        budget = memory_budget(torch.device("cuda")) / 2  # as an upscaler takes
        side = tile_side(budget, part.bytes(torch.float16), part.halo) + 2 * part.halo
        assert part.floats * side**2 < 2**31
