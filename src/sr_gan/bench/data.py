"""Measures how fast training gets its crops, how long the cache takes to build, and memory."""

import logging
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import psutil
import torch

from sr_gan.bench.machine import in_own_process, quiet
from sr_gan.bench.make_photos import make_photos
from sr_gan.bench.result import Result
from sr_gan.data import FolderData
from sr_gan.data.cache import Cache
from sr_gan.data.crops import EpochSampler, RandomCrops
from sr_gan.data.feed import DeviceFeed, Resident
from sr_gan.data.sources import folder_photos
from sr_gan.devices import wait
from sr_gan.machine import cores
from sr_gan.tables import Table

log = logging.getLogger(__name__)

Settings = dict[str, Any]
Ways = dict[str, Callable[[], Iterable[Any]]]  # each gives an epoch of batches
_CROPS_PER_EPOCH = 1 << 16


def measure(settings: Settings) -> Result:
    """Measures everything on photographs that it makes, by checked settings of ``BenchDataConfig``.

    Raises:
        UserError: there are no photographs to make them of.
    """
    with tempfile.TemporaryDirectory(prefix="sr_gan-bench-") as scratch, quiet():
        folder, cache_dir = Path(scratch) / "photos", Path(scratch) / "cache"
        make_photos(folder, settings["images"], originals=settings["photos"])
        build = measure_build(folder, settings["scale"], cache_dir)
        speeds = measure_speeds(ways(settings, folder, cache_dir), settings)
        memory = None
        if sys.platform == "linux":  # which counts the pages that processes share once
            memory = in_own_process(measure_memory, settings, folder, cache_dir)
    return {"settings": settings, "crops_per_second": speeds, "build": build, "memory": memory}


def measure_build(folder: Path, scale: int, cache_dir: Path) -> Result:
    """Builds the cache of a folder and measures the seconds that it takes."""
    files = folder_photos(folder)
    began = perf_counter()
    photos, _ = Cache.of(files, scale, cache_dir).open(files)
    return {
        "photos": len(photos),
        "megapixels": photos.pixels / 1e6,
        "bytes": photos.nbytes,
        "cores": cores(),
        "seconds": perf_counter() - began,
    }


def ways(settings: Settings, folder: Path, cache_dir: Path) -> Ways:
    """The loader with each number of workers, and the device feed."""
    found: Ways = {}
    for workers in settings["workers"]:
        data = open_data(settings, folder, cache_dir, workers)
        found[f"loader, {workers} workers"] = data.train_dataloader
    data, device = open_data(settings, folder, cache_dir), feed_device(settings)
    found[f"device feed, {device}"] = partial(as_floats, data, device_feed(data, device))
    return found


def open_data(settings: Settings, folder: Path, cache_dir: Path, workers: int = 0) -> FolderData:
    """The data module of a training on the photographs of a folder."""
    data = FolderData(
        str(folder),
        scale=settings["scale"],
        crop=settings["crop"],
        batch_size=settings["batch_size"],
        crops_per_epoch=_CROPS_PER_EPOCH,
        cache_dir=str(cache_dir),
        valid_fraction=0.01,
        feed="loader",
        workers=workers,
    )
    data.setup()
    return data


def feed_device(settings: Settings) -> torch.device:
    """The device that ``device=auto|cpu|cuda`` means."""
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(auto if settings["device"] == "auto" else settings["device"])


def device_feed(data: FolderData, device: torch.device) -> DeviceFeed:
    """The device feed of a training, with the photographs on the device already."""
    crops = RandomCrops(data.train_photos, data.crop, data.scale, data.epoch_length)
    resident = Resident(data.train_photos, device)
    return DeviceFeed(crops, resident, data.batch_size, EpochSampler(len(crops)))


def as_floats(data: FolderData, feed: DeviceFeed) -> Iterator[Any]:
    """An epoch of the feed's batches, converted as the networks take them."""
    for batch in feed:
        yield data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0)


def measure_speeds(ways: Ways, settings: Settings) -> dict[str, float]:
    """Crops a second of each way: the best of the rounds, as other programs disturb."""
    device, speeds = feed_device(settings), dict.fromkeys(ways, 0.0)
    for number in range(settings["rounds"]):
        for name, batches in ways.items():
            found = speed(batches, settings["batch_size"], settings["seconds"], device)
            speeds[name] = max(speeds[name], found)
            log.info("round %d: %-26s %10.1f crops/s", number + 1, name, found)
    return speeds


def speed(
    batches: Callable[[], Iterable[Any]], batch_size: int, seconds: float, device: torch.device
) -> float:
    """Crops a second over about so many seconds, after a tenth of them to warm up.

    Args:
        batches: gives an epoch of batches, and is called again at its end.
        batch_size: the number of crops in a batch.
        seconds: how long to measure.
        device: the device that the batches are on.
    """
    counted, began, warm = 0, perf_counter(), False
    while True:
        for _ in batches():
            counted += batch_size
            elapsed = perf_counter() - began
            if not warm and elapsed > seconds / 10:
                wait(device)
                counted, began, warm = 0, perf_counter(), True
            elif warm and elapsed > seconds:
                wait(device)
                return counted / (perf_counter() - began)


def measure_memory(settings: Settings, folder: Path, cache_dir: Path, workers: int = 4) -> Result:
    """The bytes that this process and its workers take while they cut crops."""
    warnings.filterwarnings("ignore", ".*worker processes in total.*")  # more than there are cores
    data = open_data(settings, folder, cache_dir, workers)
    batches = iter(data.train_dataloader())
    for _ in range(50 * workers):
        next(batches)
    own = psutil.Process()
    processes = [own, *own.children(recursive=True)]
    used = sum(process.memory_full_info().pss for process in processes)
    return {"workers": workers, "bytes": used, "beyond_cache": used - data.train_photos.nbytes}


def describe(result: Result) -> str:
    """The result as Markdown."""
    build, memory = result["build"], result["memory"]
    rows = [[name, f"{value:,.0f}"] for name, value in result["crops_per_second"].items()]
    text = (
        f"{Table('', ['way', 'crops/s'], rows).markdown()}\n\n"
        f"The cache of {build['photos']} photos, {build['megapixels']:.0f} megapixels, was built "
        f"in {build['seconds']:.1f} s on {build['cores']} cores."
    )
    if memory:
        text += (
            f"\nA process with {memory['workers']} workers takes {memory['bytes'] / 1e9:.2f} GB, "
            f"{memory['beyond_cache'] / 1e9:.2f} GB of it beyond the cache."
        )
    return text
