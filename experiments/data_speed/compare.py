"""Compares how fast crops are: the usual ways, ours, and the floor of copying their bytes.

    python -m experiments.data_speed.compare [KEY=VALUE ...]

It is run in the root of the checkout and has the settings of ``python -m sr_gan.bench data``. The
cost of a crop is measured for the numbers of small photographs in ``GROWTH``, a variable of the
environment: "100 1000 10000", which takes 6 GB in the temporary folder; "" leaves it out. All
figures are those of one thread, but for the building of the cache, which takes all cores.
"""

import logging
import os
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from omegaconf import DictConfig
from torch.utils.data import DataLoader, Dataset, RandomSampler

from experiments.data_speed.usual import DecodeEachTime, SubImages, copies, pillow
from sr_gan.bench.data import (
    Settings,
    Ways,
    as_floats,
    device_feed,
    feed_device,
    measure_build,
    measure_memory,
    measure_speeds,
    open_data,
    speed,
    ways,
)
from sr_gan.bench.machine import in_own_process, quiet
from sr_gan.bench.make_photos import make_photos
from sr_gan.bench.result import Result, write_result
from sr_gan.cli import command
from sr_gan.data.crops import RandomCrops
from sr_gan.images.decode import decode
from sr_gan.images.find import list_images
from sr_gan.machine import cores
from sr_gan.settings.check import check
from sr_gan.settings.schema import BenchDataConfig
from sr_gan.tables import Table

log = logging.getLogger(__name__)

GROWTH = os.environ.get("GROWTH", "100 1000 10000")
TILE = (480, 320)  # pixels of a small photograph
USUAL, FLOOR = "decode each time", "copying the bytes alone"


def compare(cfg: DictConfig) -> None:
    """Measures everything, prints tables and writes ``output``.

    Raises:
        UserError: a setting or a photograph is not usable.
    """
    settings = check(cfg, BenchDataConfig)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="sr_gan-bench-") as scratch, quiet():
        folder, cache_dir = Path(scratch) / "photos", Path(scratch) / "cache"
        make_photos(folder, settings["images"], originals=settings["photos"])
        build = compare_build(folder, settings["scale"], cache_dir)
        speeds = measure_speeds(every_way(settings, folder, cache_dir), settings)
        memory = in_own_process(measure_memory, settings, folder, cache_dir)
        growth = [measure_growth(settings, Path(scratch), int(n)) for n in GROWTH.split()]
    result = {
        "settings": settings,
        "crops_per_second": speeds,
        "build": build,
        "memory": memory,
        "growth": growth,
    }
    write_result(result, describe(result), settings["output"])


def compare_build(folder: Path, scale: int, cache_dir: Path) -> Result:
    """The seconds to build the cache, and to decode the same files and do nothing else."""
    seconds = {
        "decoding_alone": _seconds_to_read(folder, pillow),
        "our_decoding_alone": _seconds_to_read(folder, decode),
    }
    build = measure_build(folder, scale, cache_dir)
    seconds["building"] = build["seconds"]
    return {**build, "seconds": seconds, "ratio": build["seconds"] / seconds["decoding_alone"]}


def _seconds_to_read(folder: Path, read: Callable[[Path], Any]) -> float:
    with ThreadPoolExecutor(cores()) as pool:
        began = perf_counter()
        for _ in pool.map(read, list_images(folder)):
            pass
        return perf_counter() - began


def every_way(settings: Settings, folder: Path, cache_dir: Path) -> Ways:
    """The usual ways, ours and the floor, each in one process unless it has workers."""
    crop, scale, batch_size = (settings[key] for key in ("crop", "scale", "batch_size"))
    data, device = open_data(settings, folder, cache_dir), feed_device(settings)
    feed = device_feed(data, device)
    crops = RandomCrops(data.train_photos, crop, scale, data.epoch_length)
    ours = ways(settings, folder, cache_dir)
    return {
        USUAL: _loader(DecodeEachTime(list_images(folder), crop, scale), batch_size),
        "PNG sub-images": _loader(SubImages(data.train_photos, crop, scale), batch_size),
        **{f"our {name}": batches for name, batches in ours.items()},
        f"the same, before floats, {device}": lambda: feed,
        FLOOR: partial(copies, crops, batch_size),
    }


def _loader(data: Dataset[Any], batch_size: int) -> Callable[[], DataLoader[Any]]:
    draws = RandomSampler(data, replacement=True, num_samples=1 << 16)  # type: ignore[arg-type]
    return lambda: DataLoader(data, batch_size, sampler=draws)


def measure_growth(settings: Settings, scratch: Path, count: int) -> Result:
    """Microseconds a crop of ``count`` small photographs, and the seconds to open their cache."""
    folder, seconds = scratch / f"photos-{count}", []
    make_photos(folder, count, TILE, settings["photos"], level=1)
    for _ in range(2):  # the cache is built, and then it is found
        began = perf_counter()
        data = open_data(settings, folder, scratch / "cache")
        seconds.append(perf_counter() - began)
    device = feed_device(settings)
    feed = partial(as_floats, data, device_feed(data, device))
    loader, feeder = (
        1e6 / speed(batches, settings["batch_size"], settings["seconds"], device)
        for batches in (data.train_dataloader, feed)
    )
    log.info("%6d photos: %.0f us a crop", count, loader)
    return {
        "photos": len(data.train_photos),
        "bytes": data.train_photos.nbytes,
        "seconds_to_build": seconds[0],
        "seconds_to_open": seconds[1],
        "loader_us_per_crop": loader,
        "feeder_us_per_crop": feeder,
    }


def describe(result: Result) -> str:
    """The result as Markdown."""
    speeds, build, memory = (result[key] for key in ("crops_per_second", "build", "memory"))
    seconds = build["seconds"]
    header = ["way", "crops/s", "x decoding each time", "of the floor"]
    rows = [
        [name, f"{value:,.0f}", f"{value / speeds[USUAL]:,.0f}", f"{value / speeds[FLOOR]:.0%}"]
        for name, value in speeds.items()
    ]
    lines = [
        Table("", header, rows).markdown(),
        "",
        f"The cache of {build['photos']} photos, {build['megapixels']:.0f} megapixels, was built "
        f"in {seconds['building']:.1f} s on {build['cores']} cores. Decoding alone takes Pillow "
        f"{seconds['decoding_alone']:.1f} s (x{build['ratio']:.2f}) and us "
        f"{seconds['our_decoding_alone']:.1f} s.",
        f"A process with {memory['workers']} workers takes {memory['bytes'] / 1e9:.2f} GB, "
        f"{memory['beyond_cache'] / 1e9:.2f} GB of it beyond the cache.",
    ]
    if result["growth"]:
        header = ["photos", "GB", "build s", "open s", "loader us/crop", "feeder us/crop"]
        rows = [
            [
                f"{row['photos']:,}",
                f"{row['bytes'] / 1e9:.2f}",
                f"{row['seconds_to_build']:.1f}",
                f"{row['seconds_to_open']:.2f}",
                f"{row['loader_us_per_crop']:.0f}",
                f"{row['feeder_us_per_crop']:.0f}",
            ]
            for row in result["growth"]
        ]
        lines += ["", Table("", header, rows).markdown()]
    return "\n".join(lines)


if __name__ == "__main__":
    command(compare, "bench_data")
