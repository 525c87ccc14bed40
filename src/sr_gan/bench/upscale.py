"""Measures the ways to enlarge a photograph: megapixels per second, memory and exactness."""

import logging
from collections.abc import Callable, Iterable, Iterator
from time import perf_counter
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image

from sr_gan.bench.machine import in_own_process, peak_memory
from sr_gan.bench.result import Result
from sr_gan.devices import wait
from sr_gan.errors import UserError
from sr_gan.images.bundled import PHOTOS, bundled
from sr_gan.images.decode import decode
from sr_gan.inference.pretrained import Pretrained, load_pretrained
from sr_gan.inference.upscaler import Upscaler
from sr_gan.machine import cpu_computes_bf16, installed
from sr_gan.networks import SRResNet
from sr_gan.settings.options import Options
from sr_gan.tables import Table

log = logging.getLogger(__name__)

Pixels = NDArray[np.uint8]
Settings = dict[str, Any]
Measured = tuple[str, Result, Pixels]  # a way, its numbers, and the photograph that it enlarged


def measure(settings: Settings) -> Result:
    """Measures every way that works here in its own process, by ``BenchUpscaleConfig``'s settings.

    Raises:
        UserError: the model or the device is not usable.
    """
    log.info("model   %s", model(settings).describe())
    return {"settings": settings, "ways": compared(measured(settings))}


def measured(settings: Settings) -> Iterator[Measured]:
    """The ways, of which the first is fp32."""
    for options in ways(settings):
        try:
            yield in_own_process(measure_way, options, settings)
        except UserError as error:
            if options["precision"] != "int8":  # which is refused where it loses too much
                raise
            log.info("int8: %s", error)


def ways(settings: Settings) -> list[dict[str, str]]:
    """The options of each way."""
    device = settings["device"]
    cuda = torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
    half = ["fp16"] if cuda else ["bf16"] * cpu_computes_bf16()
    found = [{"precision": precision} for precision in ("fp32", *half)]
    if not cuda and installed("openvino"):
        trained = settings["model"] is not None  # random weights would lose too much in int8
        integers = ["int8"] * (trained and installed("nncf"))
        precisions = ("fp32", *half, *integers)
        found += [{"backend": "openvino", "precision": precision} for precision in precisions]
    return found


def measure_way(options: dict[str, str], settings: Settings) -> Measured:
    """Enlarges with some options of the upscaler."""
    upscaler = Upscaler(model(settings), Options(device=settings["device"], **options))  # type: ignore[arg-type]
    name = " ".join(f"{key}={value}" for key, value in options.items())
    return timed(name, upscaler, upscaler.device, settings)


def model(settings: Settings) -> Pretrained:
    """The model of the settings, or SRResNet with random weights."""
    if settings["model"] is not None:
        return load_pretrained(settings["model"], allow=settings["allow"])
    torch.manual_seed(0)
    return Pretrained("SRResNet, random weights", SRResNet(end_kernel=3).eval())


def timed(
    name: str, enlarge: Callable[[Pixels], Pixels], device: torch.device, settings: Settings
) -> Measured:
    """Enlarges a photograph once to warm up, and then ``rounds`` times; the best time counts.

    Args:
        name: what to call this way.
        enlarge: the larger image of uint8 (H, W, 3).
        device: where it computes.
        settings: ``width`` and ``height`` of the photograph in pixels, and ``rounds``.
    """
    size = settings["width"], settings["height"]
    photo = Image.fromarray(decode(bundled(PHOTOS[0])).transpose(1, 2, 0))
    image = np.array(photo.resize(size, Image.Resampling.LANCZOS))
    before = psutil.Process().memory_info().rss if device.type == "cpu" else 0
    seconds = []
    for _ in range(settings["rounds"] + 1):
        began = perf_counter()
        large = enlarge(image)
        wait(device)
        seconds.append(perf_counter() - began)
    speed = large.shape[0] * large.shape[1] / 1e6 / min(seconds[1:])
    log.info("%s: %.2f megapixels/s", name, speed)
    memory = peak_memory(device) - before
    return name, {"seconds": seconds, "megapixels_per_second": speed, "memory": memory}, large


def compared(measured: Iterable[Measured]) -> list[Result]:
    """The numbers of each way, and how many of 256 levels its pixels are from the first way's."""
    rows: list[Result] = []
    exact: Pixels | None = None
    for name, numbers, image in measured:
        exact = image if exact is None else exact
        error = np.abs(image.astype(np.int16) - exact)
        rows.append(
            {"name": name, **numbers, "most": int(error.max()), "mean": float(error.mean())}
        )
    return rows


def describe(result: Result) -> str:
    """The result as Markdown."""
    rows, base = result["ways"], result["ways"][0]["megapixels_per_second"]
    header = ["way", "megapixels/s", "x the first", "memory, MB", "levels off: most", "mean"]
    cells = [
        [
            row["name"],
            f"{row['megapixels_per_second']:.2f}",
            f"{row['megapixels_per_second'] / base:.2f}",
            f"{row['memory'] / 1e6:,.0f}",
            str(row["most"]),
            f"{row['mean']:.3f}",
        ]
        for row in rows
    ]
    return Table("", header, cells).markdown()
