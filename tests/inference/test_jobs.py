import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep
from typing import Any, cast

import pytest
from PIL import Image

from sr_gan.errors import UserError
from sr_gan.inference.jobs import Job, plan, run
from sr_gan.settings.options import Size
from sr_gan.signals import Interrupted


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    (root / "sub").mkdir(parents=True)
    for name in ["a.jpg", "b.gif", "sub/c.PNG", "sub/d.tif", "odd [1].png"]:
        Image.new("RGB", (4, 4)).save(root / name)
    (root / "notes.txt").write_text("no image")
    return root


def targets(inputs: list[str], output: Path, suffix: str | None = None) -> list[str]:
    return sorted(
        job.target.relative_to(output).as_posix() for job in plan(inputs, str(output), suffix)
    )


def test_a_folder_keeps_its_structure_and_kinds(folder: Path, tmp_path: Path) -> None:
    expected = ["a.jpg", "b.png", "odd [1].png", "sub/c.PNG", "sub/d.tif"]
    assert targets([str(folder)], tmp_path / "out") == expected
    as_webp = ["a.webp", "b.webp", "odd [1].webp", "sub/c.webp", "sub/d.webp"]
    assert targets([str(folder)], tmp_path / "out", ".webp") == as_webp


def test_patterns_files_with_odd_names_and_lists(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert targets([f"{folder}/*/[cd]*"], out) == ["c.PNG", "d.tif"]
    assert targets([f"{folder}/**/*"], out) == ["a.jpg", "b.png", "c.PNG", "d.tif", "odd [1].png"]
    assert targets([f"{folder}/odd [1].png"], out) == ["odd [1].png"]
    assert targets([f"{folder}/a.jpg", f"{folder}/sub"], out) == ["a.jpg", "c.PNG", "d.tif"]


def test_a_single_file_goes_where_it_is_told(folder: Path, tmp_path: Path) -> None:
    (job,) = plan([f"{folder}/a.jpg"], str(tmp_path / "large.tif"))
    assert job.target == tmp_path / "large.tif"
    (job,) = plan([f"{folder}/a.jpg"], str(tmp_path / "large"))
    assert job.target == tmp_path / "large" / "a.jpg"


def test_names_that_would_meet_are_told_apart(folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(folder / "a.gif")
    names = targets([str(folder)], tmp_path / "out", ".png")
    assert names[:2] == ["a_gif.png", "a_jpg.png"]
    assert len(set(names)) == 6


def test_results_inside_the_input_are_no_input(folder: Path) -> None:
    out = folder / "large"
    first = plan([str(folder)], str(out))
    for job in first:
        job.target.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (16, 16)).save(job.target)
    assert [job.source for job in plan([str(folder)], str(out))] == [job.source for job in first]


@pytest.mark.parametrize(
    ("entry", "message"),
    [("none.jpg", "does not exist"), ("*.xyz", "matches no image"), ("empty", "holds no images")],
)
def test_inputs_that_name_nothing(folder: Path, tmp_path: Path, entry: str, message: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(UserError, match=message):
        plan([str(folder / entry)], str(tmp_path / "out"))


def test_no_photo_is_replaced_by_its_enlargement(folder: Path) -> None:
    for output in (folder, folder / "a.jpg"):
        with pytest.raises(UserError, match=re.escape(f"output={output} would overwrite")):
            plan([str(folder / "a.jpg")], str(output))


def test_an_interrupted_file_ends_after_a_tile(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next band is in progress in a thread, and need not be finished."""
    tiles: list[int] = []

    class Enlarging:
        scale = 4

        def bands(self, pixels: Any, progress: Callable[[int], None], size: Size) -> Iterator[int]:
            for band in range(2):
                for _ in range(500 * band):
                    tiles.append(band)
                    sleep(0.01)
                    progress(1)
                yield band

    def interrupted(
        file: Any, suffix: str, layout: Any, bands: Iterator[int], quality: int
    ) -> None:
        next(bands)
        while not tiles:
            sleep(0.01)
        raise Interrupted(15)

    monkeypatch.setattr("sr_gan.inference.jobs.write_picture", interrupted)
    job = Job(folder / "a.jpg", tmp_path / "out" / "a.jpg")
    with pytest.raises(Interrupted):
        run([job], cast(Any, Enlarging()), Size(), 95, 100)
    assert len(tiles) < 100
    assert not list((tmp_path / "out").iterdir())
