"""What half precision costs the VGG content loss: its value and its gradient at SR, beside fp32.

    python experiments/speed/half_precision.py PHOTOS VGG19.safetensors [OUTPUT.json]

On a crop from the middle of each photo. SR is bicubic of the LR crop, the same with noise, and the
photo itself with noise: there the loss is a small difference of large maps.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_gan.data.decode import decode
from sr_gan.data.resize import downscale, upscale
from sr_gan.data.sources import list_images
from sr_gan.losses import VGGLoss

CROP, SCALE = 96, 4
NOISE = 2 / 127.5  # standard deviation: two levels of 255
LAYERS = ("relu2_2", "relu3_4")
WAYS = {  # type, whether conv1_1 stays in fp32, and a factor on the loss, as GradScaler has one
    "bf16": (torch.bfloat16, False, 1),
    "bf16, conv1_1 in fp32": (torch.bfloat16, True, 1),
    "fp16": (torch.float16, False, 256),
}
Result = tuple[Tensor, Tensor]


def main(photos: str, weights: str, output: str | None = None) -> None:
    """Prints a table and writes it as JSON."""
    pixels = crops(Path(photos))
    hr, rows = pixels / 127.5 - 1, []
    noise = NOISE * torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    bicubic = upscale(downscale(pixels, SCALE), SCALE) / 127.5 - 1
    images = {"bicubic": bicubic, "bicubic + noise": bicubic + noise, "photo + noise": hr + noise}
    loss = VGGLoss(LAYERS, weights, feature_scale=1 / 12.75)
    for name, sr in images.items():
        exact = measure(loss, sr, hr)
        for way, (dtype, spared, factor) in WAYS.items():
            with first_in_fp32(loss) if spared else nullcontext():
                errors = compare(measure(loss, sr, hr, dtype, factor), exact)
            rows.append({"sr": name, "precision": way, **errors})
    print(f"{len(hr)} crops of {CROP}\n\n{table(rows)}")
    if output:
        result = {"torch": torch.__version__, "crops": len(hr), "layers": LAYERS, "rows": rows}
        Path(output).write_text(json.dumps(result, indent=2) + "\n")


def crops(folder: Path) -> Tensor:
    """uint8 (N, 3, 96, 96): the middle of each photo."""
    cut = []
    for file in list_images(folder, "PHOTOS"):
        photo = torch.as_tensor(decode(file))
        top, left = ((side - CROP) // 2 for side in photo.shape[-2:])
        cut.append(photo[:, top : top + CROP, left : left + CROP])
    return torch.stack(cut)


@contextmanager
def first_in_fp32(loss: VGGLoss) -> Iterator[None]:
    """The first convolution, which sees the image, without autocast."""
    first = loss.features.features[0]
    autocast = first.forward
    first.forward = torch.autocast("cpu", enabled=False)(autocast)
    yield
    first.forward = autocast


def measure(
    loss: VGGLoss, sr: Tensor, hr: Tensor, dtype: torch.dtype | None = None, factor: int = 1
) -> Result:
    """The loss of each crop (N,) and its gradient (N, 3 * 96 * 96)."""
    values, gradients = [], []
    for one, target in zip(sr.split(1), hr.split(1)):
        image = one.clone().requires_grad_()
        with torch.autocast("cpu", dtype) if dtype else nullcontext():
            value = loss(image, target)
        (gradient,) = torch.autograd.grad(value * factor, image)
        values.append(value.detach())
        gradients.append(gradient.flatten() / factor)
    return torch.stack(values), torch.stack(gradients)


def compare(result: Result, exact: Result) -> dict[str, Any]:
    """Relative error of the loss, cosine and relative norm of the gradient: mean and worst."""
    loss = (result[0] / exact[0] - 1).abs()
    cosine = F.cosine_similarity(result[1], exact[1])
    norm = result[1].norm(dim=1) / exact[1].norm(dim=1)
    return {
        "loss_fp32": exact[0].mean().item(),
        "loss_error": loss.mean().item(),
        "loss_error_worst": loss.max().item(),
        "cosine": cosine.mean().item(),
        "cosine_worst": cosine.min().item(),
        "norm": norm.mean().item(),
        "norm_worst": norm[(norm - 1).abs().argmax()].item(),
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The result as Markdown."""
    lines = [
        "| SR | precision | error of the loss: mean | worst | gradient's cosine: mean | worst "
        "| its norm / fp32's: mean | worst |",
        "| --- | --- | --: | --: | --: | --: | --: | --: |",
    ]
    lines += [
        f"| {row['sr']} | {row['precision']} | {row['loss_error']:.3%} "
        f"| {row['loss_error_worst']:.3%} | {row['cosine']:.5f} | {row['cosine_worst']:.5f} "
        f"| {row['norm']:.4f} | {row['norm_worst']:.4f} |"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main(*sys.argv[1:])
