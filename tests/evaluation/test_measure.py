"""An evaluation goes on where it was stopped, and an odd image does not end it."""

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from sr_gan.data.sources import folder_photos
from sr_gan.evaluation.journal import Journal
from sr_gan.evaluation.measure import Benchmark, measure
from sr_gan.evaluation.suite import Suite, suite
from sr_gan.images.resize import upscale
from sr_gan.settings.measures import Measures

CPU = torch.device("cpu")


class Counted:
    """Enlarges, counts the images, and stops the evaluation after some of them."""

    def __init__(self, name: str = "ours", stop_after: int = 1000) -> None:
        self.name, self.stop_after, self.seen = name, stop_after, list[str]()

    def enlarge(self, photo: Path, lr: Tensor, size: Sequence[int]) -> Tensor:
        if len(self.seen) == self.stop_after:
            raise KeyboardInterrupt
        self.seen.append(photo.name)
        return upscale(lr, 4)

    def origin(self, photo: Path) -> str:
        return "1"


@pytest.fixture
def benchmark(tmp_path: Path) -> Benchmark:
    (tmp_path / "hr").mkdir()
    rng = np.random.default_rng(0)
    for i in range(12):
        pixels = rng.integers(0, 256, (40, 44, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "hr" / f"{i:02}.png")
    return reread(tmp_path)


def reread(tmp_path: Path) -> Benchmark:
    return Benchmark(folder_photos(tmp_path / "hr"), 4)


@pytest.fixture
def measures() -> Suite:
    return suite(4, CPU)


def test_a_stopped_evaluation_measures_only_the_rest(
    tmp_path: Path, benchmark: Benchmark, measures: Suite
) -> None:
    path = tmp_path / "out" / "scores.jsonl"
    first, second = Counted(stop_after=5), Counted()
    with pytest.raises(KeyboardInterrupt):
        measure([first], measures, benchmark, Journal(path))
    assert len(path.read_text().split()) > 0
    with path.open("a") as file:
        file.write('{"key": "torn')  # as by a power failure
    found, left_out = measure([second], measures, benchmark, Journal(path))
    assert first.seen == [f"{i:02}.png" for i in range(5)]
    assert second.seen == [f"{i:02}.png" for i in range(5, 12)]
    whole, _ = measure([Counted()], measures, benchmark)
    assert found == whole
    assert not left_out
    third = Counted()
    assert measure([third], measures, benchmark, Journal(path))[0] == whole
    assert not third.seen


def test_what_is_kept_is_forgotten_when_it_is_in_tables(
    tmp_path: Path, benchmark: Benchmark, measures: Suite
) -> None:
    path = tmp_path / "scores.jsonl"
    with pytest.raises(KeyboardInterrupt):
        measure([Counted(stop_after=5)], measures, benchmark, Journal(path))
    measure([Counted("other")], measures, benchmark, other := Journal(path))
    other.forget()
    again = Counted()
    measure([again], measures, benchmark, journal := Journal(path))
    assert len(again.seen) == 7  # the other one has not taken along what was kept
    journal.forget()
    assert not path.exists()


def test_what_has_changed_is_measured_again(
    tmp_path: Path, benchmark: Benchmark, measures: Suite
) -> None:
    journal = Journal(tmp_path / "scores.jsonl")
    measure([Counted()], measures, benchmark, journal)
    Image.new("RGB", (64, 64), "red").save(tmp_path / "hr" / "03.png")
    changed = Counted()
    measure([changed], measures, reread(tmp_path), journal)
    assert changed.seen == ["03.png"]
    for other in (
        suite(4, CPU, Measures(border=2)),
        suite(4, CPU, Measures(convention="pytorch")),
        suite(4, CPU, Measures(niqe="fitted")),
    ):
        another = Counted()
        measure([another], other, benchmark, journal)
        assert len(another.seen) == 12
    degraded = Counted()
    measure([degraded], measures, Benchmark(benchmark.photos, 4, "jpeg50"), journal)
    assert len(degraded.seen) == 12
    both = [Counted("a"), Counted()]
    measure(both, measures, reread(tmp_path), journal)
    assert [len(each.seen) for each in both] == [12, 0]


def test_images_that_are_too_small_or_damaged_do_not_end_it(
    tmp_path: Path, benchmark: Benchmark
) -> None:
    Image.new("RGB", (16, 16), "red").save(tmp_path / "hr" / "small.png")
    Image.new("RGB", (7, 3)).save(tmp_path / "hr" / "tiny.png")
    (tmp_path / "hr" / "bad.png").write_text("no image")
    found, left_out = measure([Counted()], suite(4, CPU, Measures(niqe="fitted")), reread(tmp_path))
    assert [line.partition(": ")[2] for line in left_out] == [
        "not an image, or damaged at its beginning",
        "it has fewer pixels than the scale factor 4",
    ]
    images = found.models["ours"]
    assert len(images) == 13
    assert images["small.png"]["psnr_y"] is not None
    assert images["small.png"]["ssim_y"] is None  # 8 pixels are left inside the border
    assert images["small.png"]["niqe"] is None
    assert images["00.png"]["ssim_y"] is not None
    small = "PSNR-Y, SSIM-Y, PSNR-RGB, SSIM-RGB, LR-PSNR, grid of small.png"
    gaps = f"{small}; grain, NIQE of 00.png, 01.png"
    assert gaps in found.notes[1]  # red is enlarged without an error: its PSNR is infinite
    assert isfinite(found.means()["ours"]["psnr_y"] or 0)
    assert not found.known


def test_crops_of_a_stopped_evaluation_are_kept(
    tmp_path: Path, benchmark: Benchmark, measures: Suite
) -> None:
    journal = tmp_path / "scores.jsonl"
    with pytest.raises(KeyboardInterrupt):
        measure([Counted(stop_after=5)], measures, benchmark, Journal(journal), crops=True)
    rest = Counted()
    found, _ = measure([rest], measures, benchmark, Journal(journal), crops=True)
    assert rest.seen == [f"{i:02}.png" for i in range(5, 12)]
    assert found == measure([Counted()], measures, benchmark, crops=True)[0]
    assert list(found.crops) == [f"{i:02}.png" for i in range(12)]
    assert not measure([Counted()], measures, benchmark)[0].crops


def test_what_was_scored_without_crops_is_enlarged_again_for_them(
    tmp_path: Path, benchmark: Benchmark
) -> None:
    scored = list[int]()

    def score(sr: Tensor, hr: Tensor, lr: Tensor) -> float:
        scored.append(1)
        return 1.0

    measures = Suite({"psnr_y": score}, 4, Measures())
    journal = Journal(tmp_path / "scores.jsonl")
    measure([Counted("a")], measures, benchmark, journal)
    both = [Counted("a"), Counted("b")]
    found, _ = measure(both, measures, benchmark, journal, crops=True)
    assert [len(each.seen) for each in both] == [12, 12]
    assert len(scored) == 24  # each image of each model once
    assert list(found.crops["00.png"].results) == ["a", "b"]
