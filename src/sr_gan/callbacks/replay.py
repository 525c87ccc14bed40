"""CUDA graphs for the updates of a GAN: one launch instead of one for each kernel."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import lightning as L
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from sr_gan.arguments import checked
from sr_gan.files import readable
from sr_gan.modules import GAN
from sr_gan.modules.gan import Turn

log = logging.getLogger(__name__)

When = Literal["auto", "never"]
_BEFORE = 3  # updates that run unrecorded, to allocate memory and choose algorithms
Outputs = dict[str, Any]


class ReplayUpdates(L.Callback):
    """Records an update of a GAN stage as a CUDA graph and replays it for those that follow.

    An update has 1,500 small kernels. If the host takes longer to launch one than the GPU to
    compute it, the GPU waits most of the time; a replay launches all of them at once. The numbers
    stay the same. Updates that draw random numbers (instance noise, the Wasserstein penalty) are
    not recorded, and neither are stages with ``trainer=ddp`` or in fp16, whose loss scaling reads
    each gradient.

    Args:
        when: ``auto``, which is on a GPU, or ``never``.

    Raises:
        ValueError: ``when`` is not one of the allowed values.
    """

    @checked
    def __init__(self, when: When = "auto") -> None:
        self.when = when

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        alone = isinstance(trainer.strategy, SingleDeviceStrategy)  # DDP keeps streams and hooks
        on_gpu = pl_module.device.type == "cuda" and alone
        if self.when == "auto" and on_gpu and isinstance(pl_module, GAN) and not pl_module.scaled:
            pl_module.replay = Replay(pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if isinstance(pl_module, GAN):
            pl_module.replay = None  # weights move, but recordings hold addresses


def cuda_graph(work: Callable[[], Outputs], pool: Any) -> tuple[Outputs, Callable[[], None]]:
    """Records the kernels that ``work`` launches, without running them.

    Args:
        work: a function that never waits for the GPU.
        pool: the pool of the recording's memory, see :func:`torch.cuda.graph_pool_handle`.

    Returns:
        The outputs of ``work``, whose tensors each replay fills, and a function that replays.

    Raises:
        RuntimeError: ``work`` waits for the GPU, or memory is full, or would soon be: an update
            that runs unrecorded needs as much memory as a recording holds.
    """
    torch.cuda.empty_cache()
    before, stream = torch.cuda.memory_reserved(), torch.cuda.current_stream()
    graph = torch.cuda.CUDAGraph()
    try:
        # Other threads, such as the one that pins a loader's batches, may call CUDA meanwhile.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            outputs = work()
    finally:
        torch.cuda.set_stream(stream)  # a recording that fails stays on its own
    taken, free = torch.cuda.memory_reserved() - before, torch.cuda.mem_get_info()[0]
    if free < taken:
        raise RuntimeError(
            f"the recording takes {readable(taken)}, and what runs unrecorded would have only "
            f"{readable(free)}"
        )
    return outputs, graph.replay


def _pool() -> Any:
    return torch.cuda.graph_pool_handle() if torch.cuda.is_available() else None


@dataclass
class Recording:
    """An update that can be replayed.

    Args:
        batch: the tensors from which it reads its images.
        numbers: the tensors from which it reads its scalars.
        outputs: what it returns; each replay fills the tensors anew.
        replay: the function that runs it.
        counted: the groups of :class:`Means` that it adds to.
    """

    batch: Sequence[Tensor]
    numbers: Mapping[str, Tensor]
    outputs: Outputs
    replay: Callable[[], None]
    counted: set[tuple[str, ...]]

    def run(self, batch: Sequence[Tensor], numbers: Mapping[str, float | Tensor]) -> Outputs:
        """Runs the update on ``batch``; the next run overwrites its outputs."""
        for place, image in zip(self.batch, batch):
            place.copy_(image)
        for name, number in numbers.items():
            self.numbers[name].fill_(number)
        self.replay()
        return self.outputs


class Replay:
    """Takes the place of :meth:`GAN.update` and replays updates.

    Updates of equal turns and sizes run unrecorded three times, are then recorded, and are replayed
    from there on.

    Args:
        module: the stage in training.
        record: a function that records as :func:`cuda_graph` does.
    """

    def __init__(self, module: GAN, record: Callable[..., Any] = cuda_graph) -> None:
        self.module, self.record = module, record
        self.seen: Counter[Any] = Counter()
        self.works = True
        self.forget()
        for optimizer in module.trainer.optimizers:  # loading gives its tensors new addresses
            optimizer.register_load_state_dict_post_hook(self.forget)

    def forget(self, *args: Any) -> None:
        """Drops all recordings. Later ones get a new pool, as one without a user is closed."""
        self.recordings: dict[Any, Recording] = {}
        self.pool = _pool()

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
                return self.recordings[kind].run(batch, numbers)  # recording has counted it
        return self.module.update(batch, turn, numbers)

    def repeated(self, work: Callable[[], Any]) -> Callable[[], None]:
        """Returns a replay of ``work``, or ``work`` itself if it cannot be recorded."""
        try:
            _, again = self.record(work, None)
        except Exception as error:
            log.debug("not recorded: %s", error)
            return work
        return again  # type: ignore[no-any-return]

    def _recorded(self, kind: Any, batch: Any, turn: Turn, numbers: Mapping[str, Any]) -> bool:
        """Records an update and returns whether that worked; if not, nothing has changed."""
        module, means = self.module, self.module.means
        # A graph reads from fixed addresses, so the recording gets inputs of its own.
        inputs = [image.clone() for image in batch]
        scalars = {
            name: torch.tensor(float(number), device=module.device)  # fp32, as fused Adam reads it
            for name, number in numbers.items()
        }
        steps = module.trainer.fit_loop.epoch_loop.manual_optimization.optim_step_progress
        counts, counted, means.counted = deepcopy(steps.state_dict()), means.counted, set()
        try:
            with self._capturable():
                work = partial(module.update, inputs, turn, scalars)
                outputs, replay = self.record(work, self.pool)
            self.recordings[kind] = Recording(inputs, scalars, outputs, replay, means.counted)
        except Exception as error:  # no memory, or not allowed in a CUDA graph
            steps.load_state_dict(counts)
            module.zero_grad()
            self.works = False
            reason = str(error).strip().splitlines() or [type(error).__name__]
            log.warning("an update could not be recorded, going on without: %s", reason[0])
        finally:
            means.counted |= counted
        return self.works

    def _count(self, turn: Turn, recording: Recording) -> None:
        """Counts a replayed update in Python: the players' steps, and what was measured."""
        self.module.means.counted |= recording.counted
        optimizers: Any = self.module.optimizers()  # the generator's is the first one
        for optimizer in optimizers[: 1 + turn.discriminator]:
            optimizer._on_before_step()
            optimizer._on_after_step()

    @contextmanager
    def _capturable(self) -> Iterator[None]:
        """Lets optimisers read counts and rates on the device, as fused ones always do."""
        groups = [group for each in self.module.trainer.optimizers for group in each.param_groups]
        for group in groups:
            group["capturable"] = True
        try:
            yield
        finally:
            for group in groups:
                group["capturable"] = False
