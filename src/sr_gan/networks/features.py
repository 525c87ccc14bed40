"""VGG19's feature maps by name, for the content loss."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torchvision.models import VGG19_Weights

from sr_gan.arguments import VGGWeights, checked
from sr_gan.errors import UserError
from sr_gan.files import user_path
from sr_gan.tensor_files import by_hand, cached, download, load_tensors

Layer = Annotated[str, Field(pattern=r"^((conv|relu)([12]_[12]|[345]_[1-4])|pool[1-5])$")]
Layers = Annotated[Sequence[Layer], Field(min_length=1)]

_BLOCKS = ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4)
_URL = VGG19_Weights.IMAGENET1K_V1.url
_SETTING = "gan.loss.content.vgg.weights=FILE.safetensors"
_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)


def layer_names() -> list[str]:
    """Returns the names of VGG19's convolutional part in order: conv1_1, relu1_1, ..., pool5."""
    names = []
    for block, channels in enumerate(_BLOCKS, start=1):
        for i in range(1, len(channels) + 1):
            names += [f"conv{block}_{i}", f"relu{block}_{i}"]
        names.append(f"pool{block}")
    return names


class VGG19Features(nn.Module):
    """Frozen VGG19 that returns chosen layers; gradients reach the image, but not the weights.

    Args:
        layers: names such as ``relu5_4`` (after the ReLU), ``conv5_4`` (before it) or ``pool5``.
        weights: ``"torchvision"`` for ImageNet weights (548 MB, downloaded once into torch's
            cache), ``"random"`` for timing only, or the path of a ``.safetensors`` or ``.pth`` file
            with torchvision's names, which may end after any layer.

    Shapes:
        (B, 3, H, W) in [-1, 1] -> {layer: (B, C, H / 2^k, W / 2^k)}, where k is the number of pools
        up to the layer

    Raises:
        ValueError: ``layers`` is empty or names a layer that VGG19 does not have.
        UserError: the weights are missing, cannot be read, or end before the deepest layer.

    Source: Simonyan and Zisserman 2015, configuration E. The network itself normalises the image
    with ImageNet's mean and standard deviation.
    """

    mean: Tensor
    std: Tensor

    @checked
    def __init__(self, layers: Layers, weights: VGGWeights = "torchvision") -> None:
        super().__init__()
        names = layer_names()
        self.layers = tuple(layers)
        self.names = names[: 1 + max(names.index(layer) for layer in layers)]
        self.features = _features(len(self.names))
        if weights != "random":
            own = weights != "torchvision"
            tensors = load_tensors(user_path(weights)) if own else download(_URL, "VGG19", _SETTING)
            self._load(tensors, weights)
        self.requires_grad_(False).eval()
        self.features.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.register_buffer("mean", torch.tensor(_IMAGENET_MEAN).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(_IMAGENET_STD).view(1, 3, 1, 1))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        maps: dict[str, Tensor] = {}
        x = image
        for name, layer in zip(self.names, self.features):
            x = self._first(x) if name == self.names[0] else layer(x)
            if name in self.layers:
                maps[name] = x
        return {name: maps[name] for name in self.layers}

    def _first(self, image: Tensor) -> Tensor:
        """Computes the normalisation and conv1_1 in full precision.

        Rounding grey levels to bfloat16 would change the loss by 1 %; 16 bits in the other layers
        change it by 0.2 % (experiments/speed).
        """
        with torch.autocast(image.device.type, enabled=False):
            normalised = ((image.to(self.mean.dtype) + 1) / 2 - self.mean) / self.std
            maps: Tensor = self.features[0](normalised)
        return maps

    def _load(self, tensors: dict[str, Tensor], origin: str) -> None:
        own = {f"features.{key}": value.shape for key, value in self.features.state_dict().items()}
        foreign = [k for k, shape in own.items() if k in tensors and tensors[k].shape != shape]
        if foreign:
            raise UserError(
                f"{origin} does not hold VGG19: its {foreign[0]} is "
                f"{list(tensors[foreign[0]].shape)}, not {list(own[foreign[0]])}"
            )
        missing = own.keys() - tensors.keys()
        if missing:
            held = [
                name
                for i, name in enumerate(layer_names())
                if name.startswith("conv") and f"features.{i}.weight" in tensors
            ]
            raise UserError(
                f"{origin} holds VGG19 from conv1_1 to {held[-1]}, "
                f"but layers {list(self.layers)} need it up to {self.names[-1]}: give a deeper "
                f"file, or set gan.loss.content.vgg.layers=[{held[-1].replace('conv', 'relu')}]"
                if held
                else f"{origin} holds no VGG19: expected tensors named features.0.weight, "
                f"features.0.bias, ...; got {', '.join(sorted(tensors)[:3]) or 'nothing'}"
            )
        self.load_state_dict({key: tensors[key] for key in own})


def _features(length: int) -> nn.Sequential:
    """Builds the first ``length`` layers at torchvision's indices.

    The ReLUs are not in-place, so that the maps before them can be returned.
    """
    layers: list[nn.Module] = []
    inputs = 3
    for channels in _BLOCKS:
        for outputs in channels:
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers[:length])


def cached_vgg19() -> Path:
    """Returns the file in torch's cache to which torchvision's weights are downloaded."""
    return cached(_URL)


def fetch_by_hand() -> str:
    """Returns what one can do instead of the download."""
    return by_hand(_URL, _SETTING)
