"""The base class of the stages: the generator, its schedule, its validation and its state."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast

import lightning as L
import torch
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import Adam, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from sr_gan.arguments import Decay, Pair, checked
from sr_gan.images.resize import bicubic
from sr_gan.losses import Objective
from sr_gan.metrics import psnr_y, ssim_y, to_uint8
from sr_gan.modules.ema import EMA
from sr_gan.modules.means import Means, Snapshot
from sr_gan.modules.schedules import Constant
from sr_gan.networks.split import Part, enlarge, split

Batch = dict[str, Any]  # lr (B, 3, h, w) in [0, 1], hr (B, 3, H, W) in [-1, 1]


T = TypeVar("T")

log = logging.getLogger(__name__)


def weight(batch: Batch) -> int:
    """Returns the weight of a validation photo in the means: 0 if another process has it, too."""
    return int(batch.get("weight", 1))


def channels_last(network: nn.Module) -> nn.Module:
    """Puts the weights of a network into the memory layout in which convolutions are fastest."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def images(batch: Batch) -> tuple[Tensor, Tensor]:
    """Returns LR and HR of a batch in the layout channels_last.

    Generated images have it, too, so that a compiler needs no second graph for photographs.
    """
    lr, hr = (batch[key].contiguous(memory_format=torch.channels_last) for key in ("lr", "hr"))
    return lr, hr


def gathered(trainer: L.Trainer, values: list[T]) -> list[T]:
    """Returns the plain values of all processes, by rank; every process gets the same list."""
    if trainer.world_size == 1:
        return values
    everyone: list[list[T]] = [[] for _ in range(trainer.world_size)]
    torch.distributed.all_gather_object(everyone, values)
    return [value for part in everyone for value in part]


def named_losses(terms: Mapping[str, Tensor], total: Tensor) -> dict[str, Tensor]:
    """Returns the generator's loss and its unweighted terms under their logged names."""
    return {"loss/generator": total, **{f"loss/{name}": term for name, term in terms.items()}}


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    """Restores buffers (BatchNorm's averages) and ``requires_grad``, and deletes gradients."""
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    learning = {name: parameter.requires_grad for name, parameter in module.named_parameters()}
    try:
        yield
    finally:
        for name, buffer in module.named_buffers():
            buffer.copy_(buffers[name])
        for name, parameter in module.named_parameters():
            parameter.grad = None
            parameter.requires_grad_(learning[name])


def gradient_norm(
    term: Tensor, inputs: Sequence[Tensor], scaler: GradScaler | None, keep_graph: bool = False
) -> Tensor:
    """Returns the norm of a term's gradient at tensors.

    In fp16 the term is scaled as the loss of an update is, or small gradients would be 0.
    """
    scale = scaler.get_scale() if scaler else 1.0
    found = torch.autograd.grad(scale * term, inputs, retain_graph=keep_graph, allow_unused=True)
    return nn.utils.get_total_norm([each for each in found if each is not None]) / scale


