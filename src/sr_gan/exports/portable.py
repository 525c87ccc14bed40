"""A generator in the form that other programs expect: an image in [0, 1] in and out."""

import re
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sr_gan import __version__
from sr_gan.files import shortened
from sr_gan.inference.prepare import prepare
from sr_gan.inference.pretrained import Pretrained
from sr_gan.networks.split import split


class ImageToImage(nn.Module):
    """A generator whose output is moved to [0, 1]; BatchNorm is folded.

    Args:
        generator: a generator, whose output is nominally in [-1, 1].
        half: whether the generator computes in fp16; input and output stay in fp32.
        clip: whether the output is clipped to [0, 1].

    Shapes:
        (B, 3, h, w) in [0, 1] -> (B, 3, scale * h, scale * w) in [0, 1]
    """

    def __init__(self, generator: nn.Module, half: bool = False, clip: bool = True) -> None:
        super().__init__()
        network = prepare(generator).to(  # type: ignore[call-overload]
            dtype=torch.float16 if half else torch.float32, memory_format=torch.contiguous_format
        )
        self.network, self.half_inside, self.clip = network, half, clip
        self.eval()

    def forward(self, image: Tensor) -> Tensor:
        sr = self.network(image.half()).float() if self.half_inside else self.network(image)
        enlarged: Tensor = (sr + 1) / 2
        return enlarged.clamp(0, 1) if self.clip else enlarged


@dataclass(frozen=True)
class Portable:
    """A model to export, and how.

    Args:
        model: the model.
        half: whether its weights are written in fp16.
        web: whether the ONNX file leaves out the clipping to [0, 1].
        name: the name for files and metadata; without it that of the model.
        author: who made it, for the metadata.
        license: the licence, for the metadata.
    """

    model: Pretrained
    half: bool = False
    web: bool = False
    name: str | None = None
    author: str | None = None
    license: str | None = None

    @property
    def stem(self) -> str:
        """The name of the files without their extension, such as ``gan-x4-fp16``."""
        return f"{self.base}{'-fp16' * self.half}{'-web' * self.web}"

    @property
    def base(self) -> str:
        """How the names of all files of the model begin, such as ``gan-x4``.

        Upscayl takes ``2x`` or ``x3`` anywhere in a name for the scale factor, so that an ``x``
        beside a digit is replaced.
        """
        name = re.sub(r"[^\w.-]+", "-", self.name or self.model.name)
        name = re.sub(r"(?i)(?<=\d)x|x(?=\d)", "-", name)
        name = re.sub("-+", "-", name).strip("-.") or "model"
        end = f"-x{self.model.scale}"
        return shortened(name, end + " " * 30).rstrip()  # further ends follow

    def network(self, half: bool = False) -> ImageToImage:
        """Returns the network to export; with ``half`` it computes in fp16."""
        return ImageToImage(self.model.generator, half, clip=not self.web)

    def facts(self) -> dict[str, str]:
        """Returns what a file says about itself."""
        parts = split(self.model.generator)
        said = {"author": self.author, "license": self.license}
        return {
            "name": self.name or self.model.name,
            "scale": str(self.model.scale),
            **{key: value for key, value in said.items() if value},
            "receptive_field": f"{sum(part.halo for part in parts)} pixels of the input each way",
            "input": "RGB in [0, 1], float32, batch x 3 x height x width, any size",
            "output": "RGB, float32; clip it to [0, 1]" if self.web else "RGB in [0, 1], float32",
            "made_by": f"sr_gan {__version__}",
        }
