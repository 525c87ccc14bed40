import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock

from sr_gan.data import cache_build as build
from sr_gan.data.cache import Cache
from sr_gan.data.photos import Photos
from sr_gan.data.sources import Collection, Source, folder_photos
from sr_gan.errors import UserError
from sr_gan.files import default_cache_dir
from sr_gan.images.decode import Pixels, decode
from sr_gan.images.resize import downscale
from sr_gan.machine import cores
from tests.conftest import random_photo
from tests.images.test_decode import save

Decoded = list[str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for i, name in enumerate(["a.png", "b.png", "c.png", "more/d.png"]):
        save(tmp_path / "photos" / name, random_photo(43 + 4 * i, 50, seed=i))
    return tmp_path / "photos"


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Decoded:
    """The names of the files that are decoded from now on."""
    names: Decoded = []

    def watched(path: Path, *args: float) -> Pixels:
        names.append(path.name)
        return decode(path, *args)

    monkeypatch.setattr(build, "decode", watched)
    return names


def open_cache(folder: Path, verify: bool = False, scale: int = 4) -> Photos:
    files = folder_photos(folder)
    photos, problems = Cache.of(files, scale, folder.parent / "cache").open(files, verify)
    assert not problems
    return photos


def check(photos: Photos, folder: Path) -> None:
    """Compares every photo with its file."""
    assert [entry.name for entry in photos.entries] == ["a.png", "b.png", "c.png", "more/d.png"]
    for photo, entry in zip(photos, photos.entries):
        whole = decode(folder / entry.name)
        height, width = (side // photos.scale * photos.scale for side in whole.shape[1:])
        assert np.array_equal(photo.hr, whole[:, :height, :width])
        reduced = downscale(torch.from_numpy(whole[None, :, :height, :width].copy()), photos.scale)
        assert np.array_equal(photo.lr, reduced[0].numpy())


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_holds_each_photo_and_its_reduction(folder: Path, scale: int) -> None:
    photos = open_cache(folder, scale=scale)
    check(photos, folder)
    assert photos.nbytes == sum(photo.hr.nbytes + photo.lr.nbytes for photo in photos)
    assert not photos[0].hr.flags.writeable


def test_decodes_once(folder: Path, decoded: Decoded) -> None:
    open_cache(folder)
    assert sorted(decoded) == ["a.png", "b.png", "c.png", "d.png"]
    check(open_cache(folder), folder)
    check(open_cache(folder, verify=True), folder)
    assert len(decoded) == 4


def test_part_of_a_collection_needs_no_second_cache(folder: Path, decoded: Decoded) -> None:
    for names in (["a.png"], ["b.png", "a.png"], ["a.png"]):
        files = Collection(folder, [Source(folder / name) for name in names])
        photos, _ = Cache.of(files, 4, folder.parent / "cache").open(files)
        assert [entry.name for entry in photos.entries] == names
    assert decoded == ["a.png", "b.png"]


def test_notices_changed_added_and_removed_photos(folder: Path, decoded: Decoded) -> None:
    before = open_cache(folder)
    first = before[0].hr.copy()
    decoded.clear()
    save(folder / "a.png", random_photo(60, 60, seed=9))
    save(folder / "e.png", random_photo(40, 40, seed=8))
    (folder / "b.png").unlink()
    photos = open_cache(folder)
    assert [entry.name for entry in photos.entries] == ["a.png", "c.png", "e.png", "more/d.png"]
    assert sorted(decoded) == ["a.png", "e.png"]
    assert photos[0].hr.shape == (3, 60, 60)
    assert np.array_equal(before[0].hr, first)  # whoever has it open keeps the old pixels


def test_the_files_do_not_grow_for_ever(folder: Path) -> None:
    for seed in range(6):
        for name in ("a.png", "b.png", "c.png", "more/d.png"):
            save(folder / name, random_photo(60, 60, seed=seed))
        photos = open_cache(folder)
        size = sum(path.stat().st_size for path in photos.folder.glob("*.bin"))
        assert size <= 2 * photos.nbytes
    check(photos, folder)


@pytest.mark.parametrize("where", [0, 5000, -1])
@pytest.mark.parametrize("name", ["hr.bin", "lr.bin"])
def test_a_flipped_byte_is_found_and_mended(
    folder: Path, decoded: Decoded, name: str, where: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = open_cache(folder).folder / name
    data = bytearray(path.read_bytes())
    data[where % len(data)] ^= 1
    path.write_bytes(data)
    decoded.clear()
    with caplog.at_level(logging.WARNING):
        check(open_cache(folder), folder)
    assert len(decoded) == 1
    assert "is damaged: decoding 1 photos again" in caplog.text
    check(open_cache(folder), folder)
    assert len(decoded) == 1


def test_verify_finds_what_left_no_trace(folder: Path, decoded: Decoded) -> None:
    """A failing disk changes neither a file's size nor its time."""
    path = open_cache(folder).folder / "hr.bin"
    status = path.stat()
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    decoded.clear()
    check(open_cache(folder, verify=True), folder)
    assert len(decoded) == 1


RUBBISH = {
    "cut": b'{"photos": [{"name": "a.png"',
    "list": b"[1]",
    "bytes": b"\xff\xfe",
    "odd": b"{}",
}


@pytest.mark.parametrize("lost", ["hr.bin", "lr.bin", "index.json", "half", "empty", *RUBBISH])
def test_lost_and_cut_off_files_are_made_anew(folder: Path, lost: str) -> None:
    place = open_cache(folder).folder
    if lost == "half":
        os.truncate(place / "hr.bin", (place / "hr.bin").stat().st_size // 2)
    elif lost == "empty":
        os.truncate(place / "lr.bin", 0)
    elif lost in RUBBISH:
        (place / "index.json").write_bytes(RUBBISH[lost])
    else:
        (place / lost).unlink()
    check(open_cache(folder), folder)


def test_an_interrupted_build_goes_on(
    folder: Path, decoded: Decoded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "cores", lambda: 1)
    watched: Callable[..., Pixels] = vars(build)["decode"]

    def stopping(path: Path, *args: float) -> Pixels:
        if path.name == "c.png":
            raise KeyboardInterrupt
        return watched(path, *args)

    monkeypatch.setattr(build, "decode", stopping)
    with pytest.raises(KeyboardInterrupt):
        open_cache(folder)
    (place,) = (folder.parent / "cache").iterdir()
    assert not (place / "index.json").exists()
    with (place / "journal.jsonl").open("a") as journal:
        journal.write('{"name": "c.png", "sta')  # cut off by a kill
    monkeypatch.setattr(build, "decode", watched)
    check(open_cache(folder), folder)
    assert decoded.count("a.png") == decoded.count("b.png") == 1
    assert not (place / "journal.jsonl").exists()


def test_a_journal_is_not_believed_without_its_pixels(folder: Path) -> None:
    """After a power failure the journal may be on the disk while the pixels are not."""
    place = open_cache(folder).folder
    index = json.loads((place / "index.json").read_text())
    (place / "journal.jsonl").write_text("\n".join(json.dumps(p) for p in index["photos"]))
    (place / "index.json").unlink()
    (place / "hr.bin").write_bytes(bytes((place / "hr.bin").stat().st_size))
    check(open_cache(folder), folder)


BUILD = """
import sys, time
from pathlib import Path
from sr_gan.data import cache_build as build
from sr_gan.machine import cores
from sr_gan.data.cache import Cache
from sr_gan.data.sources import folder_photos
decode = build.decode
def slow(path, *args):
    time.sleep(float(sys.argv[2]))
    print("decoded", path.name, flush=True)
    return decode(path, *args)
build.decode = slow
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
    for _ in range(2 + cores()):  # by then the journal has the first ones
        process.stdout.readline()
    process.send_signal(signal.SIGKILL)
    process.wait()
    check(open_cache(folder), folder)
    assert len(decoded) < 4


def test_remembers_what_is_wrong_with_a_file(folder: Path, decoded: Decoded) -> None:
    (folder / "bad.png").write_text("no image")
    (folder / "gone.png").symlink_to(folder / "nowhere.png")
    files = folder_photos(folder)
    cache = Cache.of(files, 4, folder.parent / "cache")
    expected = {folder / "bad.png": "not an image", folder / "gone.png": "a broken link"}
    for _ in range(2):
        photos, problems = cache.open(files)
        assert problems == expected
        assert len(photos) == 4
    assert decoded.count("bad.png") == 1
    save(folder / "bad.png", random_photo(16, 16))
    save(folder / "nowhere.png", random_photo(24, 16))
    files = folder_photos(folder)
    photos, problems = cache.open(files)
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
        with pytest.raises(UserError, match=r"need 0.0 MB and 0.0 MB are free in .*data.cache_dir"):
            open_cache(folder)
    assert decoded == []
    pwrite = os.pwrite

    def full(descriptor: int, data: memoryview, offset: int) -> int:
        if offset > 10_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return pwrite(descriptor, data, offset)

    with monkeypatch.context() as patch:
        patch.setattr(build, "cores", lambda: 1)
        patch.setattr(os, "pwrite", full)
        with pytest.raises(UserError, match=r"No space left on device; what is done is kept"):
            open_cache(folder)
    decoded.clear()
    check(open_cache(folder), folder)
    assert 0 < len(decoded) < 4


def test_a_read_only_cache_can_be_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_cache(folder)

    def refuse(self: object, *args: object, **kwargs: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(FileLock, "acquire", refuse)
    check(open_cache(folder), folder)
    save(folder / "e.png", random_photo(16, 16))
    with pytest.raises(UserError, match=r"cannot be written: choose another with data.cache_dir"):
        open_cache(folder)


def test_a_place_that_is_a_file_is_named(folder: Path) -> None:
    (folder.parent / "cache").touch()
    with pytest.raises(
        UserError, match=r"cache folder .*/cache/photos-x4-\w+: Not a directory|exis"
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


def test_another_process_waits_and_says_so(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    process = start(folder, 0.6)
    time.sleep(0.1)
    place = folder.parent / "cache"
    while not list(place.glob("*/journal.jsonl")):
        time.sleep(0.01)
    with caplog.at_level(logging.INFO):
        check(open_cache(folder), folder)
    process.communicate(timeout=60)
    assert "another process prepares" in caplog.text
