"""What an update must not do on a GPU, tested on a CPU: wait, or differentiate in 16 bits."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch.amp.grad_scaler import GradScaler
from torch.utils._python_dispatch import TorchDispatchMode

from sr_gan.callbacks import Health
from sr_gan.losses import R1Penalty
from sr_gan.modules import GAN, Pretrain
from sr_gan.modules.base import gradient_norm
from sr_gan.networks import VGGDiscriminator
from sr_gan.settings.build import build, build_all
from tests.conftest import RECIPES, Compose
from tests.modules.test_stages import batches, fit

# Calls that read a tensor's numbers, in Python and below; on a GPU each waits for all kernels.
READING = ("item", "tolist", "numpy", "cpu", "__bool__", "__int__", "__float__", "__index__")
READING_OPS = {"_local_scalar_dense", "nonzero", "masked_select", "is_nonzero", "equal", "unique"}


class _Ops(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.split(".")[0]
        masks = name == "index" and any(x is not None and x.dtype == torch.bool for x in args[1])
        if name in READING_OPS or masks:
            raise AssertionError(f"the host would wait for the GPU in {name}")
        return func(*args, **(kwargs or {}))


@contextmanager
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails at a call that would make the host wait for a GPU."""

    def refusing(name: str) -> Callable[..., Any]:
        def refuse(*args: Any, **kwargs: Any) -> Any:
            raise AssertionError(f"the host would wait for the GPU in Tensor.{name}")

        return refuse

    to = torch.Tensor.to

    @functools.wraps(to)
    def not_to_the_host(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        if "cpu" in {x for x in (*args, *kwargs.values()) if isinstance(x, str)}:
            raise AssertionError("the host would wait for the GPU in Tensor.to")
        return to(tensor, *args, **kwargs)

    with monkeypatch.context() as patch, _Ops():
        for name in READING:
            patch.setattr(torch.Tensor, name, refusing(name))
        patch.setattr(torch.Tensor, "to", not_to_the_host)
        yield


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.item(),
        lambda x: float(x),
        lambda x: bool(x > 0),
        lambda x: x.cpu(),
        lambda x: x.to("cpu"),
        lambda x: x.detach().numpy(),
        lambda x: x.reshape(1)[x.reshape(1) > 0],
        lambda x: torch.equal(x, x),
    ],
)
def test_the_guard_finds_what_waits(monkeypatch: pytest.MonkeyPatch, wait: Any) -> None:
    with pytest.raises(AssertionError, match="would wait for the GPU"), no_waiting(monkeypatch):
        wait(torch.tensor(1.0))
    assert torch.tensor(1.0).item() == 1


UPDATES = [
    "pretrain.ema=0.9",
    "gan.ema=0.9",
    "adversarial=relativistic",
    "adversarial=hinge",
    "adversarial=least_squares",
    "adversarial=wasserstein",
    "penalty=r1",
    "penalty=gradient",
    "gan.accumulate=2",
    "gan.discriminator_every=2",
    "gan.instance_noise=0.1",
    "gan.adversarial_ramp=0.5",
    "loss@gan.loss=wavelet_gan",
    "loss@gan.loss=perceptual_gan",
    "discriminator=unet",
    *RECIPES,
]


def stage(composed: Compose, vgg_file: Any, variant: str) -> tuple[Any, Pretrain | GAN]:
    """Returns the configuration and the module of a variant, with cosine schedules."""
    extra = [f"loss@gan.loss={variant.split('=')[1]}"] if variant.startswith("loss@") else []
    if "perceptual" in variant:
        layers = ["layers=[relu1_2]", "layer_weights=[1.0]", f"weights={vgg_file}"]
        extra += [f"gan.loss.content.vgg.{setting}" for setting in layers]
    extra += [variant] if not extra else []
    sizes = ["generator.filters=4", "generator.blocks=1", "discriminator.filters=2"]
    sizes += [] if "unet" in variant else ["discriminator.dense=4"]
    sizes += ["data.crop=32", "gan.epochs=1", "pretrain.epochs=1"]
    cosine = [f"schedule@{name}.schedule=cosine" for name in ("pretrain", "gan")]
    cfg = composed("quickstart", *extra, *cosine, "callbacks.progress=null", small=sizes)
    name = "pretrain" if variant.startswith("pretrain") else "gan"
    return cfg, build(cfg[name], generator=build(cfg.generator))


@pytest.mark.parametrize("variant", UPDATES)
def test_an_update_never_waits_for_the_device(
    composed: Compose,
    recipe: Compose,
    vgg_file: Any,
    monkeypatch: pytest.MonkeyPatch,
    variant: str,
) -> None:
    """All callbacks see each update.

    Only the progress bar, a reading of health and the end of an epoch may wait, at times.
    """
    if variant in RECIPES:
        cfg = recipe(variant)
        module = build(cfg.gan, generator=build(cfg.generator))
    else:
        cfg, module = stage(composed, vgg_file, variant)
    step, ended = module.training_step, module.on_train_batch_end
    guarded = 0

    def guarded_step(*args: Any) -> Any:
        nonlocal guarded
        guarded += 1
        with no_waiting(monkeypatch):
            return step(*args)

    def guarded_end(*args: Any) -> None:
        with no_waiting(monkeypatch):
            ended(*args)

    callbacks = build_all(cfg.callbacks, "gan")
    for callback in callbacks:
        after = callback.on_train_batch_end
        if not isinstance(callback, L.pytorch.callbacks.Checkpoint):
            callback.on_train_batch_end = functools.partial(_guard, monkeypatch, after)
    module.training_step, module.on_train_batch_end = guarded_step, guarded_end
    fit_with_checkpoints(module, callbacks)
    assert guarded == 4