class SRModule(L.LightningModule):
    """The base class of the stages.

    Args:
        generator: the network under training; its scale factor is ``generator.scale``.
        loss: the objective that the generator minimises.
        epochs: the length of the stage in epochs.
        betas: Adam's averaging factors.
        schedule: the schedule of the learning rates; ``None`` keeps them constant.
        ema: the decay of the generator's moving average, in [0, 1). The average, if there is one,
            is what is validated and saved; 0 switches it off.

    Raises:
        ValueError: an argument is outside its allowed values.
    """

    players: tuple[str, ...] = ("generator",)  # each has an optimiser, in this order
    learning_rates: tuple[float, ...]  # those that the settings ask for, by player

    @checked
    def __init__(
        self,
        generator: nn.Module,
        loss: Objective,
        epochs: PositiveInt,
        betas: Pair[Decay] = (0.9, 0.999),
        schedule: Constant | None = None,
        ema: Decay = 0.0,
    ) -> None:
        super().__init__()
        if not isinstance(getattr(generator, "scale", None), int):
            raise ValueError(
                f"the generator {type(generator).__name__} has no attribute scale, its scale factor"
            )
        if loss.averaged and not ema:
            raise ValueError(
                f"{', '.join(loss.averaged)} of the loss looks at the averaged generator's image: "
                f"ema must be above 0, such as 0.999, got {ema}"
            )
        self.generator = channels_last(generator)
        self.average = EMA(self.generator, ema) if ema else None
        self.loss = loss
        self.epochs = epochs
        self.betas = (betas[0], betas[1])
        self.schedule = schedule or Constant()
        self.means = Means()
        self.noted: tuple[Snapshot, dict[str, float], int] | None = None  # a point of the curves
        self.taken: dict[str, Any] = {}  # the means of an epoch whose validation is to come
        self.retaken = False  # whether they are from a checkpoint
        self.rates: dict[str, float] = {}
        self.rehearsing = False
        self.ranked = False  # whether a callback logs quality/rank
        self.bicubic: dict[str, dict[str, Tensor]] = {}
        self.parts: tuple[Part, Part] | None = None

    @property
    def evaluated(self) -> nn.Module:
        """The generator that is validated and saved: the average, if there is one."""
        return self.average.generator if self.average else self.generator

    @property
    def progress(self) -> float:
        """The share of the stage that was done before this batch, in [0, 1)."""
        batches = max(1, int(self.trainer.num_training_batches))
        done = self.trainer.fit_loop.epoch_loop.batch_progress.current.ready - 1
        return (self.trainer.current_epoch + max(0, done) / batches) / self.epochs

    @property
    def updates(self) -> int:
        """The number of updates that are done, which is the step of all curves and pictures."""
        return int(self.trainer.fit_loop.epoch_loop.batch_progress.total.processed)  # type: ignore[attr-defined]

    def rehearse(self, batch: Batch) -> None:
        """Runs all forward and backward passes of an update without changing any state."""
        means, self.means, self.rehearsing = self.means, Means(), True
        try:
            with unchanged(self):
                with self.trainer.precision_plugin.train_step_context():
                    loss = self.training_step(batch, 0)
                if self.automatic_optimization:
                    self.backward(loss)  # type: ignore[arg-type]
        finally:
            self.means, self.rehearsing = means, False

    def backward(self, loss: Tensor, *args: Any, **kwargs: Any) -> None:
        """Runs outside autocast, which would compute the gradient of a gradient in 16 bits."""
        with torch.autocast(loss.device.type, enabled=False):
            super().backward(loss, *args, **kwargs)

    def content(self, lr: Tensor, sr: Tensor, hr: Tensor) -> dict[str, Tensor]:
        """Returns the unweighted content terms; ``sr`` is the generator's image of ``lr``."""
        averaged = None
        if self.average and self.loss.averaged:
            with torch.no_grad():
                averaged = self.average.generator(lr)
        return self.loss.content(sr, hr, averaged)

    def follow(self) -> None:
        """Moves the average, as a part of the update: no checkpoint is written in between."""
        if self.average:
            self.average.update(self.generator)

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Adds a point to the curves every ``trainer.log_every_n_steps`` updates.

        A checkpoint of the last update has been written before, so that a resumed run adds it, too.
        """
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and self.updates % every == 0:
            self._note_point()

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Hands the epoch's means to Lightning before the validation and the table read them.

        Loggers have got them as points, of which the epoch's last one is added here.
        """
        if self.trainer.is_last_batch:
            self._note_point()
            self._write_point()
            self.taken = {**self.rates, **self.means.take()}
            self._log_means()
            self._log_place()

    def on_validation_epoch_end(self) -> None:
        """Hands over the means of a resumed epoch of which only the validation was left."""
        if self.retaken:
            self._log_means()
        self._log_place()

    def _log_means(self) -> None:
        self.log_dict(self.taken, on_step=False, on_epoch=True, batch_size=1, logger=False)

    def _log_place(self) -> None:
        """Tells loggers the epoch, counted from 1, and the step; Lightning would use its own."""
        place = {"epoch": self.trainer.current_epoch + 1.0, "step": float(self.updates)}
        self.log_dict(place, on_step=False, on_epoch=True, batch_size=1)

    def _note_point(self) -> None:
        """Notes the means since the last point, and writes that one, which has arrived by now."""
        self._write_point()
        snapshot = self.means.snapshot()
        if snapshot and self.loggers and self.trainer.is_global_zero:
            others = {**self._current_rates(), "epoch": self.trainer.current_epoch + 1.0}
            self.noted = snapshot, others, self.updates

    def _write_point(self) -> None:
        if self.noted:
            (snapshot, others, step), self.noted = self.noted, None
            metrics = {**snapshot.read(), **others}
            for logger in self.loggers:
                logger.log_metrics(metrics, step)

    def configure_optimizers(self) -> Any:
        """Returns an optimiser for each player, and its schedule over the whole stage.

        An optimiser is fused into one kernel, except in fp16: a fused one unscales the gradients
        itself, when their norms have already been logged.
        """
        interval = self.schedule.interval
        updates = self.trainer.estimated_stepping_batches if interval == "step" else self.epochs
        optimizers = [
            Adam(getattr(self, player).parameters(), rate, self.betas, fused=not self.scaled)
            for player, rate in zip(self.players, self.learning_rates)
        ]
        schedules = [self.schedule.attach(optimizer, updates) for optimizer in optimizers]
        return optimizers, [{"scheduler": each, "interval": interval} for each in schedules]

    @property
    def scaled(self) -> bool:
        """Whether losses are scaled up before the backward pass, as fp16 needs."""
        return self.scaler is not None

    @property
    def scaler(self) -> GradScaler | None:
        """What scales losses in fp16, or None."""
        return getattr(self.trainer.precision_plugin, "scaler", None)

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Returns PSNR-Y and SSIM-Y of one photo and of its bicubic, and the uint8 images."""
        scale = int(self.generator.scale)  # type: ignore[arg-type]
        lr = batch["lr"].mul(255).round().to(torch.uint8)
        images = {
            "lr": lr,
            "sr": to_uint8(self._enlarge(batch["lr"])),
            "hr": to_uint8(batch["hr"]),
        }
        scores = {
            "quality/psnr_y": psnr_y(images["sr"], images["hr"], scale),
            "quality/ssim_y": ssim_y(images["sr"], images["hr"], scale),
            **self._bicubic_scores(images, batch["name"][0], scale),
        }
        rank = {} if self.ranked else {"quality/rank": -scores["quality/psnr_y"]}
        for name, score in {**scores, **rank}.items():
            value = score.mean() if weight(batch) else score.new_zeros(())
            self.log(name, value, on_epoch=True, batch_size=weight(batch))
        return {**images, **scores}

    def on_validation_start(self) -> None:
        """Gives all processes the BatchNorm averages of the first one, which are the saved ones.

        cuDNN stops trying out its algorithms, which would take seconds for each photo size.
        """
        self.autotuning = torch.backends.cudnn.benchmark
        torch.backends.cudnn.benchmark = False
        if self.trainer.world_size > 1:
            for buffer in self.evaluated.buffers():
                torch.distributed.broadcast(buffer, 0)

    def on_validation_end(self) -> None:
        torch.backends.cudnn.benchmark = self.autotuning

    def log(self, *args: Any, **options: Any) -> None:
        """Logs the mean over all processes; callbacks log through this method, too."""
        super().log(*args, **{**options, "sync_dist": True})

    def _enlarge(self, lr: Tensor) -> Tensor:
        """Enlarges as the generator in eval mode does, in bounded memory for any photo size."""
        self.parts = self.parts or split(self.evaluated)
        return enlarge(*self.parts, lr, int(self.generator.scale))  # type: ignore[arg-type]

    def _bicubic_scores(
        self, images: dict[str, Tensor], name: str, scale: int
    ) -> dict[str, Tensor]:
        """Returns bicubic's scores; they never change and are measured once for each photo."""
        if name not in self.bicubic:
            enlarged = bicubic(images["lr"], scale)
            self.bicubic[name] = {
                "quality/psnr_y_bicubic": psnr_y(enlarged, images["hr"], scale),
                "quality/ssim_y_bicubic": ssim_y(enlarged, images["hr"], scale),
            }
        return self.bicubic[name]

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Notes the unscaled norm of the moving player's gradient.

        If the loss scaling was too strong, the norm is infinite. The update is then skipped, and
        the norm is left out of the mean.
        """
        player = self.players[self.trainer.optimizers.index(optimizer)]
        gradients = (parameter.grad for parameter in getattr(self, player).parameters())
        norm = nn.utils.get_total_norm([each for each in gradients if each is not None])
        self.means.add({f"optimizer/grad_norm_{player}": norm}, finite=self.scaled)

    def on_train_start(self) -> None:
        """Puts the optimisers of a resumed run at the point of today's schedules."""
        for config in self.trainer.lr_scheduler_configs:
            scheduler = cast(LambdaLR, config.scheduler)
            (group,), (base,) = scheduler.optimizer.param_groups, scheduler.base_lrs
            group["lr"] = base * scheduler.lr_lambdas[0](scheduler.last_epoch)
        self.means.load_state_dict(self.means.state_dict(), self.device)
        self._validate_the_last_epoch()
        now = self._current_rates()
        self.rates = {**now, **self.rates}  # those of an epoch resumed in its middle are older
        if self.trainer.ckpt_path:
            epoch = f"{self.trainer.current_epoch + 1} of {self.epochs}"
            rates = ", ".join(f"{name.partition('/')[2]}={rate:.4g}" for name, rate in now.items())
            log.info("resumed    %s in epoch %s, %s", type(self).__name__, epoch, rates)

    def on_train_epoch_start(self) -> None:
        """Notes the learning rates of the epoch."""
        self.rates, self.retaken = self._current_rates(), False
        self._validate_the_last_epoch()

    def _validate_the_last_epoch(self) -> None:
        """Lets the last epoch be validated when it is no multiple of the epochs between two."""
        by_epoch = self.trainer.check_val_every_n_epoch is not None  # else by updates
        if by_epoch and self.trainer.current_epoch + 1 == self.epochs:
            self.trainer.check_val_every_n_epoch = 1

    def _current_rates(self) -> dict[str, float]:
        return {
            f"optimizer/lr_{player}": float(optimizer.param_groups[0]["lr"])
            for player, optimizer in zip(self.players, self.trainer.optimizers)
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Adds the measurements of the epoch so far; the resumed run goes on after them."""
        self._write_point()
        taken = self.taken if self.trainer.validating else {}
        checkpoint["epoch_so_far"] = {
            "means": self.means.state_dict(),
            "taken": {name: float(value) for name, value in taken.items()},
            "rates": self.rates,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restores them, and writes the settings of Adam into the state of the optimisers.

        Lightning would restore the learning rates and averaging factors of the earlier run over
        those that were asked for. Rates that were lowered since the run began stay lower by the
        same factor.
        """
        so_far = checkpoint.get("epoch_so_far", {"means": [], "taken": {}, "rates": {}})
        self.means.load_state_dict(so_far["means"], "cpu")
        self.taken, self.retaken = so_far["taken"], bool(so_far["taken"])
        self.rates = so_far["rates"]
        states = checkpoint["optimizer_states"], checkpoint["lr_schedulers"]
        for player, rate, optimizer, schedule in zip(self.players, self.learning_rates, *states):
            (group,) = optimizer["param_groups"]
            factor = rate / group["initial_lr"]
            group |= {"initial_lr": rate, "lr": group["lr"] * factor, "betas": self.betas}
            group["fused"] = not self.scaled
            schedule["base_lrs"] = [base * factor for base in schedule["base_lrs"]]
            if factor != 1:
                self.rates.pop(f"optimizer/lr_{player}", None)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # type: ignore[override]
        """Returns the state without the losses: VGG's 80 MB are in a file of their own."""
        state = super().state_dict(*args, **kwargs)
        return {key: value for key, value in state.items() if not key.startswith("loss.")}

    def load_state_dict(self, state_dict: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        # A checkpoint lacks the losses; their own tensors complete it for the strict check.
        losses = self.loss.state_dict(prefix="loss.")
        return super().load_state_dict({**losses, **state_dict}, *args, **kwargs)
