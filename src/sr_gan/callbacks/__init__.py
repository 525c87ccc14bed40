"""The callbacks of a run: compiling, CUDA graphs, health, progress, samples, scores, signals.

This room may import ``images``, ``runs``, ``metrics``, ``modules`` and the ground floor.
"""

from sr_gan.callbacks.compiled import CompileNetworks
from sr_gan.callbacks.health import Health
from sr_gan.callbacks.perceptual import PerceptualQuality
from sr_gan.callbacks.progress import StageProgress
from sr_gan.callbacks.prune import PruneByMedian
from sr_gan.callbacks.record import MetricsTable, StopOnDivergence
from sr_gan.callbacks.replay import ReplayUpdates
from sr_gan.callbacks.samples import SampleGrid
from sr_gan.callbacks.save import SaveBest, SaveState
from sr_gan.callbacks.timing import Timing

__all__ = [
    "CompileNetworks",
    "Health",
    "MetricsTable",
    "PerceptualQuality",
    "PruneByMedian",
    "ReplayUpdates",
    "SampleGrid",
    "SaveBest",
    "SaveState",
    "StageProgress",
    "StopOnDivergence",
    "Timing",
]
