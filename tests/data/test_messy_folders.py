"""Folders as users have them, made up by hypothesis: nothing crashes, and nothing is lost."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sr_gan.data import FolderData
from sr_gan.data.cache import Cache
from sr_gan.data.sources import folder_photos
from sr_gan.errors import UserError
from sr_gan.images.decode import decode
from sr_gan.images.find import EXTENSIONS
from tests.images.made_files import claim

Maker = Callable[[Path, np.random.Generator], bool]  # returns whether the file is usable

MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")


def picture(mode: str, extension: str) -> Maker:
    def make(path: Path, rng: np.random.Generator) -> bool:
        height, width = (int(side) for side in rng.integers(20, 60, 2))
        array = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        if mode == "I;16":
            image = Image.fromarray(array[..., 0].astype(np.uint16) * 257)
        else:
            image = Image.fromarray(array).convert(mode)
        image.save(path, {"tif": "TIFF"}.get(extension, extension.upper()))
        return True

    return make


def damaged(path: Path, rng: np.random.Generator) -> bool:
    """Cuts a file off, flips bytes, or both; a file that Pillow still reads is usable."""
    picture("RGB", str(rng.choice(["png", "jpeg", "webp", "tiff", "gif", "bmp"])))(path, rng)
    data = bytearray(path.read_bytes())
    for _ in range(int(rng.integers(4))):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    path.write_bytes(data[: int(rng.integers(1, len(data) + 1))])
    try:
        return bool(min(decode(path).shape[1:]) >= 4)
    except Exception:
        return False


def rubbish(path: Path, rng: np.random.Generator) -> bool:
    path.write_bytes(rng.bytes(int(rng.integers(200))))
    return False


def bomb(path: Path, rng: np.random.Generator) -> bool:
    path.write_bytes(claim(int(rng.integers(20_000, 2**31)), 20_000))
    return False


def broken_link(path: Path, rng: np.random.Generator) -> bool:
    path.symlink_to("nowhere")
    return False


def pipe(path: Path, rng: np.random.Generator) -> bool:
    os.mkfifo(path)
    return False


def tiny(path: Path, rng: np.random.Generator) -> bool:
    Image.new("RGB", (int(rng.integers(1, 4)), 30)).save(path, "PNG")
    return False


MAKERS: list[Maker] = [
    *(picture(mode, "png") for mode in MODES if mode != "CMYK"),
    *(picture(mode, "tif") for mode in MODES),
    *(picture(mode, "webp") for mode in ("RGB", "RGBA")),
    *(picture(mode, "jpeg") for mode in ("L", "RGB", "CMYK")),
    *(damaged, damaged, damaged, rubbish, bomb, broken_link, pipe, tiny),
]

NAMES = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), max_size=40),
    st.just("long" * 60),
    st.just("\udcff not Unicode"),
)


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    files=st.lists(
        st.tuples(NAMES, st.sampled_from(EXTENSIONS), st.sampled_from(MAKERS)),
        min_size=1,
        max_size=8,
    ),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_file_is_read_or_reported(files: list[tuple[str, str, Maker]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "photos")
        folder.mkdir()
        expected = {}
        for i, (name, extension, maker) in enumerate(files):
            stem = os.fsencode(f"{i}{name}")[: 250 - len(extension)].decode(errors="ignore")
            path = folder / f"{stem or i}{extension}"
            expected[path] = maker(path, rng)
        listed = folder_photos(folder)
        assert {source.hr for source in listed.sources} == set(expected)
        cache = Cache.of(listed, 4, Path(place, "cache"))
        for _ in range(2):  # built, then found
            photos, problems = cache.open(listed)
            found = {folder / entry.name for entry in photos.entries}
            assert found == {path for path, good in expected.items() if good}
            assert set(problems) == set(expected) - found
            assert all(reason and "\n" not in reason for reason in problems.values())
            assert all(photo.hr.shape[1] == 4 * photo.lr.shape[1] > 0 for photo in photos)


@pytest.mark.parametrize(
    "name", ["写真 фото.png", "a" * 251 + ".png", "new\nline.png", "\udcff.png"]
)
def test_odd_names_go_all_the_way(tmp_path: Path, name: str, photos: Path) -> None:
    for source in photos.glob("*.*"):
        (tmp_path / source.name).write_bytes(source.read_bytes())
    try:
        (tmp_path / name).write_bytes((photos / "more" / "f.PNG").read_bytes())
    except OSError:
        pytest.skip("this file system has no such names")
    data = FolderData(str(tmp_path), str(tmp_path), crop=32, batch_size=2)
    data.setup()
    assert len(data.train_photos) == 4
    data.describe().encode()
    (tmp_path / name).write_text("no image any more")
    again = FolderData(str(tmp_path), crop=32, batch_size=2)
    with pytest.raises(UserError, match="not an image") as error:
        again.setup()
    str(error.value).encode()
