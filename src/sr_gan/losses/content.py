"""Content losses: how far a generated image is from its photograph, both in [-1, 1].

For MSE and L1 on pixels torch's own ``MSELoss`` and ``L1Loss`` are used.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan.arguments import LPIPSWeights, VGGWeights, checked
from sr_gan.images.resize import downscale
from sr_gan.networks import LPIPSNetwork, VGG19Features
from sr_gan.networks.bands import haar
from sr_gan.networks.features import Layers
from sr_gan.networks.lpips import Backbone


class VGGLoss(nn.Module):
    """Distance between VGG19 feature maps: ``sum_l w_l * mean d(s * phi_l(sr), s * phi_l(hr))``.

    Args:
        layers: VGG19 layers ``phi_l``; ``relu5_4`` is the paper's VGG54, ``relu2_2`` its VGG22.
        weights: the source of VGG19's weights, see :class:`VGG19Features`.
        layer_weights: one weight ``w_l`` per layer; all 1 by default.
        feature_scale: ``s``: 1/12.75 for the Oxford weights (which multiplies the squared distance
            by 0.006, as in the paper), 1 for torchvision's.
        distance: ``d``: ``"mse"`` or ``"l1"``, the mean over the entries of a map, in fp32.
        unit: whether the vector of channels at each position is first scaled to length 1, as in
            LPIPS. The loss then compares which features there are, not how strong the contrast is,
            and the scale of VGG's weights does not matter.

    Raises:
        ValueError: an argument is outside its allowed values.
        UserError: the weights are missing or cannot be read.

    Source: Ledig et al. 2017, equation 5 and section 3.2; unit vectors as in Zhang et al. 2018
    (LPIPS), equation 1.
    """

    @checked
    def __init__(
        self,
        layers: Layers = ("relu5_4",),
        weights: VGGWeights = "torchvision",
        layer_weights: Sequence[float] | None = None,
        feature_scale: PositiveFloat = 1.0,
        distance: Literal["mse", "l1"] = "mse",
        unit: bool = False,
    ) -> None:
        super().__init__()
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
        """Returns the feature distance of two batches (B, 3, H, W); ``hr`` gets no gradient."""
        with torch.no_grad():
            targets = self.features(hr)
        maps = self.features(sr)
        distances = [
            weight * self.distance(self._scaled(maps[layer]), self._scaled(targets[layer]))
            for layer, weight in zip(self.features.layers, self.layer_weights)
        ]
        return torch.stack(distances).sum()

    def _scaled(self, features: Tensor) -> Tensor:
        """Returns features (B, C, h, w) in fp32, times ``s``, and of unit length if asked for."""
        scaled = features.float() * self.feature_scale
        return unit(scaled) if self.unit else scaled


def unit(features: Tensor) -> Tensor:
    """Scales vectors of channels to length 1; zero vectors stay 0 and get a finite gradient."""
    return features * (features.square().sum(1, keepdim=True) + 1e-8).rsqrt()


class TotalVariationLoss(nn.Module):
    """Mean absolute difference of neighbouring pixels of ``sr``; ``hr`` is not used.

    Source: anisotropic total variation, Rudin et al. 1992; used in SRGAN's first preprint.
    """

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        vertical = (sr[..., 1:, :] - sr[..., :-1, :]).abs().mean()
        horizontal = (sr[..., :, 1:] - sr[..., :, :-1]).abs().mean()
        return vertical + horizontal


class CharbonnierLoss(nn.Module):
    """``mean sqrt((sr - hr)^2 + epsilon^2)``: L1, but smooth near 0.

    Args:
        epsilon: the distance, in units of [-1, 1], below which the loss is quadratic.

    Raises:
        ValueError: ``epsilon`` is not positive.

    Source: Lai et al. 2017 (LapSRN), equation 2.
    """

    @checked
    def __init__(self, epsilon: PositiveFloat = 1e-3) -> None:
        super().__init__()
        self.epsilon = epsilon

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        return ((sr.float() - hr.float()).square() + self.epsilon**2).sqrt().mean()


class LPIPSLoss(nn.Module):
    """LPIPS as a loss. A model trained on it must also be judged by another measure.

    Args:
        net: the network that computes the features: ``alex`` or ``squeeze``.
        weights: the weights of that network, see :class:`sr_gan.networks.LPIPSNetwork`.

    Raises:
        ValueError: ``net`` is not one of the allowed values.
        UserError: the weights are missing or belong to another network.

    Source: Zhang et al. 2018.
    """

    @checked
    def __init__(self, net: Backbone = "alex", weights: LPIPSWeights | None = None) -> None:
        super().__init__()
        self.network = LPIPSNetwork(net, weights)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        with torch.autocast(sr.device.type, enabled=False):
            distances: Tensor = self.network(sr.float(), hr.float())
        return distances.mean()


class LRConsistencyLoss(nn.Module):
    """Mean absolute difference of the two images after reduction: SR must agree with LR.

    Args:
        scale: the factor of the exact bicubic reduction.

    Raises:
        ValueError: ``scale`` is below 2.

    Source: the LR consistency of Lugmayr et al. 2020 (SRFlow) as a loss; it keeps colours right.
    """

    @checked
    def __init__(self, scale: Annotated[int, Field(ge=2)] = 4) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        with torch.autocast(sr.device.type, enabled=False):
            return F.l1_loss(downscale(sr.float(), self.scale), downscale(hr.float(), self.scale))


class GridLoss(nn.Module):
    """Mean absolute difference of the means over pixels that are ``scale`` apart.

    Each image is averaged over windows, and separately for each of the ``scale^2`` places that a
    pixel can have within a pixel of LR. Texture has another value at each pixel and cancels out. A
    grid with the period of LR's pixels, which generators leave at first when features are the loss,
    does not, nor does a shift of colour.

    Args:
        scale: the period of the grid in pixels.
        window: the side of a window in pixels of LR, or less for a smaller crop; windows overlap
            by half.

    Shapes:
        two (B, C, H, W), sides that are multiples of ``scale`` -> a scalar

    Raises:
        ValueError: ``scale`` or ``window`` is below 2.

    Source: this project, experiments/photo.
    """

    @checked
    def __init__(
        self, scale: Annotated[int, Field(ge=2)] = 4, window: Annotated[int, Field(ge=2)] = 8
    ) -> None:
        super().__init__()
        self.scale = scale
        self.window = window

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        places = F.pixel_unshuffle(sr.float() - hr.float(), self.scale)
        window = min(self.window, *places.shape[-2:])
        step = max(window // 2, 1)  # a last window that reaches over the edge is cut there
        means = F.avg_pool2d(places, window, step, ceil_mode=True, count_include_pad=False)
        return means.abs().mean()


class WaveletLoss(nn.Module):
    """Mean absolute difference of the Haar detail bands, in which grain is energy that HR lacks.

    Args:
        levels: the levels of the decomposition; the first contains details of two pixels, the next
            of four.

    Shapes:
        two (B, C, H, W), sides that are multiples of ``2^levels`` -> a scalar

    Raises:
        ValueError: ``levels`` is below 1, or an image's side does not fit.

    Source: Mallat 1989; as a loss for super-resolution, Huang et al. 2017 (Wavelet-SRNet).
    """

    @checked
    def __init__(self, levels: PositiveInt = 2) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        side = 2**self.levels
        if sr.shape[-2] % side or sr.shape[-1] % side:
            raise ValueError(
                f"{self.levels} levels need sides that are multiples of {side}, got "
                f"{sr.shape[-2]}x{sr.shape[-1]}: change data.crop"
            )
        low = sr.float() - hr.float()  # the transform is linear, so one of the difference is enough
        distances = []
        for _ in range(self.levels):
            low, details = haar(low)
            distances.append(details.abs().mean())
        return torch.stack(distances).mean()
