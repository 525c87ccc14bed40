"""Content losses: how far the generated image is from the photograph. Both in [-1, 1].

MSE and L1 on pixels are torch's own ``MSELoss`` and ``L1Loss``.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.images.resize import downscale
from sr_gan.networks import LPIPSNetwork, VGG19Features
from sr_gan.networks.bands import haar
from sr_gan.networks.lpips import Backbone


class VGGLoss(nn.Module):
    """Distance between VGG19 feature maps: ``sum_l w_l * mean d(s * phi_l(sr), s * phi_l(hr))``.

    Args:
        layers: VGG19 layers ``phi_l``; ``relu5_4`` is the paper's VGG54, ``relu2_2`` its VGG22.
        weights: where VGG19's weights come from, see :class:`VGG19Features`.
        layer_weights: one weight ``w_l`` a layer; all 1 when left out.
        feature_scale: ``s``; 1/12.75 with the Oxford weights (so the squared distance is times
            0.006, as in the paper), 1 with torchvision's.
        distance: ``d``, ``"mse"`` or ``"l1"``, the mean over the entries of a map, in fp32.
        unit: scale the vector of channels at each position to length 1 first, as LPIPS does. What
            is compared is then which features there are, not how strong the contrast is, and the
            scale of VGG's weights does not matter.

    Raises:
        ValueError: an argument is outside its allowed values.
        UserError: the weights cannot be had.

    Source: Ledig et al. 2017, equation 5 and section 3.2; unit vectors as in Zhang et al. 2018
    (LPIPS), equation 1.
    """

    def __init__(
        self,
        layers: Sequence[str] = ("relu5_4",),
        weights: str = "torchvision",
        layer_weights: Sequence[float] | None = None,
        feature_scale: float = 1.0,
        distance: Literal["mse", "l1"] = "mse",
        unit: bool = False,
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
        self.unit = unit

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """Mean feature distance of two (B, 3, H, W) batches; no gradient on the side of ``hr``."""
        with torch.no_grad():
            targets = self.features(hr)
        maps = self.features(sr)
        distances = [
            weight * self.distance(self._scaled(maps[layer]), self._scaled(targets[layer]))
            for layer, weight in zip(self.features.layers, self.layer_weights)
        ]
        return torch.stack(distances).sum()

    def _scaled(self, features: Tensor) -> Tensor:
        """(B, C, h, w), in fp32."""
        scaled = features.float() * self.feature_scale
        return unit(scaled) if self.unit else scaled


def unit(features: Tensor) -> Tensor:
    """Vectors of channels of length 1; those that are 0 stay so, with a finite gradient."""
    return features * (features.square().sum(1, keepdim=True) + 1e-8).rsqrt()


class TotalVariationLoss(nn.Module):
    """Mean absolute difference of neighbouring pixels of ``sr``; ``hr`` is not looked at.

    Source: anisotropic total variation, Rudin et al. 1992; a term of SRGAN's first preprint.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        vertical = (sr[..., 1:, :] - sr[..., :-1, :]).abs().mean()
        horizontal = (sr[..., :, 1:] - sr[..., :, :-1]).abs().mean()
        return vertical + horizontal


class CharbonnierLoss(nn.Module):
    """``mean sqrt((sr - hr)^2 + epsilon^2)``: L1, smooth where the two are close.

    Args:
        epsilon: below this distance, in units of [-1, 1], it is quadratic.

    Raises:
        ValueError: ``epsilon`` is not positive.

    Source: Lai et al. 2017 (LapSRN), equation 2.
    """

    def __init__(self, epsilon: float = 1e-3) -> None:
        super().__init__()
        if epsilon <= 0:
            raise ValueError(f"epsilon must be positive, got {epsilon}")
        self.epsilon = epsilon

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return ((sr.float() - hr.float()).square() + self.epsilon**2).sqrt().mean()


class LPIPSLoss(nn.Module):
    """LPIPS as a loss. A model trained on it must also be judged by another measure.

    Args:
        net: whose features: ``alex`` or ``squeeze``.
        weights: of that network, see :class:`sr_gan.networks.LPIPSNetwork`.

    Raises:
        ValueError: ``net`` is not one of the allowed values.
        UserError: the weights cannot be had.

    Source: Zhang et al. 2018.
    """

    def __init__(self, net: Backbone = "alex", weights: str | None = None) -> None:
        super().__init__()
        self.network = LPIPSNetwork(net, weights)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        with torch.autocast(sr.device.type, enabled=False):
            distances: Tensor = self.network(sr.float(), hr.float())
        return distances.mean()


class LRConsistencyLoss(nn.Module):
    """Mean absolute difference of the reduced images: SR has to say what the LR image says.

    Args:
        scale: factor of the exact bicubic reduction.

    Raises:
        ValueError: ``scale`` is below 2.

    Source: the LR consistency of Lugmayr et al. 2020 (SRFlow) as a loss; it holds colours.
    """

    def __init__(self, scale: int = 4) -> None:
        super().__init__()
        if scale < 2:
            raise ValueError(f"scale must be at least 2, got {scale}")
        self.scale = scale

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        with torch.autocast(sr.device.type, enabled=False):
            return F.l1_loss(downscale(sr.float(), self.scale), downscale(hr.float(), self.scale))


class WaveletLoss(nn.Module):
    """Mean absolute difference of the Haar detail bands: grain is energy in them that HR lacks.

    Args:
        levels: of the decomposition; the first holds details of two pixels, the next of four.

    Shapes:
        two of (B, C, H, W), sides that are multiples of ``2^levels`` -> a scalar

    Raises:
        ValueError: ``levels`` is below 1, or an image's side does not fit.

    Source: Mallat 1989; as a loss of super-resolution Huang et al. 2017 (Wavelet-SRNet).
    """

    def __init__(self, levels: int = 2) -> None:
        super().__init__()
        if levels < 1:
            raise ValueError(f"levels must be at least 1, got {levels}")
        self.levels = levels

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        side = 2**self.levels
        if sr.shape[-2] % side or sr.shape[-1] % side:
            raise ValueError(
                f"{self.levels} levels need sides that are multiples of {side}, got "
                f"{sr.shape[-2]}x{sr.shape[-1]}: change data.crop"
            )
        low = sr.float() - hr.float()  # the transform is linear
        distances = []
        for _ in range(self.levels):
            low, details = haar(low)
            distances.append(details.abs().mean())
        return torch.stack(distances).mean()
