"""Callbacks that measure the updates of a training: their time, their parts, their kernels."""

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.profiler import profile

from sr_gan.bench.machine import peak_memory
from sr_gan.devices import wait
from sr_gan.modules import GAN

PARTS = ("data", "G", "D", "content loss", "optimisers", "logging", "other")


class Stopwatch(L.Callback):
    """Measures the ``seconds`` and the peak ``memory`` in bytes of all updates after the warm-up.

    It waits for the device before and after all of them only: each wait would slow down a GPU.
    ``warm_up`` is the number of the first updates, which do not count. ``replayed`` is whether the
    last ones replayed a recording, see :class:`sr_gan.callbacks.ReplayUpdates`.
    """

    def __init__(self, warm_up: int) -> None:
        self.warm_up, self.seconds, self.memory, self.replayed = warm_up, 0.0, 0, False

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        if batch_idx + 1 == self.warm_up:
            wait(pl_module.device)
            if pl_module.device.type == "cuda":
                torch.cuda.reset_peak_memory_stats(pl_module.device)
            self.began = perf_counter()
        elif batch_idx + 1 == trainer.num_training_batches:
            wait(pl_module.device)
            self.seconds = perf_counter() - self.began
            self.memory = peak_memory(pl_module.device)
            self.replayed = bool(getattr(getattr(pl_module, "replay", None), "recordings", None))


class Trace(L.Callback):
    """Records the last updates of a training with PyTorch's profiler, for Perfetto or Chrome.

    For a GPU, ``kernels`` is the number of kernels in an update, and ``seconds`` is the time that
    it spends on them.

    Args:
        updates: the number of updates to record.
        path: the file to write, ``.json`` or ``.json.gz``.
    """

    def __init__(self, updates: int, path: Path) -> None:
        self.updates, self.path = updates, path
        self.kernels, self.seconds = 0.0, 0.0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx + self.updates == trainer.num_training_batches:
            wait(pl_module.device)
            self.profile = profile()
            self.profile.start()

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        wait(pl_module.device)
        self.profile.stop()
        events: Any = self.profile.events()  # type: ignore[no-untyped-call]
        # an annotation is a span around kernels, and no work itself
        events = [e for e in events if e.device_type.name == "CUDA" and not e.is_user_annotation]
        self.kernels = len(events) / self.updates
        self.seconds = sum(event.time_range.elapsed_us() for event in events) / self.updates / 1e6
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.profile.export_chrome_trace(str(self.path))


class Clock(L.Callback):
    """Divides the time of a GAN stage's updates between their :data:`PARTS`.

    Each mark waits for the device, so that on a GPU the sum is more than an update takes otherwise.
    ``warm_up`` is the number of the first updates, which do not count.
    """

    def __init__(self, warm_up: int) -> None:
        self.warm_up, self.updates, self.last = warm_up, 0, 0.0
        self.seconds: dict[str, float] = defaultdict(float)

    # A mark gives the time since the one before it to a part, so no time is lost or counted twice.
    # Hooks mark the forward of each network, and in the backward the moment at which the gradient
    # has passed through it to its input. What remains of a backward is the learning player's own.
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, GAN)
        self.device = pl_module.device
        self._watch(pl_module.generator, "G")
        self._watch(pl_module.discriminator, "D")
        for term in pl_module.loss.terms.values():
            self._watch(term, "content loss")
        weight = next(pl_module.generator.parameters())  # frozen while the discriminator learns
        self._time(pl_module, "manual_backward", lambda: "G" if weight.requires_grad else "D")
        self._time(pl_module, "log_dict", lambda: "logging")
        self._time(pl_module.means, "add", lambda: "logging")
        for optimizer in trainer.optimizers:
            self._time(optimizer, "step", lambda: "optimisers")
        self.last = perf_counter()

    def on_train_batch_start(self, *args: Any, **kwargs: Any) -> None:
        self.mark("data")

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        self.mark("other")
        if batch_idx + 1 == self.warm_up:
            self.seconds.clear()
        else:
            self.updates += batch_idx >= self.warm_up

    def mark(self, part: str) -> None:
        """Gives the time since the last mark to a part."""
        wait(self.device)
        now = perf_counter()
        self.seconds[part] += now - self.last
        self.last = now

    def milliseconds(self) -> dict[str, float]:
        """The milliseconds of an update by part, the mean of all updates that count."""
        return {part: 1e3 * self.seconds[part] / max(1, self.updates) for part in PARTS}

    def _time(self, owner: Any, name: str, part: Callable[[], str]) -> None:
        """Marks the beginning and the end of each call of a method."""
        method = getattr(owner, name)

        def timed(*args: Any, **kwargs: Any) -> Any:
            self.mark("other")
            result = method(*args, **kwargs)
            self.mark(part())
            return result

        setattr(owner, name, timed)

    def _watch(self, network: nn.Module, part: str) -> None:
        """Marks each forward, and the end of the backward through the network."""

        def before(module: nn.Module, inputs: tuple[Tensor, ...]) -> Any:
            self.mark("other")
            image = inputs[0]
            if not (image.requires_grad and torch.is_grad_enabled()):
                return None
            image = image.view_as(image)  # a new node, whose gradient is this network's alone
            image.register_hook(lambda gradient: self.mark(part))  # type: ignore[no-untyped-call]
            return (image, *inputs[1:])

        network.register_forward_pre_hook(before)
        network.register_forward_hook(lambda module, inputs, output: self.mark(part))
