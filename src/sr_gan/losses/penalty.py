"""Penalties on the discriminator's gradient, which keep it smooth."""

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from sr_gan.arguments import checked


class GradientPenalty(nn.Module):
    """The base class: a weighted mean over images, computed at every ``every``-th update.

    It is computed in fp32 and without ``torch.compile``, as it needs the gradient of a gradient.

    Args:
        weight: the weight of the penalty; it is also multiplied by ``every``, so that skipping
            updates does not weaken the penalty.
        every: the number of updates from one penalty to the next.

    Raises:
        ValueError: an argument is outside its allowed values.
    """

    random = False  # whether it needs random numbers

    @checked
    def __init__(self, weight: PositiveFloat = 1.0, every: PositiveInt = 1) -> None:
        super().__init__()
        self.weight, self.every = weight, every

    def forward(
        self, discriminator: nn.Module, real: Tensor, fake: Tensor, draws: torch.Generator | None
    ) -> Tensor:
        """Returns the weighted penalty, a scalar with gradients to D's weights.

        Photographs and generated images are (B, 3, H, W) in [-1, 1]. Only a penalty that is
        ``random`` needs ``draws``.
        """
        images = self.images(real.detach().float(), fake.detach().float(), draws).requires_grad_()
        with (
            torch.autocast(images.device.type, enabled=False),
            torch.compiler.set_stance("force_eager"),
        ):
            logits = discriminator(images).flatten(1).mean(1)
            (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
        return self.weight * self.every * self.measure(gradient.flatten(1).norm(dim=1))

    def images(self, real: Tensor, fake: Tensor, draws: torch.Generator | None) -> Tensor:
        """Returns the images at which the gradient is taken."""
        raise NotImplementedError

    def measure(self, norms: Tensor) -> Tensor:
        """Returns the penalty, a scalar, for gradients with the given norms (B,)."""
        raise NotImplementedError


class R1Penalty(GradientPenalty):
    """``weight / 2 * mean |grad D(hr)|^2``: it flattens D around photographs.

    Source: Mescheder et al. 2018; updates are skipped as in Karras et al. 2020 (StyleGAN2).
    """

    @checked
    def __init__(self, weight: PositiveFloat = 1.0, every: PositiveInt = 16) -> None:
        super().__init__(weight, every)

    def images(self, real: Tensor, fake: Tensor, draws: torch.Generator | None) -> Tensor:
        return real.clone()

    def measure(self, norms: Tensor) -> Tensor:
        return norms.square().mean() / 2


class R1R2Penalty(GradientPenalty):
    """``weight / 2 * (mean |grad D(hr)|^2 + mean |grad D(sr)|^2)``: R1 and R2.

    R2 is the same as R1, but around generated images. One pass of D over photographs and generated
    images together computes both, so BatchNorm would mix their averages: use a discriminator
    without it.

    Source: Mescheder et al. 2018, section 4.1; both at once as in Huang et al. 2024 (R3GAN).
    """

    def images(self, real: Tensor, fake: Tensor, draws: torch.Generator | None) -> Tensor:
        return torch.cat([real, fake])

    def measure(self, norms: Tensor) -> Tensor:
        return norms.square().mean()  # a mean over twice the images is half the sum of two means


class WassersteinPenalty(GradientPenalty):
    """``weight * mean (|grad D(x)| - 1)^2`` at random points x between a photograph and its SR.

    Source: Gulrajani et al. 2017, equation 3.
    """

    random = True

    @checked
    def __init__(self, weight: PositiveFloat = 10.0, every: PositiveInt = 1) -> None:
        super().__init__(weight, every)

    def images(self, real: Tensor, fake: Tensor, draws: torch.Generator | None) -> Tensor:
        share = torch.rand(len(real), 1, 1, 1, device=real.device, generator=draws)
        return share * real + (1 - share) * fake

    def measure(self, norms: Tensor) -> Tensor:
        return (norms - 1).square().mean()
