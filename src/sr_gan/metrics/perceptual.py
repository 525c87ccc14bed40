"""LPIPS: the distance of deep features, weighted to agree with what people see."""

from pathlib import Path

import torch
from torch import Tensor
from torchmetrics.functional.image.lpips import _LPIPS
from torchvision.models import AlexNet_Weights, alexnet

from sr_gan.errors import UserError
from sr_gan.files import load_tensors


class LPIPS:
    """The learned perceptual image patch similarity, AlexNet, version 0.1: 0 is equal.

    Args:
        weights: of AlexNet: None takes torchvision's file from torch's cache, ``"download"`` gets
            it (233 MB), anything else is a ``.safetensors`` or ``.pth`` file under torchvision's
            names, of which the five convolutions are used.
        device: where to compute.

    Raises:
        UserError: the weights are missing or are not AlexNet's.

    Source: Zhang et al. 2018, *The unreasonable effectiveness of deep features as a perceptual
    metric*; the linear weights are those in torchmetrics.
    """

    smallest = 32  # pixels a side that AlexNet's strides leave something of

    def __init__(self, weights: str | None = None, device: torch.device | str = "cpu") -> None:
        network = _LPIPS(pretrained=True, net="alex", pnet_rand=True)
        _load(network.net, _alexnet(weights), weights or "torch's cache")
        self.network = network.eval().requires_grad_(False)
        self.to(device)

    def to(self, device: torch.device | str) -> None:
        """Moves the network to where it is to compute."""
        self.device = torch.device(device)
        self.network.to(self.device)

    @torch.no_grad()
    def __call__(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Distances of uint8 (B, 1 or 3, H, W) images: (B,), borders included.

        Raises:
            ValueError: a side is below 32 pixels.
        """
        if min(sr.shape[-2:]) < self.smallest:
            raise ValueError(f"LPIPS needs 32x32 pixels, got {tuple(sr.shape[-2:])}")
        a, b = (x.to(self.device).expand(-1, 3, -1, -1).float().div(127.5).sub(1) for x in (sr, hr))
        distances: Tensor = self.network(a, b)
        return distances.flatten()


def _alexnet(weights: str | None) -> dict[str, Tensor]:
    if weights == "download":
        state: dict[str, Tensor] = alexnet(weights=AlexNet_Weights.DEFAULT).state_dict()
        return state
    url = AlexNet_Weights.DEFAULT.url
    cached = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    path = Path(weights).expanduser() if weights else cached
    if not path.is_file():
        raise UserError(
            f"AlexNet's weights are not at {path}: give a file of them, or 'download' (233 MB, "
            f"from {url})"
        )
    return load_tensors(path)


def _load(network: torch.nn.Module, tensors: dict[str, Tensor], origin: str) -> None:
    """Puts torchvision's ``features.N`` into the slices that torchmetrics cuts AlexNet into."""
    state = {}
    for key, expected in network.state_dict().items():  # slice2.3.weight, 3 as in torchvision
        name = f"features.{key.split('.', 1)[1]}"
        if name not in tensors or tensors[name].shape != expected.shape:
            raise UserError(f"{origin} does not hold AlexNet: {name} is missing or differs")
        state[key] = tensors[name]
    network.load_state_dict(state)
