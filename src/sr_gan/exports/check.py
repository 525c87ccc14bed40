"""Runs an exported model beside the generator that it was made from."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sr_gan.errors import UserError
from sr_gan.exports.portable import ImageToImage
from sr_gan.images.bundled import bundled
from sr_gan.images.decode import decode

# (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w), float32
Run = Callable[[NDArray[np.float32]], NDArray[np.float32]]

SIZES = ((48, 32), (33, 20), (7, 5), (3, 2))  # height and width; spandrel pads smaller ones
TOLERANCE = {False: 1e-3, True: 1 / 255}  # by whether the weights are in fp16


def compared(run: Run, generator: nn.Module, half: bool) -> float:
    """Returns the largest difference between a model and its generator, whose output is clipped.

    Each of the four sizes is tried on a photograph and on noise, together as a batch.

    Raises:
        UserError: a size of the output is wrong, or the difference is beyond the tolerance.
    """
    largest = 0.0
    for lr in _images():
        expected, made = _enlarged(generator, lr), torch.from_numpy(run(lr.numpy()))
        if made.shape != expected.shape:
            raise UserError(
                f"an image of {tuple(lr.shape[2:])} pixels becomes {tuple(made.shape[2:])}, "
                f"not {tuple(expected.shape[2:])}"
            )
        difference = float((made.float().clamp(0, 1) - expected).abs().max())
        if not difference <= TOLERANCE[half]:  # not a number, too
            raise UserError(
                f"its result differs by {255 * difference:.2f} grey levels on an image of "
                f"{tuple(lr.shape[2:])} pixels, and at most {255 * TOLERANCE[half]:.2f} are allowed"
            )
        largest = max(largest, difference)
    return largest


def compared_in_fp16(generator: nn.Module) -> float:
    """Returns the largest difference if all weights and the output of each layer are in fp16.

    Most runtimes compute in fp32 on a CPU, whatever the file holds, and in fp16 on a GPU.

    Raises:
        UserError: fp16 is too small or too coarse for the network.
    """
    network = ImageToImage(generator)
    for weight in network.parameters():
        weight.data = weight.half().float()
    for layer in network.network.modules():
        layer.register_forward_hook(lambda layer, inputs, output: output.half().float())
    with torch.inference_mode():
        try:
            return compared(lambda lr: network(torch.from_numpy(lr)).numpy(), generator, half=True)
        except UserError as error:
            raise UserError(f"computed in fp16, {error}; use precision=fp32") from error


@torch.inference_mode()
def _enlarged(generator: nn.Module, lr: Tensor) -> Tensor:
    enlarged: Tensor = generator(lr)
    return ((enlarged + 1) / 2).clamp(0, 1)


def _images() -> Iterator[Tensor]:
    """Yields (2, 3, h, w) in [0, 1] for each size: a photograph, and noise."""
    photo = torch.from_numpy(decode(bundled("chelsea.png"))) / 255
    random = torch.Generator().manual_seed(0)
    for height, width in SIZES:
        crop = photo[:, 100 : 100 + height, 150 : 150 + width]
        yield torch.stack([crop, torch.rand(3, height, width, generator=random)])
