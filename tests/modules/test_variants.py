"""Every generator, discriminator, loss and penalty of conf/ trains, in fp32 and bf16."""

import copy
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import nn

from sr_gan.errors import UserError
from sr_gan.losses import BCEAdversarialLoss, LDLLoss, Objective, R1Penalty
from sr_gan.modules import GAN, Pretrain
from sr_gan.modules.ema import EMA
from sr_gan.networks import SRResNet, VGGDiscriminator
from sr_gan.settings.build import build
from sr_gan.settings.conf import conf_dir
from tests.conftest import RECIPES, Compose
from tests.modules.test_stages import batches, fit

SIZES = {
    "vgg": ["discriminator.filters=2", "discriminator.dense=4"],
    "patch": ["discriminator.filters=2"],
    "unet": ["discriminator.filters=2"],
    "bands": ["discriminator.filters=2"],
    "resnet": ["generator.filters=4", "generator.blocks=1"],
    "compact": ["generator.filters=4", "generator.blocks=1"],
    "rrdb": ["generator.filters=4", "generator.blocks=1", "generator.growth=2"],
}


def choices(group: str) -> list[str]:
    return sorted(path.stem for path in (conf_dir() / group).glob("*.yaml"))


VARIANTS = [
    *(f"generator={name}" for name in choices("generator")),
    *(f"discriminator={name}" for name in choices("discriminator")),
    *(f"adversarial={name}" for name in choices("adversarial")),
    *(f"penalty={name}" for name in choices("penalty")),
    "gan.ema=0.9",
    "gan.instance_noise=0.1",
    "gan.adversarial_ramp=0.5",
    "gan.discriminator_every=2",
    "generator.icnr=true",
    "generator.skip=nearest",
]


def small(variant: str) -> list[str]:
    """Returns small sizes for the networks that the variant chooses, and for the default ones."""
    group, _, name = variant.partition("=")
    names = {"generator": "srresnet", "discriminator": "vgg", group: name}
    sizes = []
    for room in ("generator", "discriminator"):
        sizes += next(settings for kind, settings in SIZES.items() if kind in names[room])
    return sizes


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("variant", [*VARIANTS, *RECIPES])
def test_trains(composed: Compose, recipe: Compose, variant: str, precision: Any) -> None:
    if variant in RECIPES:
        cfg = recipe(variant)
    else:
        sizes = [*small(variant), "data.crop=32", "gan.epochs=1"]
        cfg = composed("quickstart", variant, small=sizes)
    generator = build(cfg.generator)
    module: GAN = build(cfg.gan, generator=generator)
    before = copy.deepcopy(module.state_dict())
    fit(module, batches(4), precision=precision)
    after = module.state_dict()
    for player in ("generator", "discriminator"):
        moved = [not torch.equal(before[k], after[k]) for k in before if k.startswith(player)]
        assert any(moved), player
    assert all(torch.isfinite(x).all() for x in after.values() if isinstance(x, torch.Tensor))


def test_the_average_follows_slowly() -> None:
    """With d = 1/10 the first update goes 9/10 of the way, also for BatchNorm's averages."""
    generator = SRResNet(filters=4, blocks=1)
    average = EMA(generator, 0.999)
    start = copy.deepcopy(generator.state_dict())
    generator.train()(torch.rand(2, 3, 8, 8))  # moves BatchNorm's averages
    with torch.no_grad():
        for parameter in generator.parameters():
            parameter.add_(1)
    average.update(generator)
    now = generator.state_dict()
    for key, value in average.generator.state_dict().items():
        if value.is_floating_point():
            torch.testing.assert_close(value, 0.1 * start[key] + 0.9 * now[key], msg=key)
        else:
            assert value == now[key]
    for _ in range(20_000):
        average.updates += 1
    before = copy.deepcopy(average.generator.get_parameter("head.0.weight"))
    average.update(generator)
    moved = (average.generator.get_parameter("head.0.weight") - before).norm()
    assert moved < 0.0011 * (generator.get_parameter("head.0.weight") - before).norm() + 1e-6


def test_noise_and_penalty_depend_on_the_update_alone(composed: Compose) -> None:
    """A resumed run can therefore repeat them."""
    cfg = composed("quickstart", "gan.instance_noise=0.2", "penalty=gradient")
    results = []
    for seed in (1, 2):
        torch.manual_seed(0)
        module = build(cfg.gan, generator=build(cfg.generator))
        loader = batches(2)
        torch.manual_seed(seed)
        fit(module, loader)
        results.append(module.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(*(r.values() for r in results)))


