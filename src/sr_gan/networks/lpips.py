"""The network behind LPIPS, for the metric and for the loss."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchmetrics.functional.image.lpips import _LPIPS, SqueezeNet, _normalize_tensor
from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights

from sr_gan.arguments import checked
from sr_gan.errors import UserError
from sr_gan.files import user_path
from sr_gan.tensor_files import cached, download, load_tensors

Backbone = Literal["alex", "squeeze", "vgg"]

_ORIGINS: dict[str, tuple[str, int, str, str]] = {  # name, MB, URL, setting
    "alex": (
        *("AlexNet", 233, AlexNet_Weights.DEFAULT.url),
        "callbacks.lpips.weights=FILE in train, or lpips=FILE in evaluate and interpolate",
    ),
    "squeeze": (
        *("SqueezeNet", 5, SqueezeNet1_1_Weights.DEFAULT.url),
        "gan.loss.content.lpips.weights=FILE in train, or lpips_squeeze=FILE in evaluate",
    ),
    "vgg": (
        *("VGG16", 528, VGG16_Weights.DEFAULT.url),
        "gan.loss.content.lpips.weights=FILE in train, or lpips_vgg=FILE or dists=FILE in evaluate",
    ),
}

_ROWS = 32  # of a layer whose distances are computed at a time, as copies of it are large
_STRIDES = {
    "alex": (4, 8, 16, 16, 16),
    "squeeze": (2, 4, 8, 16, 16, 16, 16),
    "vgg": (1, 2, 4, 8, 16),
}


class LPIPSNetwork(nn.Module):
    """LPIPS version 0.1, frozen: a weighted distance of two images' features; 0 means equal.

    Args:
        net: the network that computes the features: ``alex`` (AlexNet, which papers report),
            ``squeeze`` (SqueezeNet 1.1) or ``vgg`` (VGG16).
        weights: the weights of that network: ``None`` for torchvision's file in torch's cache,
            ``"download"`` to download it there, or a ``.safetensors`` or ``.pth`` file with
            torchvision's names, of which only the convolutions are used.

    Shapes:
        two (B, 3, H, W) in [-1, 1], sides of at least 32 -> (B, 1, 1, 1)

    Raises:
        ValueError: ``net`` is not one of the allowed values.
        UserError: the weights are missing or belong to another network.

    Source: Zhang et al. 2018, *The unreasonable effectiveness of deep features as a perceptual
    metric*; the linear weights are those in torchmetrics.
    """

    @checked
    def __init__(self, net: Backbone = "alex", weights: str | None = None) -> None:
        super().__init__()
        self.strides = _STRIDES[net]
        self.distance = _LPIPS(pretrained=True, net=net, pnet_rand=True)
        load_backbone(self.distance.net, net, weights)
        self.requires_grad_(False).eval()

    @torch.compiler.disable  # torchmetrics makes a class in each pass, which would recompile
    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        distances: Tensor = self.distance(a, b)
        return distances

    def maps(self, a: Tensor, b: Tensor) -> Iterator[tuple[int, list[Tensor]]]:
        """Yields the stride and the distances at each position of every layer: [(B, 1, h, w)].

        The sum of their means is what :meth:`forward` returns. Only one layer is held at a time.
        """
        layers: Any = self.distance.net.children()
        if isinstance(self.distance.net, SqueezeNet):
            layers = self.distance.net.slices
        a, b = self.distance.scaling_layer(a), self.distance.scaling_layer(b)
        for layer, weigh, stride in zip(layers, self.distance.lins, self.strides):
            a, b = layer(a), layer(b)
            rows = zip(torch.split(a, _ROWS, -2), torch.split(b, _ROWS, -2))
            unit = ((_normalize_tensor(x), _normalize_tensor(y)) for x, y in rows)
            yield stride, [torch.cat([weigh((x - y) ** 2) for x, y in unit], dim=-2)]

    def train(self, mode: bool = True) -> "LPIPSNetwork":
        """Stays in eval mode, because the linear layers contain a dropout."""
        return super().train(False)


def cached_backbone(net: Backbone) -> Path:
    """Returns the file in torch's cache to which the weights of ``net`` are downloaded."""
    return cached(_ORIGINS[net][2])


def no_backbone(net: Backbone, path: Path) -> str:
    """Returns a line on weights that are not at ``path``, and on how to get them."""
    name, size, url, setting = _ORIGINS[net]
    return (
        f"{name}'s weights are not at {path}: name a file of them with {setting}, or say "
        f"download instead of FILE ({size} MB, from {url})"
    )


def load_backbone(network: nn.Module, net: Backbone, weights: str | None) -> None:
    """Loads torchvision's ``features.N`` into the slices of torchmetrics' network.

    Args:
        network: the network.
        net: what it is.
        weights: the weights, as :class:`LPIPSNetwork` takes them.

    Raises:
        UserError: the weights are missing or belong to another network.
    """
    tensors, state, origin = _read(net, weights), {}, weights or "torch's cache"
    for key, expected in network.named_parameters():  # slice2.3.weight or slices.2.3.weight
        name = re.sub(r"^slices?\.?\d+", "features", key)
        if name not in tensors or tensors[name].shape != expected.shape:
            raise UserError(
                f"{origin} does not hold {_ORIGINS[net][0]}: {name} is missing or differs"
            )
        state[key] = tensors[name]
    network.load_state_dict(state, strict=False)  # what is no parameter is fixed


def _read(net: Backbone, weights: str | None) -> dict[str, Tensor]:
    name, _, url, setting = _ORIGINS[net]
    if weights == "download":
        return download(url, name, setting)
    path = user_path(weights) if weights else cached(url)
    if not path.is_file():
        raise UserError(no_backbone(net, path))
    return load_tensors(path)