def _guard(monkeypatch: pytest.MonkeyPatch, call: Callable[..., None], *args: Any) -> None:
    with no_waiting(monkeypatch):
        call(*args)


def fit_with_checkpoints(module: L.LightningModule, callbacks: list[L.Callback]) -> None:
    trainer = L.Trainer(
        accelerator="cpu",
        precision="bf16-mixed",
        max_epochs=1,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
    )
    trainer.fit(module, batches(4))


@pytest.mark.gpu
@pytest.mark.parametrize("variant", ["gan.ema=0.9", "penalty=r1", "gan.accumulate=2"])
def test_an_update_does_not_wait_for_a_gpu(composed: Compose, vgg_file: Any, variant: str) -> None:
    _, module = stage(composed, vgg_file, variant)
    step = module.training_step

    def watched(*args: Any) -> Any:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return step(*args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    module.training_step = watched  # type: ignore[method-assign,assignment]
    trainer = L.Trainer(
        accelerator="gpu",
        devices=1,
        precision="bf16-mixed",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, batches(4))


@pytest.mark.parametrize("variant", ["pretrain.ema=0.9", "gan.ema=0.9", "penalty=r1"])
def test_gradients_are_taken_outside_of_autocast(
    composed: Compose, vgg_file: Any, monkeypatch: pytest.MonkeyPatch, variant: str
) -> None:
    """This holds for every loss, for penalties and for the readings of health."""
    _, module = stage(composed, vgg_file, variant)
    calls: dict[str, list[bool]] = {"backward": [], "grad": []}

    def spy(name: str, original: Any) -> Any:
        def spied(*args: Any, **kwargs: Any) -> Any:
            calls[name].append(torch.is_autocast_enabled("cpu"))
            return original(*args, **kwargs)

        return spied

    monkeypatch.setattr(torch.Tensor, "backward", spy("backward", torch.Tensor.backward))
    monkeypatch.setattr(torch.autograd, "grad", spy("grad", torch.autograd.grad))
    fit(module, batches(4), precision="bf16-mixed", callbacks=[Health("unused", every=2)])
    watched = isinstance(module, GAN)
    assert len(calls["backward"]) == 4 * (1 + watched)
    assert bool(calls["grad"]) == watched
    assert not any(calls["backward"] + calls["grad"])


@pytest.mark.gpu
def test_the_penaltys_gradient_is_that_of_fp32_on_a_gpu(composed: Compose, vgg_file: Any) -> None:
    """It is the gradient by D's weights, taken as in an update of bf16-mixed training."""
    _, module = stage(composed, vgg_file, "penalty=r1")
    assert isinstance(module, GAN)
    discriminator = VGGDiscriminator(32, filters=8, dense=8, norm="none").cuda()
    images = torch.rand(4, 3, 32, 32, device="cuda") * 2 - 1
    draws = torch.Generator("cuda")

    def gradient(mixed: bool) -> torch.Tensor:
        discriminator.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=mixed):
            loss = R1Penalty(1.0, 1)(discriminator, images, images, draws)
            module.backward(loss)
        return torch.cat(
            [p.grad.flatten() for p in discriminator.parameters() if p.grad is not None]
        )

    exact, mixed = gradient(False), gradient(True)
    assert exact.norm() > 0
    assert (mixed - exact).norm() < 1e-3 * exact.norm()  # in TF32 if it is on, but not in bfloat16


def test_cudnn_tries_its_algorithms_in_training_only(composed: Compose, vgg_file: Any) -> None:
    """Whole validation photos come in many sizes; it would try them anew for each size."""
    _, module = stage(composed, vgg_file, "pretrain.ema=0.9")
    seen: dict[str, set[bool]] = {"train": set(), "validation": set()}
    step = module.training_step

    def training_step(*args: Any) -> Any:
        seen["train"].add(torch.backends.cudnn.benchmark)
        return step(*args)

    def validation_step(*args: Any) -> None:
        seen["validation"].add(torch.backends.cudnn.benchmark)

    module.training_step = training_step  # type: ignore[method-assign,assignment]
    module.validation_step = validation_step  # type: ignore[method-assign,assignment]
    before = torch.backends.cudnn.benchmark
    try:
        trainer = L.Trainer(
            accelerator="cpu",
            benchmark=True,
            max_epochs=2,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(module, batches(2), batches(1))
        assert trainer.state.fn == TrainerFn.FITTING
        assert seen == {"train": {True}, "validation": {False}}
    finally:
        torch.backends.cudnn.benchmark = before


@pytest.mark.parametrize("variant", ["pretrain.ema=0.9", "gan.ema=0.9"])
def test_the_average_has_moved_before_anything_is_saved(
    composed: Compose, vgg_file: Any, variant: str
) -> None:
    """A checkpoint written after an update holds the average of that update."""
    _, module = stage(composed, vgg_file, variant)
    seen = []

    class Save(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *args: Any) -> None:
            assert module.average is not None
            seen.append(module.average.updates)

    fit(module, batches(3), callbacks=[Save()])
    assert seen == [1, 2, 3]


def test_small_gradients_in_fp16_are_not_zero() -> None:
    """The least number of fp16 is 6e-8, and the gradient here is 1e-9."""
    scaler = GradScaler("cpu")
    scaler.scale(torch.ones(()))  # as the first update does
    norms = []
    for kind in (scaler, None):
        image = torch.ones(1, 1, 3, 3, requires_grad=True)
        with torch.autocast("cpu", torch.float16):
            features = torch.nn.functional.conv2d(image, torch.ones(1, 1, 3, 3)).float()
        norms.append(gradient_norm(1e-9 * features.sum(), [image], kind).item())
    assert norms == [pytest.approx(3e-9, rel=1e-2), 0]
