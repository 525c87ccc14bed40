"""Fixed kinds of damage to LR images, on which models for photos are measured."""

import os
import zlib
from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from sr_gan.arguments import KINDS, Kind, checked
from sr_gan.data.degradation.passes import Pass


class Kinds:
    """Kinds of LR images to measure on: ``clean``, ``jpegQ`` and ``noiseN``.

    ``jpeg75`` has artefacts of JPEG of quality 75. ``noise10`` has Gaussian noise whose standard
    deviation is 10 grey levels.

    Args:
        names: the names of the kinds, in the order of the tables.

    Raises:
        ValueError: no name is given, or one is unknown.
    """

    @checked
    def __init__(self, names: Annotated[Sequence[Kind], Field(min_length=1)]) -> None:
        self.names: list[str] = list(dict.fromkeys(names))


def spoiled(lr: Tensor, kind: str, name: str) -> Tensor:
    """Returns the LR image of a photo with the damage of a kind.

    Args:
        lr: uint8 (1, 1 or 3, h, w), in the host's memory because a GPU draws different noise.
        kind: the name of the kind, see :class:`Kinds`.
        name: the photo's name, which seeds the noise.

    Returns:
        uint8 of the shape of ``lr``; grey stays grey.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(os.fsencode(name)))
    colour = lr.float().expand(-1, 3, -1, -1)
    return _damage(kind).spoil(colour, generator)[:, : lr.shape[1]].to(torch.uint8)


def _damage(kind: str) -> Pass:
    quality, sigma = KINDS.fullmatch(kind).groups()  # type: ignore[union-attr]
    if quality:
        return Pass(jpeg_quality=(int(quality), int(quality)))
    return Pass(noise_sigma=(int(sigma), int(sigma))) if sigma else Pass()
