"""The five fixed kinds of input on which models for photos are measured."""

import zlib
from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from sr_gan.arguments import checked
from sr_gan.data.degradation.passes import Pass

Kind = Literal["clean", "jpeg75", "jpeg40", "noise5", "noise10"]
KINDS: dict[str, Pass] = {
    "clean": Pass(),
    "jpeg75": Pass(jpeg_quality=(75, 75)),
    "jpeg40": Pass(jpeg_quality=(40, 40)),
    "noise5": Pass(noise_sigma=(5, 5)),
    "noise10": Pass(noise_sigma=(10, 10)),
}


class Kinds:
    """The :data:`KINDS` to measure on, or some of them.

    Args:
        names: the names of the kinds, in the order of the rows.

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
        kind: one of :data:`KINDS`.
        name: the photo's name, which seeds the noise.

    Returns:
        uint8 of the shape of ``lr``; grey stays grey.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()))
    colour = lr.float().expand(-1, 3, -1, -1)
    return KINDS[kind].spoil(colour, generator)[:, : lr.shape[1]].to(torch.uint8)
