"""Quantises generators to 8 bits on real photographs, and refuses those that lose quality."""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sr_gan.errors import UserError
from sr_gan.files import default_cache_dir
from sr_gan.images.bundled import PHOTOS, bundled_pixels
from sr_gan.images.resize import downscale
from sr_gan.inference.openvino import Model, convert, load, run_by_openvino
from sr_gan.metrics import psnr_y, to_uint8
from sr_gan.networks.split import enlarge, split

log = logging.getLogger(__name__)

MOST_LOSS = 0.05  # dB PSNR-Y below fp32; on other photographs it can be twice as much
_CROP, _STRIDE = 64, 96  # side and distance of the calibration's crops, in pixels
_SKIP = ("Interpolate", "Multiply", "Add", "Subtract")  # the image skip's operations
_FORMAT = 1


@torch.inference_mode()
def quantised(network: nn.Module, scale: int) -> tuple[Model, Model]:
    """Returns the parts of a prepared generator in 8-bit integers, made once and then cached.

    The first and the last convolution and an image skip stay in floating point. So does the whole
    trunk if the loss is too large otherwise.

    Raises:
        UserError: OpenVINO or NNCF is not installed, or the loss on real photographs is more
            than :data:`MOST_LOSS`.
    """
    openvino, nncf = load(), load("nncf")
    versions = f"{_FORMAT} {openvino.__version__} {nncf.__version__}"
    folder = default_cache_dir() / f"int8-{_key(network, versions)}"
    if not folder.is_dir():
        log.info("int8    calibrating once on %d photographs; this takes minutes", len(PHOTOS))
        _write(folder, *_calibrated(network, scale))
    lost = json.loads((folder / "loss.json").read_text())
    log.info("int8    %.3f dB PSNR-Y below fp32 on %d photographs", lost["psnr_y"], len(PHOTOS))
    core = openvino.Core()
    return core.read_model(folder / "trunk.xml"), core.read_model(folder / "reconstruction.xml")


def _calibrated(network: nn.Module, scale: int) -> tuple[tuple[Model, Model], float]:
    """Returns the models and their loss in dB."""
    photos = [_pair(pixels, scale) for pixels in bundled_pixels()]
    crops = [crop for hr, lr in photos for image in (lr, hr / 255) for crop in _crops(image)]
    models = convert(network)
    best = _score(network, models, photos, scale)
    trunk_part, _ = split(network)
    features: list[tuple[Tensor, ...]] = [(trunk_part.run(crop), crop) for crop in crops]
    trunk = _quantise(models[0], [(crop,) for crop in crops], _convolutions(models[0])[:1])
    floating = _convolutions(models[1])[-1:] + _skip(models[1])
    reconstruction = _quantise(models[1], features, floating)
    lost = float("inf")  # if 8 bits lose too much, the second try leaves the trunk as it is
    for int8 in ((trunk, reconstruction), (models[0], reconstruction)):
        lost = best - _score(network, int8, photos, scale)
        if lost <= MOST_LOSS:
            return int8, lost
    raise UserError(
        f"precision=int8 loses {lost:.2f} dB PSNR-Y of this generator, more than {MOST_LOSS}: use "
        "precision=bf16 or precision=fp32"
    )


def _quantise(model: Model, inputs: list[tuple[Tensor, ...]], floating: list[str]) -> Model:
    nncf, ranges = load("nncf"), load("nncf.quantization.range_estimator")
    logging.getLogger("nncf").setLevel(logging.ERROR)  # set_log_level changes handlers of others
    arrays = [tuple(x.contiguous().numpy() for x in group) for group in inputs]
    return nncf.quantize(
        model.clone(),
        nncf.Dataset(arrays),
        subset_size=len(arrays),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(names=floating),
        fast_bias_correction=False,  # the fast correction loses half a dB
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            activations_range_estimator_params=ranges.RangeEstimatorParametersSet.MINMAX
        ),  # a mean of the crops' extremes would clip white and black areas
    )


def _convolutions(model: Model) -> list[str]:
    layers = model.get_ordered_ops()
    return [x.get_friendly_name() for x in layers if x.get_type_name() == "Convolution"]


def _skip(model: Model) -> list[str]:
    """Returns the names of the operations outside the layers, which make up the image skip."""
    layers = [x for x in model.get_ordered_ops() if x.get_type_name() in _SKIP]
    names = [str(x.get_friendly_name()) for x in layers]
    return [name for name in names if "_convolution" not in name]  # not a layer's bias


def _score(
    network: nn.Module, models: tuple[Model, Model], photos: list[tuple[Tensor, Tensor]], scale: int
) -> float:
    """Returns the mean PSNR-Y of the enlarged photographs in dB."""
    trunk, reconstruction = run_by_openvino(network, models, "auto")
    enlarged = [enlarge(trunk, reconstruction, lr, scale) for _, lr in photos]
    values = [psnr_y(to_uint8(sr), hr.byte(), scale) for sr, (hr, _) in zip(enlarged, photos)]
    return float(torch.stack(values).mean())


def _pair(pixels: NDArray[np.uint8], scale: int) -> tuple[Tensor, Tensor]:
    """Returns HR (1, 3, H, W) in [0, 255] and LR (1, 3, h, w) in [0, 1]."""
    height, width = (side // scale * scale for side in pixels.shape[:2])
    hr = torch.from_numpy(pixels[:height, :width]).permute(2, 0, 1)[None].contiguous()
    return hr.float(), downscale(hr, scale).float() / 255


def _crops(image: Tensor) -> Iterator[Tensor]:
    for top in range(0, image.shape[-2] - _CROP + 1, _STRIDE):
        for left in range(0, image.shape[-1] - _CROP + 1, _STRIDE):
            yield image[..., top : top + _CROP, left : left + _CROP]


def _key(network: nn.Module, versions: str) -> str:
    digest = hashlib.sha1(f"{versions} {network}".encode())
    for name, tensor in network.state_dict().items():
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _write(folder: Path, models: tuple[Model, Model], lost: float) -> None:
    # The complete folder is renamed in one step, so that no other process reads half of it.
    part = folder.with_name(f".{folder.name}.{os.getpid()}.part")
    part.mkdir(parents=True, exist_ok=True)
    try:
        for name, model in zip(("trunk", "reconstruction"), models):
            load().save_model(model, part / f"{name}.xml", compress_to_fp16=False)
        (part / "loss.json").write_text(json.dumps({"psnr_y": lost}))
        if not folder.is_dir():
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
