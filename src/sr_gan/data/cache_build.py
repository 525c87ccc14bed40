"""Decodes and reduces photographs on all cores and appends them to the cache's files."""

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from zlib import crc32

import torch
from tqdm import tqdm

from sr_gan.data.photos import HR_FILE, LR_FILE, Entry
from sr_gan.data.sources import Source
from sr_gan.files import bar_interval
from sr_gan.images.decode import BadImage, Pixels, decode, own_size_limit
from sr_gan.images.resize import downscale
from sr_gan.machine import cores

Result = Entry | BadImage

_SETTLE = 1 << 27  # bytes between two calls of fsync


def build(
    folder: Path,
    scale: int,
    sources: Mapping[str, Source],
    max_megapixels: float,
    start: Sequence[int],
    pixels: int,
    done: Callable[[str, Result], None],
) -> None:
    """Decodes every source, appends its pixels to the files in ``folder`` and calls ``done``.

    Args:
        folder: the cache's folder.
        scale: the scale factor between HR and LR.
        sources: the photos by name.
        max_megapixels: larger photos are refused.
        start: the offsets in the HR and the LR file at which writing starts.
        pixels: the expected number of HR pixels, for which space is reserved.
        done: called in the order of ``sources`` with a name, and the entry or why there is none.

    Raises:
        OSError: the disk is full, or the files cannot be written.
    """
    # Every core decodes its own photo, so PyTorch gets one thread in each worker.
    threads = torch.get_num_threads()
    pool = ThreadPoolExecutor(cores(), initializer=torch.set_num_threads, initargs=(1,))
    with (
        _File(folder / HR_FILE, start[0], 3 * pixels) as hr_file,
        _File(folder / LR_FILE, start[1], 3 * pixels // scale**2) as lr_file,
        own_size_limit(),
    ):

        def add(name: str) -> Result:
            try:
                source = sources[name]
                stamp = fingerprint(source)  # before decoding, so that a change in between shows
                hr, lr = read_pair(source, scale, max_megapixels)
            except BadImage as error:
                return error
            _, height, width = lr.shape
            offsets = hr_file.append(hr), lr_file.append(lr)
            return Entry(name, stamp, height, width, *offsets, checksum(hr, lr))

        try:
            results = tqdm(
                pool.map(add, sources),
                "caching photos",
                len(sources),
                unit="photo",
                disable=len(sources) < 20,
                mininterval=bar_interval(),
            )
            for name, result in zip(sources, results):
                done(name, result)
                hr_file.settle()  # the workers decode meanwhile
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(threads)


def read_pair(source: Source, scale: int, max_megapixels: float) -> tuple[Pixels, Pixels]:
    """Returns HR (3, H, W), cropped at the right and bottom to a multiple of ``scale``, and LR.

    Raises:
        BadImage: one of the files cannot be used, or their sizes do not match.
    """
    hr = decode(source.hr, max_megapixels)
    height, width = (side // scale for side in hr.shape[1:])
    if not height or not width:
        raise BadImage(f"{hr.shape[2]}x{hr.shape[1]} pixels, smaller than the scale {scale}")
    whole = torch.from_numpy(hr)[:, : height * scale, : width * scale].contiguous()
    if source.lr is None:
        return whole.numpy(), downscale(whole[None], scale)[0].numpy()
    try:
        lr = decode(source.lr, max_megapixels)
    except BadImage as error:
        raise BadImage(f"its reduced image {source.lr}: {error}", error.lasting) from error
    # MATLAB rounds the size of a reduction up, so LR may have one more row or column.
    if lr.shape[1] - height not in (0, 1) or lr.shape[2] - width not in (0, 1):
        raise BadImage(
            f"its reduced image {source.lr} has {lr.shape[2]}x{lr.shape[1]} pixels, "
            f"a x{scale} reduction has {width}x{height}"
        )
    return whole.numpy(), torch.from_numpy(lr)[:, :height, :width].contiguous().numpy()


def fingerprint(source: Source) -> tuple[int, ...]:
    """Returns the sizes in bytes and modification times of a photo's files; zeros if missing."""
    stamp: list[int] = []
    for path in (source.hr, source.lr):
        try:
            status = path.stat() if path is not None else None
        except OSError:
            status = None
        stamp += [status.st_size, status.st_mtime_ns] if status else [0, 0]
    return tuple(stamp)


def checksum(hr: Pixels, lr: Pixels) -> int:
    """Returns the CRC-32 of a photo's HR bytes followed by its LR bytes."""
    return crc32(lr.reshape(-1).data, crc32(hr.reshape(-1).data))


class _File:
    """A file that several threads append to. Reserving its space makes that twice as fast."""

    def __init__(self, path: Path, start: int, expected: int) -> None:
        self.path, self.expected, self.lock = path, expected, Lock()
        self.end = self.settled = start

    def __enter__(self) -> "_File":
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o666)
        if self.expected and hasattr(os, "posix_fallocate"):
            with suppress(OSError):  # some file systems cannot; writing reports a full disk
                os.posix_fallocate(self.descriptor, self.end, self.expected)
        return self

    def __exit__(self, *error: object) -> None:
        try:
            os.truncate(self.descriptor, self.end)  # frees what bad photos left unused
            os.fsync(self.descriptor)  # the index must not list pixels that are not on the disk
        finally:
            os.close(self.descriptor)

    def settle(self) -> None:
        """Flushes to the disk every 128 MB, so that not everything is left for the end."""
        if self.end - self.settled > _SETTLE:
            self.settled = self.end
            os.fsync(self.descriptor)

    def append(self, pixels: Pixels) -> int:
        """Writes the bytes at the end of the file and returns their offset."""
        with self.lock:  # only the offset is taken under the lock: threads write side by side
            offset = self.end
            self.end += pixels.nbytes
        written, data = 0, pixels.reshape(-1).data
        while written < len(data):  # one call writes 2 GB at most
            written += os.pwrite(self.descriptor, data[written:], offset + written)
        return offset
