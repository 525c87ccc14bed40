"""Generators between two: their weights interpolated, BN's statistics taken anew."""

from collections.abc import Iterable
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sr_gan.errors import UserError
from sr_gan.runs.weights import differing


@torch.no_grad()
def blend(a: nn.Module, b: nn.Module, alpha: float, batches: Iterable[Tensor]) -> nn.Module:
    """``(1 - alpha) * a + alpha * b``, weight by weight, in eval mode.

    Statistics of activations do not interpolate: where there is BN, and ``alpha`` is neither 0 nor
    1, they are measured with the new weights.

    Args:
        a: a generator, of small distortion as a rule.
        b: one of the same architecture, trained on from ``a`` as a rule.
        alpha: in [0, 1].
        batches: LR images (B, 3, h, w) in [0, 1]; looked at only where there is BN.

    Raises:
        UserError: the two are of different architectures.
        ValueError: ``alpha`` is outside [0, 1].

    Source: Wang et al. 2018 (ESRGAN), section 3.4.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must be between 0 and 1, got {alpha}")
    wrong = differing(a, b.state_dict())
    if wrong or type(a) is not type(b):
        raise UserError(
            f"a and b are different generators ({type(a).__name__} and {type(b).__name__}, "
            f"{len(wrong)} tensors differ): both must come from the same generator settings"
        )
    mixed = deepcopy(b if alpha == 1 else a).eval()
    if 0 < alpha < 1:
        for own, other in zip(mixed.parameters(), b.parameters()):
            own.lerp_(other, alpha)
        norms = [layer for layer in mixed.modules() if isinstance(layer, _BatchNorm)]
        if norms:
            _measure(mixed, norms, batches)
    return mixed


def _measure(network: nn.Module, norms: list[_BatchNorm], batches: Iterable[Tensor]) -> None:
    """Fills BN's averages with those over all ``batches``, each counting the same."""
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
    network.train()
    for lr in batches:
        network(lr)
    network.eval()
