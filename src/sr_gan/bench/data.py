"""Crops a second: decoding each time, PNG sub-images, our loader, our device feeder, the floor."""

import json
import logging
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import psutil
import torch
from omegaconf import DictConfig
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from sr_gan.bench.machine import quiet
from sr_gan.bench.make_photos import make_photos, originals
from sr_gan.bench.usual import DecodeEachTime, SubImages
from sr_gan.data import FolderData
from sr_gan.data.cache import Cache
from sr_gan.data.crops import EpochSampler, RandomCrops
from sr_gan.data.feed import DeviceFeed, Resident
from sr_gan.data.photos import Photos
from sr_gan.data.sources import folder_photos
from sr_gan.devices import wait
from sr_gan.errors import UserError
from sr_gan.files import atomic_write
from sr_gan.images.decode import Pixels, decode
from sr_gan.images.find import list_images
from sr_gan.machine import cores
from sr_gan.runs.records import environment
from sr_gan.settings.check import check
from sr_gan.settings.schema import BenchDataConfig

log = logging.getLogger(__name__)

Result = dict[str, Any]
_TILE = (480, 320)  # pixels of the many small photos


def bench_data(cfg: DictConfig) -> None:
    """Measures, prints a table and writes ``cfg.output``.

    Raises:
        UserError: a setting is of no use, or there are no photos.
    """
    check(cfg, BenchDataConfig)
    if cfg.images < cfg.batch_size:  # the usual loader would have no batch to give
        raise UserError(f"images={cfg.images}: must be at least batch_size={cfg.batch_size}")
    if cfg.crop % cfg.scale or cfg.crop > min(cfg.width, cfg.height, *_TILE):
        raise UserError(
            f"crop={cfg.crop}: must be a multiple of scale={cfg.scale} that fits into the photos "
            f"of {cfg.width}x{cfg.height} and {_TILE[0]}x{_TILE[1]}"
        )
    with _scratch(cfg.folder) as scratch, _one_thread(), quiet():
        log.info("making %d PNG files of %dx%d pixels", cfg.images, cfg.width, cfg.height)
        folder = make_photos(originals(cfg.photos), scratch, cfg.images, (cfg.width, cfg.height))
        building, photos = measure_build(folder, cfg.scale, scratch / "cache")
        speeds = measure_speeds(cfg, folder, photos, scratch / "cache")
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:  # with a memory of its own
            memory = pool.submit(measure_memory, cfg, folder, scratch / "cache").result()
        growth = [measure_growth(cfg, scratch, count) for count in cfg.growth]
    result = {
        "environment": environment(),
        "settings": {key: cfg[key] for key in ("images", "width", "height", "crop", "scale")},
        "crops_per_second": speeds,
        "build": building,
        "memory": memory,
        "growth": growth,
    }
    with atomic_write(Path(cfg.output)) as file:
        json.dump(result, file, indent=2)
    log.info("\n%s\n\nwritten to %s", table(result), cfg.output)


def measure_build(folder: Path, scale: int, cache_dir: Path) -> tuple[Result, Photos]:
    """Seconds to build a cache, beside Pillow's decoding of the same files on all cores."""
    files = folder_photos(folder)
    seconds: dict[str, float] = {}
    for name, read in (("decoding_alone", _pillow), ("our_decoding_alone", decode)):
        with ThreadPoolExecutor(cores()) as pool:
            began = perf_counter()
            for _ in pool.map(read, (source.hr for source in files.sources)):
                pass
        seconds[name] = perf_counter() - began
    shutil.rmtree(cache_dir, ignore_errors=True)
    began = perf_counter()
    photos, _ = Cache.of(files, scale, cache_dir).open(files)
    seconds["building"] = perf_counter() - began
    result = {
        "photos": len(photos),
        "megapixels": photos.pixels / 1e6,
        "bytes": photos.nbytes,
        "cores": cores(),
        "seconds": seconds,
        "ratio": seconds["building"] / seconds["decoding_alone"],
    }
    return result, photos


