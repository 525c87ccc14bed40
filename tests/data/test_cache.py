import errno
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from filelock import FileLock
from safetensors.numpy import load_file

from sr_gan.data import cache, cache_file, photos
from sr_gan.data.cache import Cache
from sr_gan.data.photos import Photos
from sr_gan.data.sources import Collection, Source, folder_photos
from sr_gan.errors import UserError
from sr_gan.files import default_cache_dir
from sr_gan.images.decode import Pixels, decode
from sr_gan.images.resize import downscale
from sr_gan.machine import cores
from tests.conftest import leave_part, random_photo
from tests.images.made_files import claim, save

Decoded = list[str]
NAMES = ["a.png", "b.png", "c.png", "more/d.png"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for i, name in enumerate(NAMES):
        save(tmp_path / "photos" / name, random_photo(43 + 4 * i, 50, seed=i))
    return tmp_path / "photos"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    """The names of the files that are decoded from now on."""
    names: Decoded = []

    def watched(path: Path, *args: float) -> Pixels:
        names.append(path.name)
        return decode(path, *args)

    monkeypatch.setattr(cache_file, "decode", watched)
    return names


def open_cache(folder: Path, verify: bool = False, scale: int = 4) -> Photos:
    files = folder_photos(folder)
    photos, problems = Cache.of(files, scale, folder.parent / "cache").open(files, verify)
    assert not problems
    return photos


def check(photos: Photos, folder: Path, names: Sequence[str] = NAMES) -> None:
    """Compares every photo with its file."""
    assert [entry.name for entry in photos.entries] == names
    for photo, entry in zip(photos, photos.entries):
        whole = decode(folder / entry.name)
        height, width = (side // photos.scale * photos.scale for side in whole.shape[1:])
        assert np.array_equal(photo.hr, whole[:, :height, :width])
        reduced = downscale(torch.from_numpy(whole[None, :, :height, :width].copy()), photos.scale)
        assert np.array_equal(photo.lr, reduced[0].numpy())


def files_of(photos: Photos) -> set[Path]:
    """The files in the folder of a cache, which has a lock, too."""
    return set(photos.folder.iterdir()) - {photos.folder / "lock"}


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_holds_each_photo_and_its_reduction(folder: Path, scale: int) -> None:
    photos = open_cache(folder, scale=scale)
    check(photos, folder)
    assert photos.nbytes == sum(photo.hr.nbytes + photo.lr.nbytes for photo in photos)
    assert not photos[0].hr.flags.writeable
    for photo, entry in zip(photos, photos.entries):  # what the package safetensors reads
        tensors = load_file(entry.file)
        assert np.array_equal(tensors["hr"], photo.hr)
        assert np.array_equal(tensors["lr"], photo.lr)


def test_maps_any_number_of_photos(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process may have 65,530 mappings and as few as 256 open files."""
    most = photos.mapped.cache_info().maxsize
    assert most is not None
    assert most < 65_530 / 2
    monkeypatch.setattr(photos, "mapped", lru_cache(2)(photos.mapped.__wrapped__))
    monkeypatch.setattr(cache, "mapped", photos.mapped)
    files = psutil.Process().num_fds()
    opened = open_cache(folder, verify=True)
    for _ in range(2):
        check(opened, folder)
    assert psutil.Process().num_fds() == files
    assert Path("/proc/self/maps").read_text().count(str(opened.folder)) == 2
    check(pickle.loads(pickle.dumps(opened)), folder)


def test_decodes_once(folder: Path, decoded: Decoded) -> None:
    open_cache(folder)
    assert sorted(decoded) == ["a.png", "b.png", "c.png", "d.png"]
    check(open_cache(folder), folder)
    check(open_cache(folder, verify=True), folder)
    assert len(decoded) == 4


def test_part_of_a_collection_needs_no_second_cache(folder: Path, decoded: Decoded) -> None:
    for names in (["a.png"], ["b.png", "a.png"], ["c.png"], ["a.png"]):
        files = Collection(folder, [Source(folder / name) for name in names])
        photos, _ = Cache.of(files, 4, folder.parent / "cache").open(files)
        assert [entry.name for entry in photos.entries] == names
    assert decoded == ["a.png", "b.png", "c.png"]


def test_notices_changed_added_and_removed_photos(folder: Path, decoded: Decoded) -> None:
    before = open_cache(folder)
    first = decode(folder / "a.png")[:, :40, :48]
    decoded.clear()
    save(folder / "a.png", random_photo(60, 60, seed=9))
    save(folder / "e.png", random_photo(40, 40, seed=8))
    (folder / "b.png").unlink()
    photos = open_cache(folder)
    check(photos, folder, ["a.png", "c.png", "e.png", "more/d.png"])
    assert sorted(decoded) == ["a.png", "e.png"]
    assert files_of(photos) == {entry.file for entry in photos.entries}
    assert np.array_equal(before[0].hr, first)  # whoever has it open keeps the old pixels


def test_deletes_changed_photos_that_are_not_asked_for(folder: Path) -> None:
    before = open_cache(folder)
    save(folder / "b.png", random_photo(40, 40, seed=8))
    save(folder / "e.png", random_photo(40, 40, seed=9))
    files = Collection(folder, [Source(folder / "e.png")])
    after, _ = Cache.of(files, 4, folder.parent / "cache").open(files)
    a, _, c, d, e = (entry.file for entry in before.entries + after.entries)
    assert files_of(after) == {a, c, d, e}


def test_a_photo_that_changes_while_it_is_read_is_reported(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changing(path: Path, *args: float) -> Pixels:
        if path.name == "b.png":
            os.utime(path, ns=(0, 0))
        return decode(path, *args)

    files = folder_photos(folder)
    with monkeypatch.context() as patch:
        patch.setattr(cache_file, "decode", changing)
        _, problems = Cache.of(files, 4, folder.parent / "cache").open(files)
    assert problems == {folder / "b.png": "changed while it was read"}
    check(open_cache(folder), folder)


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut off": lambda data: data[:-1],
    "header only": lambda data: data[:300],
    "too long": lambda data: data + b"x",
    "empty": lambda data: b"",
    "zeros": lambda data: bytes(len(data)),
    "no JSON": lambda data: data[:8] + b"x" + data[9:],
    "no UTF-8": lambda data: data[:20] + b"\xff" + data[21:],
    "a list": lambda data: (2).to_bytes(8, "little") + b"[]",
    "not ours": lambda data: (2).to_bytes(8, "little") + b"{}",
    "a long header": lambda data: b"\xff" * 8 + data[8:],
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_file_is_found_and_decoded_again(
    folder: Path, decoded: Decoded, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = open_cache(folder).entries[1].file
    file.write_bytes(DAMAGE[how](file.read_bytes()))
    decoded.clear()
    with caplog.at_level(logging.WARNING):
        check(open_cache(folder), folder)
    assert decoded == ["b.png"]
    assert "is damaged: decoding 1 photo again" in caplog.text


def test_verify_finds_every_flipped_bit(folder: Path) -> None:
    entry = open_cache(folder).entries[0]
    data = entry.file.read_bytes()
    in_pixels = [entry.offset, entry.offset + 5000, len(data) - 300, len(data) - 1]
    for where in [*range(0, entry.offset, 3), *in_pixels]:
        flipped = bytearray(data)
        flipped[where] ^= 1 << where % 8
        entry.file.write_bytes(flipped)
        check(open_cache(folder, verify=True), folder)
        assert where < entry.offset or entry.file.read_bytes() == data


BUILD = """
import sys, time
from pathlib import Path
from sr_gan.data import cache_file
from sr_gan.data.cache import Cache
from sr_gan.data.sources import folder_photos
decode = cache_file.decode
def slow(path, *args):
    time.sleep(float(sys.argv[2]))
    print("decoded", path.name, flush=True)
    return decode(path, *args)
cache_file.decode = slow
files = folder_photos(Path(sys.argv[1]))
Cache.of(files, 4, Path(sys.argv[1]).parent / "cache").open(files)
print("opened", flush=True)
"""


def start(folder: Path, pause: float) -> "subprocess.Popen[str]":
    line = [sys.executable, "-c", BUILD, str(folder), str(pause)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, text=True)


def test_two_processes_build_once(folder: Path) -> None:
    pair = [start(folder, 0.3) for _ in range(2)]
    output = "".join(process.communicate(timeout=120)[0] for process in pair)
    assert output.count("opened") == 2
    assert output.count("decoded") == 4
    check(open_cache(folder), folder)


def test_a_killed_build_goes_on(folder: Path, decoded: Decoded) -> None:
    process = start(folder, 0.5)
    assert process.stdout is not None
    for _ in range(1 + cores()):  # by then the first one is written
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    (place,) = (folder.parent / "cache").iterdir()
    leave_part(place / "x.safetensors")  # of a photo that was in progress
    photos = open_cache(folder)
    check(photos, folder)
    assert len(decoded) < 4
    assert files_of(photos) == {entry.file for entry in photos.entries}


def test_another_process_waits_and_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    process = start(folder, 0.6)
    while not list((folder.parent / "cache").glob("*/lock")):
        time.sleep(0.01)
    with caplog.at_level(logging.INFO):
        check(open_cache(folder), folder)
    process.communicate(timeout=60)
    assert "another process prepares" in caplog.text


def test_remembers_what_is_wrong_with_a_file(folder: Path, decoded: Decoded) -> None:
    (folder / "bad.png").write_text("no image")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    files = folder_photos(folder)
    cache = Cache.of(files, 4, folder.parent / "cache")
    expected = {
        folder / "bad.png": "not an image, or damaged at its beginning",
        folder / "gone.png": "a broken link",
    }
    for verify in (False, False, True):
        photos, problems = cache.open(files, verify)
        assert problems == expected
        assert len(photos) == 4
    assert decoded.count("bad.png") == 1
    assert decoded.count("gone.png") == 3  # it may come back
    save(folder / "bad.png", random_photo(16, 16))
    save(folder / "nowhere.png", random_photo(24, 16))
    photos, problems = cache.open(folder_photos(folder))
    assert (len(photos), problems) == (7, {})


def test_a_higher_limit_of_megapixels_is_followed(folder: Path) -> None:
    files = folder_photos(folder)
    low = Cache.of(files, 4, folder.parent / "cache", max_megapixels=0.0025)
    photos, problems = low.open(files)
    assert "more than data.max_megapixels=0.0025" in problems[folder / "more" / "d.png"]
    assert len(photos) == 2
    check(open_cache(folder), folder)


def test_pairs_are_checked_and_cut(tmp_path: Path) -> None:
    (tmp_path / "hr").mkdir()
    for name, height, width in [("fits", 40, 48), ("cut", 43, 50), ("wrong", 40, 48)]:
        save(tmp_path / "hr" / f"{name}.png", random_photo(height, width))
    (tmp_path / "lr").mkdir()
    lr = random_photo(10, 12, seed=1)
    save(tmp_path / "lr" / "fits.png", lr)
    save(tmp_path / "lr" / "cutx4.png", random_photo(11, 13, seed=2))  # MATLAB rounds sizes up
    save(tmp_path / "lr" / "wrong.png", random_photo(10, 10))
    save(tmp_path / "hr" / "alone.png", random_photo(40, 40))
    files = folder_photos(tmp_path / "hr", tmp_path / "lr")
    photos, problems = Cache.of(files, 4, tmp_path / "cache").open(files)
    assert [photo.name for photo in photos] == ["cut.png", "fits.png"]
    assert np.array_equal(photos[1].lr, lr.transpose(2, 0, 1))
    assert photos[0].lr.shape == (3, 10, 12)
    reasons = {path.name: reason for path, reason in problems.items()}
    assert "wrong.png has 10x10 pixels, a x4 reduction has 12x10" in reasons["wrong.png"]
    assert "alonex4.png: no such file" in reasons["alone.png"]


def test_a_full_disk_is_told_before_and_during(
    folder: Path, monkeypatch: pytest.MonkeyPatch, decoded: Decoded
) -> None:
    with monkeypatch.context() as patch:
        usage = shutil.disk_usage(folder)._replace(free=1000)
        patch.setattr(shutil, "disk_usage", lambda path: usage)
        largest = "more/d.png 0.0 MB, c.png 0.0 MB, b.png 0.0 MB"
        message = rf"need 0.0 MB, most of all {largest}, and 0.0 MB are free in .*data.cache_dir"
        with pytest.raises(UserError, match=message):
            open_cache(folder)
    assert decoded == []

    def full(descriptor: int) -> None:
        if "c.png" in decoded:
            raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(cache, "cores", lambda: 1)
        patch.setattr(os, "fsync", full)
        with pytest.raises(UserError, match=r"No space left on device; what is done is kept"):
            open_cache(folder)
    decoded.clear()
    check(open_cache(folder), folder)
    assert sorted(decoded) == ["c.png", "d.png"]


def test_a_header_that_lies_needs_no_space(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported like every other file that cannot be used, whether the limit allows it."""
    usage = shutil.disk_usage(folder)._replace(free=2_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    (folder / "lies.png").write_bytes(claim(2**20, 2**20))
    for number in range(10):
        (folder / f"claims{number}.png").write_bytes(claim(13_300, 13_300))
    files = folder_photos(folder)
    photos, problems = Cache.of(files, 4, folder.parent / "cache").open(files)
    assert [entry.name for entry in photos.entries] == NAMES
    assert "more than data.max_megapixels" in problems[folder / "lies.png"]
    assert len(problems) == 11


def test_a_read_only_cache_can_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = open_cache(folder)
    before = {path: path.stat().st_ctime_ns for path in photos.folder.iterdir()}

    def refuse(self: object, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    check(open_cache(folder, verify=True), folder)
    assert before == {path: path.stat().st_ctime_ns for path in photos.folder.iterdir()}
    save(folder / "e.png", random_photo(16, 16))
    with pytest.raises(
        UserError, match=r"cannot be written \(.*\): choose another .*data.cache_dir"
    ):
        open_cache(folder)


def test_a_place_that_is_a_file_is_named(folder: Path) -> None:
    (folder.parent / "cache").touch()
    with pytest.raises(
        UserError,
        match=r"cache folder .*/cache/photos-x4-\w+ cannot be written \((Not a dir|.*exis)",
    ):
        open_cache(folder)


def test_the_place_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SR_GAN_CACHE", "/fast")
    assert default_cache_dir() == Path("/fast")
    monkeypatch.delenv("SR_GAN_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert default_cache_dir() == Path("/xdg/sr_gan")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_dir() == Path.home() / ".cache" / "sr_gan"
