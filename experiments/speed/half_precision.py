"""What half precision costs the VGG content loss: its value and its gradient at SR, beside fp32.

    python experiments/speed/half_precision.py PHOTOS VGG19.safetensors [OUTPUT.json]

On a crop from the middle of each photo, on a GPU where there is one. SR is bicubic of the LR crop,
the same with noise, and the photo itself with noise: there the loss is a small difference of large
maps.
"""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from sr_gan.images.decode import decode
from sr_gan.images.find import list_images
from sr_gan.images.resize import downscale, upscale
from sr_gan.losses import VGGLoss

CROP, SCALE = 96, 4
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
NOISE = 2 / 127.5  # standard deviation: two levels of 255
LAYERS = ("relu2_2", "relu3_4")
WAYS = {  # type, and a factor on the loss, as GradScaler has one; conv1_1 is always in fp32
    "bf16": (torch.bfloat16, 1),
    "fp16": (torch.float16, 256),
}
Result = tuple[Tensor, Tensor]


def main(photos: str, weights: str, output: str | None = None) -> None:
    """Prints a table and writes it as JSON."""
    torch.backends.cudnn.allow_tf32 = False  # what the others are compared with is exact
    pixels = crops(Path(photos))
    hr, rows = pixels / 127.5 - 1, []
    noise = NOISE * torch.randn(hr.shape, generator=torch.Generator().manual_seed(0))
    bicubic = upscale(downscale(pixels, SCALE), SCALE) / 127.5 - 1
    images = {"bicubic": bicubic, "bicubic + noise": bicubic + noise, "photo + noise": hr + noise}
    loss = VGGLoss(LAYERS, weights, feature_scale=1 / 12.75).to(DEVICE)
    for name, sr in images.items():
        exact = measure(loss, sr, hr)
        for way, (dtype, factor) in WAYS.items():
            errors = compare(measure(loss, sr, hr, dtype, factor), exact)
            rows.append({"sr": name, "precision": way, **errors})
    print(f"{len(hr)} crops of {CROP}\n\n{table(rows)}")
    if output:
        where = {"torch": torch.__version__, "device": DEVICE}
        result = {**where, "crops": len(hr), "layers": LAYERS, "rows": rows}
        Path(output).write_text(json.dumps(result, indent=2) + "\n")


def crops(folder: Path) -> Tensor:
    """uint8 (N, 3, 96, 96): the middle of each photo."""
    cut = []
    for file in list_images(folder, "PHOTOS"):
        photo = torch.as_tensor(decode(file))
        top, left = ((side - CROP) // 2 for side in photo.shape[-2:])
        cut.append(photo[:, top : top + CROP, left : left + CROP])
    return torch.stack(cut)


def measure(
    loss: VGGLoss, sr: Tensor, hr: Tensor, dtype: torch.dtype | None = None, factor: int = 1
) -> Result:
    """The loss of each crop (N,) and its gradient (N, 3 * 96 * 96)."""
    values, gradients = [], []
    for one, target in zip(sr.to(DEVICE).split(1), hr.to(DEVICE).split(1)):
        image = one.clone().requires_grad_()
        with torch.autocast(DEVICE, dtype) if dtype else nullcontext():
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