def _pillow(path: Path) -> Pixels:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def measure_speeds(cfg: DictConfig, folder: Path, photos: Photos, cache_dir: Path) -> Result:
    """Crops a second of each way, in one process where it has no workers."""
    crops = RandomCrops(photos, cfg.crop, cfg.scale, crops_per_epoch=1 << 16)

    def usual(data: Dataset[Any]) -> Iterator[Any]:
        return iter(DataLoader(data, cfg.batch_size, shuffle=True, drop_last=True))

    device = _device(cfg.device)
    decoding = DecodeEachTime(list_images(folder), cfg.crop, cfg.scale)
    sub_images = SubImages(photos, cfg.crop, cfg.scale)
    ways: dict[str, Callable[[], Iterator[Any]]] = {
        "decode each time": partial(usual, decoding),
        "PNG sub-images": partial(usual, sub_images),
    }
    for workers in cfg.workers:
        data = _data(cfg, folder, cache_dir, feed="loader", workers=workers)
        ways[f"our loader, {workers} workers"] = partial(_batches, data)
    ways[f"our device feeder, {device}"] = partial(_fed, crops, cfg, device)
    ways[f"the same, before floats, {device}"] = partial(_cut, crops, cfg, device)
    ways["copying the bytes alone"] = partial(_copies, crops, cfg.batch_size)
    speeds = dict.fromkeys(ways, 0.0)
    for number in range(cfg.rounds):  # in turn, and the best of each: other programs disturb
        for name, batches in ways.items():
            speeds[name] = max(speeds[name], speed(batches, cfg.batch_size, cfg.seconds, device))
            log.info("round %d: %-26s %10.1f crops/s", number + 1, name, speeds[name])
    return speeds


def speed(
    batches: Callable[[], Iterator[Any]], batch_size: int, seconds: float, device: torch.device
) -> float:
    """Crops a second over about so many seconds, after a tenth of that to warm up."""
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


def _cut(crops: RandomCrops, cfg: DictConfig, device: torch.device) -> Iterator[Any]:
    """The device feeder's batches, turned, in bytes."""
    resident = Resident(crops.photos, device)
    return iter(DeviceFeed(crops, resident, cfg.batch_size, EpochSampler(len(crops))))


def _fed(crops: RandomCrops, cfg: DictConfig, device: torch.device) -> Iterator[Any]:
    """The same as the networks get them: floats in their ranges."""
    data = FolderData(".", scale=cfg.scale, crop=cfg.crop)
    for batch in _cut(crops, cfg, device):
        yield data.on_after_batch_transfer(data.on_before_batch_transfer(batch, 0), 0)


def _copies(crops: RandomCrops, batch_size: int) -> Iterator[Any]:
    """The floor: the bytes of the same crops, one copy each, neither turned nor converted."""
    side, size = crops.crop // crops.scale, crops.crop
    rows = crops.table(0).tolist()
    for first in range(0, len(rows) - batch_size + 1, batch_size):
        hr = np.empty((batch_size, 3, size, size), np.uint8)
        lr = np.empty((batch_size, 3, side, side), np.uint8)
        for i, (index, top, left, _) in enumerate(rows[first : first + batch_size]):
            photo = crops.photos[index]
            lr[i] = photo.lr[:, top : top + side, left : left + side]
            top, left = top * crops.scale, left * crops.scale
            hr[i] = photo.hr[:, top : top + size, left : left + size]
        yield {"hr": hr, "lr": lr}


def measure_memory(cfg: DictConfig, folder: Path, cache_dir: Path, workers: int = 4) -> Result:
    """Memory of a process and its workers while they cut crops, shared pages counted once."""
    data = _data(cfg, folder, cache_dir, feed="loader", workers=workers)
    warnings.filterwarnings("ignore", ".*worker processes in total.*")  # more than there are cores
    batches = _batches(data)
    for _ in range(50 * workers):
        next(batches)
    own = psutil.Process()
    processes = [own, *own.children(recursive=True)]
    used = sum(process.memory_full_info().pss for process in processes)
    return {"workers": workers, "bytes": used, "beyond_cache": used - data.train_photos.nbytes}


