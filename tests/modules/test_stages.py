"""The stages against a plain PyTorch loop, and which loss moves which network."""

import copy
from collections.abc import Callable
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader

from sr_gan.losses import BCEAdversarialLoss, Objective, TotalVariationLoss, VGGLoss
from sr_gan.modules import GAN, Cosine, Pretrain
from sr_gan.networks import MSRResNet, SRResNet, VGGDiscriminator

CROP, BATCH = 32, 2
Networks = tuple[nn.Module, nn.Module]


@pytest.fixture
def networks() -> Networks:
    return SRResNet(filters=4, blocks=1), VGGDiscriminator(CROP, filters=2, dense=4)


def batches(count: int) -> DataLoader[dict[str, Tensor]]:
    items = [
        {"lr": torch.rand(3, CROP // 4, CROP // 4), "hr": torch.rand(3, CROP, CROP) * 2 - 1}
        for _ in range(count * BATCH)
    ]
    return DataLoader(items, BATCH)  # type: ignore[arg-type]


def fit(
    module: L.LightningModule, loader: DataLoader[Any], logger: Any = False, **settings: Any
) -> L.Trainer:
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=getattr(module, "epochs", 1),
        logger=logger,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(module, loader)
    return trainer


def moved(network: nn.Module, change: Callable[[], object]) -> bool:
    before = copy.deepcopy([p.detach() for p in network.parameters()])
    change()
    return any(not torch.equal(a, b) for a, b in zip(before, network.parameters()))


def test_gan_equals_a_plain_loop(networks: Networks) -> None:
    """The plain loop has a generator pass for each player and freezes nothing; in float64."""
    generator, discriminator = (network.double() for network in networks)
    plain_g, plain_d = copy.deepcopy(generator), copy.deepcopy(discriminator)
    loader = batches(3)
    objective = Objective(
        {"mse": 1.0, "adversarial": 1e-2}, {"mse": nn.MSELoss()}, BCEAdversarialLoss()
    )
    module = GAN(generator, discriminator, objective, epochs=1, generator_lr=1e-3)
    fit(module, loader, precision="64-true")

    optimizer_g = torch.optim.Adam(plain_g.parameters(), 1e-3)
    optimizer_d = torch.optim.Adam(plain_d.parameters(), 1e-4)
    for batch in loader:
        lr, hr = batch["lr"].double(), batch["hr"].double()
        with torch.no_grad():
            frozen = copy.deepcopy(plain_g)(lr)  # BatchNorm's averages move once per batch
        loss_d = -F.logsigmoid(plain_d(hr)).mean() - F.logsigmoid(-plain_d(frozen)).mean()
        optimizer_d.zero_grad()
        loss_d.backward()
        optimizer_d.step()
        sr = plain_g(lr)
        loss_g = (sr - hr).square().mean() - 1e-2 * F.logsigmoid(plain_d(sr)).mean()
        optimizer_g.zero_grad()
        loss_g.backward()
        optimizer_g.step()

    for ours, plain in ((generator, plain_g), (discriminator, plain_d)):
        for (name, a), b in zip(ours.state_dict().items(), plain.state_dict().values()):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7, msg=name)


@pytest.mark.parametrize("precision", ["64-true", "bf16-mixed"])
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(precision: Any) -> None:
    """The networks have no BatchNorm, which averages over a part."""
    results = []
    loader = batches(3)
    for parts in (1, 2):
        torch.manual_seed(0)
        generator = MSRResNet(filters=4, blocks=1)
        discriminator = VGGDiscriminator(CROP, filters=2, dense=4)
        for name, layer in list(discriminator.named_modules()):
            if isinstance(layer, nn.BatchNorm2d):
                discriminator.set_submodule(name, nn.Identity())
        objective = Objective(
            {"mse": 1.0, "adversarial": 1e-2}, {"mse": nn.MSELoss()}, BCEAdversarialLoss()
        )
        module = GAN(generator, discriminator, objective, epochs=1, accumulate=parts)
        norms: list[Tensor] = []
        module.on_before_optimizer_step = lambda optimizer, norms=norms: norms.append(  # type: ignore
            torch.cat([p.grad.flatten().double() for p in optimizer.param_groups[0]["params"]])
        )
        fit(module, loader, precision=precision)
        results.append(norms)
    assert len(results[0]) == 6  # one for each player and batch
    tolerance = 1e-9 if precision == "64-true" else 0.1
    for whole, parts in zip(*results):
        assert (whole - parts).norm() < tolerance * whole.norm()


def test_a_batch_in_parts_moves_batch_norms_averages_once_a_part() -> None:
    generator = SRResNet(filters=4, blocks=1)
    objective = Objective({"adversarial": 1.0}, {}, BCEAdversarialLoss())
    discriminator = VGGDiscriminator(CROP, filters=2, dense=4)
    fit(GAN(generator, discriminator, objective, epochs=1, accumulate=2), batches(3))
    counted = [n.num_batches_tracked for n in generator.modules() if isinstance(n, nn.BatchNorm2d)]
    assert [int(count) for count in counted] == [6] * 3  # type: ignore[arg-type]


def test_validation_in_pieces_is_the_generators_result(networks: Networks) -> None:
    objective = Objective({"mse": 1.0}, {"mse": nn.MSELoss()})
    module = Pretrain(networks[0], objective, epochs=1).eval()
    lr = torch.rand(1, 3, 70, 131)  # not a multiple of a piece's side
    with torch.inference_mode():
        torch.testing.assert_close(module._enlarge(lr), networks[0](lr), rtol=1e-5, atol=1e-6)


def test_an_epochs_numbers_are_means_over_all_its_updates(networks: Networks) -> None:
    weights = {"l1": 1.0, "adversarial": 1e-3}
    objective = Objective(weights, {"l1": nn.L1Loss()}, BCEAdversarialLoss())
    module = GAN(*networks, objective, epochs=1)
    losses: list[float] = []

    class Probe(L.Callback):
        def on_train_batch_end(
            self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, *args: Any
        ) -> None:
            losses.append(float(outputs["D"]))

    trainer = fit(module, batches(2), callbacks=[Probe()])
    logged = trainer.callback_metrics
    assert float(logged["loss/discriminator"]) == pytest.approx(sum(losses) / 2)
    assert float(logged["optimizer/grad_norm_discriminator"]) > 0


@pytest.mark.parametrize("term", ["mse", "l1", "vgg", "tv", "adversarial"])
def test_each_term_moves_the_generator(networks: Networks, term: str) -> None:
    terms = {
        "mse": nn.MSELoss(),
        "l1": nn.L1Loss(),
        "vgg": VGGLoss(["relu1_2"], "random"),
        "tv": TotalVariationLoss(),
    }
    weights = {name: float(name == term) for name in [*terms, "adversarial"]}
    module = GAN(*networks, Objective(weights, terms, BCEAdversarialLoss()), epochs=1)
    vgg = terms["vgg"]
    assert moved(networks[0], lambda: fit(module, batches(1)))
    assert all(p.grad is None for p in vgg.parameters())


def test_the_generators_loss_leaves_the_discriminator_alone(networks: Networks) -> None:
    class Idle(BCEAdversarialLoss):
        """Has a discriminator loss of 0, so that only G's step could move D."""

        def discriminator(self, real: Tensor, fake: Tensor) -> Tensor:
            return 0 * (real.sum() + fake.sum())

    objective = Objective({"adversarial": 1.0}, {}, Idle())
    generator, discriminator = networks
    before = copy.deepcopy(generator)
    module = GAN(generator, discriminator, objective, epochs=1)
    assert not moved(discriminator, lambda: fit(module, batches(2)))
    assert any(not torch.equal(a, b) for a, b in zip(before.parameters(), generator.parameters()))


def test_the_discriminators_loss_leaves_the_generator_alone(networks: Networks) -> None:
    objective = Objective(
        {"mse": 0.0, "adversarial": 0.0}, {"mse": nn.MSELoss()}, BCEAdversarialLoss()
    )
    module = GAN(*networks, objective, epochs=1)
    discriminator = networks[1]
    assert not moved(networks[0], lambda: fit(module, batches(1)))
    module = GAN(*networks, objective, epochs=1)
    assert moved(discriminator, lambda: fit(module, batches(1)))


@pytest.mark.parametrize("interval", ["step", "epoch"])
@pytest.mark.parametrize("stage", [Pretrain, GAN])
def test_schedules_are_stepped(networks: Networks, stage: type, interval: str) -> None:
    schedule = Cosine(final=0.0, interval=interval)  # type: ignore[arg-type]
    module: Pretrain | GAN
    if stage is GAN:
        objective = Objective({"adversarial": 1.0}, {}, BCEAdversarialLoss())
        module = GAN(*networks, objective, epochs=2, generator_lr=1.0, schedule=schedule)
    else:
        objective = Objective({"mse": 1.0}, {"mse": nn.MSELoss()})
        module = Pretrain(networks[0], objective, epochs=2, lr=1.0, schedule=schedule)
    seen = []

    class Rates(L.Callback):
        def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
            seen.append(trainer.optimizers[0].param_groups[0]["lr"])

    fit(module, batches(2), callbacks=[Rates()])
    at = [1 / 8, 3 / 8, 5 / 8, 7 / 8] if interval == "step" else [1 / 4, 1 / 4, 3 / 4, 3 / 4]
    assert seen == pytest.approx([schedule.factor(progress) for progress in at])


def test_bf16_trains_and_stays_finite(networks: Networks) -> None:
    objective = Objective(
        {"mse": 1.0, "vgg": 1.0, "adversarial": 1e-3},
        {"mse": nn.MSELoss(), "vgg": VGGLoss(["relu1_2"], "random")},
        BCEAdversarialLoss(),
    )
    module = GAN(*networks, objective, epochs=1)
    assert moved(networks[0], lambda: fit(module, batches(2), precision="bf16-mixed"))
    assert all(torch.isfinite(p).all() for p in module.parameters())


@pytest.mark.gpu
def test_fp16_trains_and_stays_finite(networks: Networks) -> None:
    objective = Objective(
        {"mse": 1.0, "adversarial": 1e-3}, {"mse": nn.MSELoss()}, BCEAdversarialLoss()
    )
    module = GAN(*networks, objective, epochs=1)
    trainer = L.Trainer(
        accelerator="gpu",
        devices=1,
        precision="16-mixed",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
    )
    start = copy.deepcopy(networks[0].state_dict())
    trainer.fit(module, batches(8))
    assert all(torch.isfinite(p).all() for p in module.parameters())
    assert any(not torch.equal(start[k], v.cpu()) for k, v in networks[0].state_dict().items())


def test_checkpoints_leave_vgg_out(networks: Networks) -> None:
    content = {"vgg": VGGLoss(["relu1_2"], "random")}
    objective = Objective({"vgg": 1.0, "adversarial": 1.0}, content, BCEAdversarialLoss())
    module = GAN(*networks, objective, epochs=1)
    state = module.state_dict()
    assert {key.split(".")[0] for key in state} == {"generator", "discriminator"}
    module.load_state_dict(state)
    del state["generator.tail.0.bias"]
    with pytest.raises(RuntimeError, match=r"generator\.tail\.0\.bias"):
        module.load_state_dict(state)


def test_validation_measures_bicubic_beside_the_generator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A generator that computes bicubic must score like it."""
    from sr_gan.images.resize import bicubic, downscale

    class Bicubic(nn.Module):
        scale, halo = 4, 3

        def forward(self, lr: Tensor) -> Tensor:
            return bicubic(lr.mul(255).round().to(torch.uint8), 4).float() / 127.5 - 1

    hr = torch.randint(0, 256, (1, 3, 288, 320), dtype=torch.uint8)  # two pieces
    batch = {"lr": downscale(hr, 4).float() / 255, "hr": hr.float() / 127.5 - 1, "name": ["noise"]}
    objective = Objective({"mse": 1.0}, {"mse": nn.MSELoss()})
    module = Pretrain(Bicubic(), objective, epochs=1)
    logged: dict[str, float] = {}

    def log(name: str, value: Tensor, **_: object) -> None:
        logged[name] = float(value)

    monkeypatch.setattr(module, "log", log)
    images = module.validation_step(batch, 0)
    assert torch.equal(images["hr"], hr)
    assert logged["quality/psnr_y"] == logged["quality/psnr_y_bicubic"]
    assert logged["quality/ssim_y"] == logged["quality/ssim_y_bicubic"]


def test_refuses_a_loss_of_the_other_stage(networks: Networks) -> None:
    content = Objective({"mse": 1.0}, {"mse": nn.MSELoss()})
    gan = Objective({"adversarial": 1.0}, {}, BCEAdversarialLoss())
    with pytest.raises(ValueError, match="a pretrain has no discriminator"):
        Pretrain(networks[0], gan, 1)
    with pytest.raises(ValueError, match="a GAN needs an adversarial loss"):
        GAN(*networks, content, 1)
