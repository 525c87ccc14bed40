"""CUDA graphs for the updates of a GAN: asked for at once, not kernel by kernel."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, get_args

import lightning as L
import torch
from torch import Tensor

from sr_gan.modules import GAN
from sr_gan.modules.gan import Turn

log = logging.getLogger(__name__)

When = Literal["auto", "never"]
_BEFORE = 3  # updates that run as they are: memory is taken, algorithms are chosen
Outputs = dict[str, Any]


class ReplayUpdates(L.Callback):
    """Records an update of a GAN stage as a CUDA graph and replays it for those that follow.

    An update is 1,500 small kernels. Where the host takes longer to ask for one than the GPU to
    compute it, the GPU waits most of the time; a replay asks for all of them at once. Numbers stay
    the same. Updates that draw random numbers (instance noise, the Wasserstein penalty) run as
    they are, and so does a stage in fp16, whose loss scaling looks at each gradient, or with
    several GPUs.

    Args:
        when: ``auto``, on a GPU, or ``never``.

    Raises:
        ValueError: ``when`` is not one of the allowed values.
    """

    def __init__(self, when: When = "auto") -> None:
        if when not in get_args(When):
            raise ValueError(f"when must be one of {', '.join(get_args(When))}, got {when}")
        self.when = when

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        on_gpu = pl_module.device.type == "cuda" and trainer.world_size == 1
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        if self.when == "auto" and on_gpu and not scaled and isinstance(pl_module, GAN):
            pl_module.replay = Replay(pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if isinstance(pl_module, GAN):
            pl_module.replay = None  # weights move to the host, recordings hold addresses


def cuda_graph(work: Callable[[], Outputs], pool: Any) -> tuple[Outputs, Callable[[], None]]:
    """Records the kernels that ``work`` asks for, without running them.

    Args:
        work: a function that never waits for the GPU.
        pool: of the memory that the recording takes, see :func:`torch.cuda.graph_pool_handle`.

    Returns:
        What ``work`` returned, its tensors filled by each replay, and what replays.
    """
    graph = torch.cuda.CUDAGraph()
    # other threads, such as one that pins a loader's batches, go on with their own calls
    with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
        outputs = work()
    return outputs, graph.replay


@dataclass
class Recording:
    """An update that can be replayed.

    Args:
        batch: what it reads its images from.
        numbers: what it reads its other numbers from.
        outputs: what it writes.
        replay: runs it.
        counted: the groups of :class:`Means` that it adds to.
    """

    batch: Sequence[Tensor]
    numbers: Mapping[str, Tensor]
    outputs: Outputs
    replay: Callable[[], None]
    counted: set[tuple[str, ...]]

    def run(self, batch: Sequence[Tensor], numbers: Mapping[str, float | Tensor]) -> Outputs:
        """The update of ``batch``; its outputs are overwritten by the next one."""
        for place, image in zip(self.batch, batch):
            place.copy_(image)
        for name, number in numbers.items():
            self.numbers[name].fill_(number)
        self.replay()
        return self.outputs


class Replay:
    """Takes the place of :meth:`GAN.update`: updates of equal turns and sizes run as they are three
    times, are then recorded, and replayed from there on.

    Args:
        module: in training.
        record: as :func:`cuda_graph`.
    """

    def __init__(self, module: GAN, record: Callable[..., Any] = cuda_graph) -> None:
        self.module, self.record = module, record
        self.pool = torch.cuda.graph_pool_handle() if torch.cuda.is_available() else None
        self.seen: Counter[Any] = Counter()
        self.recordings: dict[Any, Recording] = {}
        self.works = True
        for optimizer in module.trainer.optimizers:  # loading gives its numbers new places
            optimizer.register_load_state_dict_post_hook(lambda _: self.recordings.clear())

    def __call__(
        self, batch: Sequence[Tensor], turn: Turn, numbers: Mapping[str, float | Tensor]
    ) -> Outputs:
        kind = (turn, *(image.shape for image in batch))
        if kind in self.recordings and not self.module.rehearsing:
            outputs = self.recordings[kind].run(batch, numbers)
            self._count(turn, self.recordings[kind])
            return outputs
        if self.works and not turn.random and not self.module.rehearsing:
            self.seen[kind] += 1
            if self.seen[kind] > _BEFORE and self._recorded(kind, batch, turn, numbers):
                return self.recordings[kind].run(batch, numbers)
        return self.module.update(batch, turn, numbers)

    def repeated(self, work: Callable[[], Any]) -> Callable[[], None]:
        """What repeats the kernels of ``work``, or ``work`` where it cannot be recorded."""
        try:
            _, again = self.record(work, None)
        except Exception as error:
            log.debug("not recorded: %s", error)
            return work
        return again  # type: ignore[no-any-return]

    def _recorded(self, kind: Any, batch: Any, turn: Turn, numbers: Mapping[str, Any]) -> bool:
        """Whether the update could be recorded; if not, everything is as before."""
        module, means = self.module, self.module.means
        places = [image.clone() for image in batch]
        dials = {
            name: torch.tensor(float(number), device=module.device)  # fp32, as fused Adam reads it
            for name, number in numbers.items()
        }
        steps = module.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        counts, counted, means.counted = deepcopy(steps.state_dict()), means.counted, set()
        try:
            with self._capturable():
                outputs, replay = self.record(lambda: module.update(places, turn, dials), self.pool)
            self.recordings[kind] = Recording(places, dials, outputs, replay, means.counted)
        except Exception as error:  # whatever does not go into a CUDA graph, or into memory
            steps.load_state_dict(counts)
            module.zero_grad()
            self.works = False
            reason = str(error).strip().splitlines() or [type(error).__name__]
            log.warning("an update could not be recorded, going on without: %s", reason[0])
        finally:
            means.counted |= counted
        return self.works

    def _count(self, turn: Turn, recording: Recording) -> None:
        """What Python keeps of an update: the steps of each player, what was measured."""
        self.module.means.counted |= recording.counted
        optimizers: Any = self.module.optimizers()  # the generator's is the first one
        for optimizer in optimizers[: 1 + turn.discriminator]:
            optimizer._on_before_step()
            optimizer._on_after_step()

    @contextmanager
    def _capturable(self) -> Iterator[None]:
        """Optimisers whose counts and rates are read on the device; fused ones always do so."""
        groups = [group for each in self.module.trainer.optimizers for group in each.param_groups]
        for group in groups:
            group["capturable"] = True
        try:
            yield
        finally:
            for group in groups:
                group["capturable"] = False