def measure_growth(cfg: DictConfig, scratch: Path, count: int) -> Result:
    """Microseconds a crop from ``count`` small photos, and what opening their cache takes."""
    log.info("making %d photos of %dx%d pixels", count, *_TILE)
    folder = make_photos(originals(cfg.photos), scratch, count, _TILE, level=1)
    seconds = []
    for _ in range(2):  # built, then found
        began = perf_counter()
        data = _data(cfg, folder, scratch / "cache", feed="loader", workers=0)
        seconds.append(perf_counter() - began)
    crops = RandomCrops(data.train_photos, cfg.crop, cfg.scale, crops_per_epoch=1 << 16)
    device = _device(cfg.device)
    loader = speed(lambda: _batches(data), cfg.batch_size, cfg.seconds, device)
    feeder = speed(lambda: _fed(crops, cfg, device), cfg.batch_size, cfg.seconds, device)
    result = {
        "photos": len(data.train_photos),
        "bytes": data.train_photos.nbytes,
        "seconds_to_build": seconds[0],
        "seconds_to_open": seconds[1],
        "loader_us_per_crop": 1e6 / loader,
        "feeder_us_per_crop": 1e6 / feeder,
    }
    log.info("%(photos)6d photos: %(loader_us_per_crop).0f us a crop", result)
    return result


def _data(cfg: DictConfig, folder: Path, cache_dir: Path, **settings: Any) -> FolderData:
    data = FolderData(
        str(folder),
        scale=cfg.scale,
        crop=cfg.crop,
        batch_size=cfg.batch_size,
        crops_per_epoch=1 << 16,
        cache_dir=str(cache_dir),
        valid_fraction=0.01,
        **settings,
    )
    data.setup()
    return data


def _batches(data: FolderData) -> Iterator[Any]:
    return iter(data.train_dataloader())


def _device(name: str) -> torch.device:
    auto = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(auto if name == "auto" else name)


@contextmanager
def _scratch(folder: str | None) -> Iterator[Path]:
    if folder is not None:
        yield Path(folder).expanduser()
        return
    with tempfile.TemporaryDirectory(prefix="sr_gan-bench-") as place:
        yield Path(place)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The figures are for one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def table(result: Result) -> str:
    """The result as Markdown."""
    speeds = result["crops_per_second"]
    usual, floor = speeds["decode each time"], speeds["copying the bytes alone"]
    lines = ["| way | crops/s | x decoding each time | of the floor |", "| --- | --: | --: | --: |"]
    lines += [
        f"| {name} | {value:,.0f} | {value / usual:,.0f} | {value / floor:.0%} |"
        for name, value in speeds.items()
    ]
    build, memory = result["build"], result["memory"]
    seconds = build["seconds"]
    lines += [
        "",
        f"cache of {build['photos']} photos, {build['megapixels']:.0f} megapixels, on "
        f"{build['cores']} cores: {seconds['building']:.1f} s; Pillow's decoding alone "
        f"{seconds['decoding_alone']:.1f} s (x{build['ratio']:.2f}), ours "
        f"{seconds['our_decoding_alone']:.1f} s",
        f"memory with {memory['workers']} workers: {memory['bytes'] / 1e9:.2f} GB, "
        f"{memory['beyond_cache'] / 1e9:.2f} GB beyond the cache",
    ]
    if result["growth"]:
        lines += ["", "| photos | GB | build s | open s | loader us/crop | feeder us/crop |"]
        lines += ["| --: | --: | --: | --: | --: | --: |"]
    lines += [
        f"| {row['photos']:,} | {row['bytes'] / 1e9:.2f} | {row['seconds_to_build']:.1f} | "
        f"{row['seconds_to_open']:.2f} | {row['loader_us_per_crop']:.0f} | "
        f"{row['feeder_us_per_crop']:.0f} |"
        for row in result["growth"]
    ]
    return "\n".join(lines)
