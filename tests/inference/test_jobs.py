from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep
from typing import Any, cast

import pytest
from PIL import Image

from sr_gan.inference.jobs import run
from sr_gan.inference.plan import Job
from sr_gan.settings.options import Size
from sr_gan.signals import Interrupted


def test_an_interrupted_file_ends_after_a_tile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next band is in progress in a thread, and need not be finished."""
    Image.new("RGB", (4, 4)).save(tmp_path / "a.jpg")
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
    job = Job(tmp_path / "a.jpg", tmp_path / "out" / "a.jpg")
    with pytest.raises(Interrupted):
        run([job], cast(Any, Enlarging()), Size(), 95, 100)
    assert len(tiles) < 100
    assert not list((tmp_path / "out").iterdir())
