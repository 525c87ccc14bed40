"""The losses of generator and discriminator: small modules and their weighted sum."""

from sr_gan.losses.adversarial import (
    AdversarialLoss,
    BCEAdversarialLoss,
    HingeAdversarialLoss,
    LeastSquaresAdversarialLoss,
    RelativisticAdversarialLoss,
    WassersteinAdversarialLoss,
)
from sr_gan.losses.content import (
    CharbonnierLoss,
    GridLoss,
    LPIPSLoss,
    LRConsistencyLoss,
    TotalVariationLoss,
    VGGLoss,
    WaveletLoss,
)
from sr_gan.losses.ldl import LDLLoss
from sr_gan.losses.objective import Objective
from sr_gan.losses.penalty import GradientPenalty, R1Penalty, R1R2Penalty, WassersteinPenalty

__all__ = [
    "AdversarialLoss",
    "BCEAdversarialLoss",
    "CharbonnierLoss",
    "GradientPenalty",
    "GridLoss",
    "HingeAdversarialLoss",
    "LDLLoss",
    "LPIPSLoss",
    "LRConsistencyLoss",
    "LeastSquaresAdversarialLoss",
    "Objective",
    "R1Penalty",
    "R1R2Penalty",
    "RelativisticAdversarialLoss",
    "TotalVariationLoss",
    "VGGLoss",
    "WassersteinAdversarialLoss",
    "WassersteinPenalty",
    "WaveletLoss",
]
