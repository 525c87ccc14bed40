"""Content losses: how far the generated image is from the photograph. Both in [-1, 1].

MSE and L1 on pixels are torch's own ``MSELoss`` and ``L1Loss``.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.networks import VGG19Features


class VGGLoss(nn.Module):
    """Distance between VGG19 feature maps: ``sum_l w_l * mean d(s * phi_l(sr), s * phi_l(hr))``.

    Args:
        layers: VGG19 layers ``phi_l``; ``relu5_4`` is the paper's VGG54, ``relu2_2`` its VGG22.
        weights: where VGG19's weights come from, see :class:`VGG19Features`.
        layer_weights: one weight ``w_l`` a layer; all 1 when left out.
        feature_scale: ``s``; 1/12.75 with the Oxford weights (so the squared distance is times
            0.006, as in the paper), 1 with torchvision's.
        distance: ``d``, ``"mse"`` or ``"l1"``, the mean over the entries of a map, in fp32.

    Raises:
        ValueError: an argument is outside its allowed values.
        UserError: the weights cannot be had.

    Source: Ledig et al. 2017, equation 5 and section 3.2.
    """

    def __init__(
        self,
        layers: Sequence[str] = ("relu5_4",),
        weights: str = "torchvision",
        layer_weights: Sequence[float] | None = None,
        feature_scale: float = 1.0,
        distance: Literal["mse", "l1"] = "mse",
    ) -> None:
        super().__init__()
        if distance not in ("mse", "l1"):
            raise ValueError(f"distance must be mse or l1, got {distance}")
        if feature_scale <= 0:
            raise ValueError(f"feature_scale must be positive, got {feature_scale}")
        if layer_weights is not None and len(layer_weights) != len(layers):
            raise ValueError(
                f"layer_weights must hold one number for each of {list(layers)}, "
                f"got {list(layer_weights)}"
            )
        self.features = VGG19Features(layers, weights)
        self.layer_weights = tuple(layer_weights or [1.0] * len(layers))
        self.feature_scale = feature_scale
        self.distance = F.mse_loss if distance == "mse" else F.l1_loss

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Mean feature distance of two (B, 3, H, W) batches; no gradient on the side of ``hr``."""
        with torch.no_grad():
            targets = self.features(hr)
        maps = self.features(sr)
        distances = [
            weight
            * self.distance(
                maps[layer].float() * self.feature_scale,
                targets[layer].float() * self.feature_scale,
            )
            for layer, weight in zip(self.features.layers, self.layer_weights)
        ]
        return torch.stack(distances).sum()


class TotalVariationLoss(nn.Module):
    """Mean absolute difference of neighbouring pixels of ``sr``; ``hr`` is not looked at.

    Source: anisotropic total variation, Rudin et al. 1992; a term of SRGAN's first preprint.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        vertical = (sr[..., 1:, :] - sr[..., :-1, :]).abs().mean()
        horizontal = (sr[..., :, 1:] - sr[..., :, :-1]).abs().mean()
        return vertical + horizontal