def test_the_ramp_leaves_the_first_batch_to_the_content(composed: Compose) -> None:
    cfg = composed("quickstart", "gan.adversarial_ramp=1.0", "gan.epochs=1")
    module: GAN = build(cfg.gan, generator=build(cfg.generator))
    seen: list[float] = []
    step = module.training_step
    module.training_step = lambda *a: (seen.append(module.ramp), step(*a))[1]  # type: ignore
    fit(module, batches(4))
    assert seen == pytest.approx([0, 0.25, 0.5, 0.75])


def test_a_resting_discriminator_stays_as_it_is(composed: Compose) -> None:
    cfg = composed("quickstart", "gan.discriminator_every=100", "gan.epochs=1")
    module: GAN = build(cfg.gan, generator=build(cfg.generator))
    states = []

    class Watch(L.Callback):
        def on_train_batch_end(self, *args: Any) -> None:
            states.append([p.detach().clone() for p in module.discriminator.parameters()])

    fit(module, batches(3), callbacks=[Watch()])
    assert all(torch.equal(a, b) for a, b in zip(states[0], states[2]))


def test_a_penalty_reaches_the_discriminator_only_and_equals_finite_differences() -> None:
    torch.manual_seed(0)
    discriminator = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Softplus(), nn.Flatten(), nn.Linear(144, 1)
    )
    image = torch.rand(1, 3, 8, 8, dtype=torch.float32)
    penalty = R1Penalty(weight=2.0, every=1)
    value = penalty(discriminator, image, image, torch.Generator())
    value.backward()
    assert all(p.grad is not None for p in list(discriminator.parameters())[:1])
    double = copy.deepcopy(discriminator).double()
    step, total = 1e-5, 0.0
    for i in range(image.numel()):
        e = torch.zeros(image.numel(), dtype=torch.float64)
        e[i] = step
        e = e.view_as(image)
        slope = (double(image.double() + e) - double(image.double() - e)) / (2 * step)
        total += float(slope.detach()) ** 2
    assert value.item() == pytest.approx(2.0 / 2 * total, rel=1e-3)


def test_every_loss_choice_is_built(
    composed: Compose, vgg_file: Path, squeezenet_file: Path
) -> None:
    for name in choices("loss"):
        text = composed("quickstart", f"loss@gan.loss={name}").gan.loss
        if "adversarial" not in text.weights:
            continue
        files = (
            ["gan.loss.content.vgg.layers=[relu2_2]", f"gan.loss.content.vgg.weights={vgg_file}"]
            if "vgg" in text.content
            else []
        )
        if "layer_weights" in str(text):
            files.append("gan.loss.content.vgg.layer_weights=[1.0]")
        if "lpips" in text.content:
            files.append(f"gan.loss.content.lpips.weights={squeezenet_file}")
        cfg = composed("quickstart", f"loss@gan.loss={name}", *files, "gan.ema=0.9")
        module: GAN = build(cfg.gan, generator=build(cfg.generator))
        fit(module, batches(1))


@pytest.mark.parametrize("parts", [1, 2])
def test_a_term_is_given_the_averaged_generators_image(parts: int) -> None:
    """It is made from the same LR by the average before this update, without a graph."""
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    class Spy(nn.Module):
        averaged = True

        def forward(
            self, sr: torch.Tensor, hr: torch.Tensor, averaged: torch.Tensor
        ) -> torch.Tensor:
            assert not averaged.requires_grad
            assert module.average is not None
            with torch.no_grad():
                expected = module.average.generator(given.pop(0))
            seen.append((averaged, expected))
            assert not torch.equal(averaged, sr)  # one has BatchNorm in eval mode
            return (sr - hr).abs().mean()

    objective = Objective({"spy": 1.0, "adversarial": 0.0}, {"spy": Spy()}, BCEAdversarialLoss())
    networks = SRResNet(filters=4, blocks=1), VGGDiscriminator(32, filters=2, dense=4)
    module = GAN(*networks, objective, 1, ema=0.9, accumulate=parts)
    loader = batches(3)
    given = [part for batch in loader for part in batch["lr"].chunk(parts)]
    fit(module, loader)
    assert len(seen) == 3 * parts
    assert all(torch.equal(*pair) for pair in seen)


def test_a_term_of_the_average_needs_one(recipe: Compose) -> None:
    cfg = recipe("gan_ldl", "gan.ema=0")
    with pytest.raises(UserError, match=r"^gan: ldl .* ema must be above 0, such as 0.999, got 0"):
        build(cfg.gan, generator=build(cfg.generator))
    objective = Objective({"ldl": 1.0}, {"ldl": LDLLoss()})
    with pytest.raises(ValueError, match="ema must be above 0"):
        Pretrain(SRResNet(filters=4, blocks=1), objective, 1)
    fit(Pretrain(SRResNet(filters=4, blocks=1), objective, 1, ema=0.9), batches(2))
