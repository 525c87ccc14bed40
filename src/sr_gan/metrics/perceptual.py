"""LPIPS: a distance of deep features, weighted to agree with human judgement."""

import torch
from torch import Tensor

from sr_gan.networks.lpips import Backbone, LPIPSNetwork


class LPIPS:
    """The learned perceptual image patch similarity, version 0.1; 0 means equal.

    Args:
        weights: the weights of the backbone, see :class:`sr_gan.networks.LPIPSNetwork`.
        device: the device that computes.
        net: the backbone; papers report ``alex``.

    Raises:
        UserError: the weights are missing or belong to another network.
    """

    smallest = 32  # pixels per side; AlexNet's strides would leave nothing of fewer

    def __init__(
        self,
        weights: str | None = None,
        device: torch.device | str = "cpu",
        net: Backbone = "alex",
    ) -> None:
        self.network = LPIPSNetwork(net, weights)
        self.to(device)

    def to(self, device: torch.device | str) -> None:
        """Moves the network to another device."""
        self.device = torch.device(device)
        self.network.to(self.device)

    @torch.no_grad()
    def __call__(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Returns the distances (B,) of two uint8 (B, 1 or 3, H, W), borders included.

        Raises:
            ValueError: a side is below 32 pixels.
        """
        if min(sr.shape[-2:]) < self.smallest:
            raise ValueError(f"LPIPS needs 32x32 pixels, got {tuple(sr.shape[-2:])}")
        a, b = (x.to(self.device).expand(-1, 3, -1, -1).float().div(127.5).sub(1) for x in (sr, hr))
        distances: Tensor = self.network(a, b)
        return distances.flatten()
