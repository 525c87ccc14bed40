"""Enlarging a photograph: megapixels a second and memory of each way, beside the plain forward."""

import json
import logging
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from omegaconf import DictConfig
from PIL import Image

from sr_gan.bench.machine import peak_memory
from sr_gan.bench.make_photos import originals
from sr_gan.devices import wait
from sr_gan.errors import UserError
from sr_gan.files import atomic_write
from sr_gan.inference import Options, Upscaler
from sr_gan.inference.pretrained import Pretrained, load_pretrained
from sr_gan.machine import cpu_computes_bf16
from sr_gan.networks import SRResNet
from sr_gan.runs.records import environment
from sr_gan.settings.check import check
from sr_gan.settings.schema import BenchUpscaleConfig

log = logging.getLogger(__name__)

Result = dict[str, Any]
Pixels = NDArray[np.uint8]
PLAIN = "plain forward"


def bench_upscale(cfg: DictConfig) -> None:
    """Measures every way to enlarge that works here, prints a table and writes ``output``.

    Raises:
        UserError: a setting is of no use.
    """
    settings = check(cfg, BenchUpscaleConfig)
    log.info("model   %s", _model(settings["model"]).describe())
    rows, exact = [], None
    for name, options in ways(settings).items():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:  # own memory
            measured = pool.submit(measure, options, settings)
        if isinstance(measured.exception(), UserError):  # int8, where it loses too much
            log.info("%s: %s", name, measured.exception())
            continue
        numbers, image = measured.result()
        exact = image if exact is None else exact
        rows.append({"name": name, **numbers, **_difference(image, exact)})
        log.info("%s: %.2f megapixels/s", name, numbers["megapixels_per_second"])
    result = {"environment": environment(), "settings": settings, "ways": rows}
    with atomic_write(Path(cfg.output)) as file:
        json.dump(result, file, indent=2)
    log.info("\n%s\n\nwritten to %s", table(result), cfg.output)


def ways(settings: dict[str, Any]) -> dict[str, dict[str, str] | None]:
    """Options of each way by name; the plain forward, which comes first, has none."""
    device = settings["device"]
    cuda = torch.cuda.is_available() if device == "auto" else device.startswith("cuda")
    half = "fp16" if cuda else "bf16"
    found: dict[str, dict[str, str] | None] = {PLAIN: None, "ours, fp32": {"precision": "fp32"}}
    if cuda or cpu_computes_bf16():
        found[f"ours, {half}"] = {"precision": half}
    if not cuda and find_spec("openvino"):
        precisions = ["fp32", "bf16"] if cpu_computes_bf16() else ["fp32"]
        if settings["model"] and find_spec("nncf"):  # random weights lose too much
            precisions.append("int8")
        found |= {f"openvino, {p}": {"backend": "openvino", "precision": p} for p in precisions}
    return found


@torch.inference_mode()
def measure(options: dict[str, str] | None, settings: dict[str, Any]) -> tuple[Result, Pixels]:
    """The best of ``rounds`` enlargements, and what came out."""
    model = _model(settings["model"])
    upscaler = Upscaler(model, Options(device=settings["device"], **(options or {})))  # type: ignore[arg-type]
    plain = model.generator.to(upscaler.device)
    image = photograph(settings["width"], settings["height"])

    def enlarge() -> Pixels:
        if options is not None:
            return upscaler(image)
        lr = torch.from_numpy(image).permute(2, 0, 1)[None].to(upscaler.device) / 255
        sr = (plain(lr) + 1).mul(127.5).round().clamp(0, 255).byte()
        pixels: Pixels = sr[0].permute(1, 2, 0).cpu().numpy()
        return pixels

    before = psutil.Process().memory_info().rss if upscaler.device.type == "cpu" else 0
    seconds = []
    for _ in range(settings["rounds"] + 1):  # the first warms up
        began = perf_counter()
        large = enlarge()
        wait(upscaler.device)
        seconds.append(perf_counter() - began)
    best = min(seconds[1:])
    numbers = {
        "seconds": seconds,
        "megapixels_per_second": large.shape[0] * large.shape[1] / 1e6 / best,
        "memory": peak_memory(upscaler.device) - before,
    }
    return numbers, large


def photograph(width: int, height: int) -> Pixels:
    """uint8 (H, W, 3) of a photograph that comes with scikit-image."""
    with Image.open(originals(None)[0]) as image:
        return np.array(image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS))


def _model(name: str | None) -> Pretrained:
    """One that was trained, or the mission's generator with the weights that it starts with."""
    if name is not None:
        return load_pretrained(name)
    torch.manual_seed(0)
    return Pretrained("SRResNet, random weights", SRResNet(end_kernel=3).eval())


def _difference(image: Pixels, exact: Pixels) -> dict[str, float]:
    """From the plain forward's result, in 8-bit levels."""
    error = np.abs(image.astype(np.int16) - exact)
    return {"most": int(error.max()), "mean": float(error.mean())}


def table(result: Result) -> str:
    """The result as Markdown."""
    lines = [
        "| way | megapixels/s | x plain | memory, MB | levels off: most | mean |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    plain = result["ways"][0]["megapixels_per_second"]
    lines += [
        f"| {row['name']} | {row['megapixels_per_second']:.2f} "
        f"| {row['megapixels_per_second'] / plain:.2f} | {row['memory'] / 1e6:,.0f} "
        f"| {row['most']} | {row['mean']:.3f} |"
        for row in result["ways"]
    ]
    return "\n".join(lines)
