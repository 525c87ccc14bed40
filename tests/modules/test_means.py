"""The numbers of an epoch: the means over its updates are what is logged."""

import csv
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.amp.grad_scaler import GradScaler

from sr_gan.callbacks import Health
from sr_gan.modules import GAN, Pretrain
from sr_gan.modules.means import Means
from sr_gan.settings.build import build
from tests.conftest import Compose
from tests.modules.test_stages import batches, fit


def test_means_of_groups_that_are_not_given_equally_often() -> None:
    means = Means()
    means.add({})
    for value in (1.0, 2.0, 6.0):
        means.add({"a": torch.tensor(value), "b": torch.tensor(-value)})
    means.add({"c": torch.tensor(5.0, dtype=torch.float64)})
    assert {k: float(v) for k, v in means.take().items()} == {"a": 3.0, "b": -3.0, "c": 5.0}
    assert means.take() == {}


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_numbers_that_are_not_finite_count_unless_told(bad: float) -> None:
    means = Means()
    for value in (bad, 2.0, 4.0):
        means.add({"all": torch.tensor(value)})
        means.add({"finite": torch.tensor(value)}, finite=True)
    taken = means.take()
    assert not taken["all"].isfinite()
    assert float(taken["finite"]) == 3.0


def test_a_sum_does_not_change_what_was_given() -> None:
    means, value = Means(), torch.tensor(1.0)
    means.add({"a": value})
    means.add({"a": value})
    assert value == 1


@pytest.mark.parametrize("stage", ["pretrain", "gan"])
def test_what_lightning_gets_are_the_means_over_each_epoch(composed: Compose, stage: str) -> None:
    """Some numbers are not measured in each update; the second epoch begins anew."""
    cfg = composed("quickstart", "penalty=r1", "penalty.every=3", "gan.discriminator_every=2")
    module: Pretrain | GAN = build(cfg[stage], generator=build(cfg.generator))
    seen: dict[str, list[float]] = defaultdict(list)
    add = module.means.add

    def recorded(values: dict[str, Tensor], **options: Any) -> None:
        for name, value in values.items():
            seen[name].append(float(value))
        add(values, **options)

    module.means.add = recorded  # type: ignore[method-assign,assignment]
    epochs = 0

    class Compare(L.Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            nonlocal epochs
            for name, values in seen.items():
                mean = float(trainer.callback_metrics[name])
                assert mean == pytest.approx(fmean(values), rel=1e-5), name
            seen.clear()
            epochs += 1

    fit(module, batches(7), callbacks=[Health("unused", every=2), Compare()])
    assert epochs == 2
    names = {"loss/generator", "loss/mse" if stage == "pretrain" else "loss/penalty"}
    assert names <= set(module.trainer.callback_metrics)


def test_norms_of_updates_that_loss_scaling_left_out_are_not_logged(composed: Compose) -> None:
    """A GPU without bfloat16 does the same: the first steps overflow and are skipped."""
    cfg = composed("quickstart", "gan.epochs=1")
    module: GAN = build(cfg.gan, generator=build(cfg.generator))
    scaler = GradScaler("cpu", init_scale=2.0**40)
    fit(module, batches(24), plugins=[MixedPrecision("16-mixed", "cpu", scaler)])
    assert scaler.get_scale() < 2.0**30
    for player in ("generator", "discriminator"):
        norm = module.trainer.callback_metrics[f"optimizer/grad_norm_{player}"]
        assert 0 < norm < float("inf")


def test_a_name_in_two_groups_has_one_mean() -> None:
    means = Means()
    means.add({"a": torch.tensor(1.0)})
    means.add({"a": torch.tensor(3.0), "b": torch.tensor(5.0)})
    assert {k: float(v) for k, v in means.take().items()} == {"a": 2.0, "b": 5.0}


def test_snapshots_are_means_over_parts_and_leave_those_over_all() -> None:
    means = Means()
    assert means.snapshot() is None
    parts = []
    for value in (1.0, 3.0, 8.0):
        means.add({"a": torch.tensor(value)})
        if value == 3.0:
            means.add({"a": torch.tensor(5.0), "b": torch.tensor(7.0)})
            snapshot = means.snapshot()
            parts.append(snapshot)
    parts.append(means.snapshot())
    assert [part.read() for part in parts if part] == [{"a": 3.0, "b": 7.0}, {"a": 8.0}]
    assert {name: float(mean) for name, mean in means.take().items()} == {"a": 4.25, "b": 7.0}


def test_sums_go_on_from_a_checkpoint_and_from_an_older_one() -> None:
    means, resumed, older = Means(), Means(), Means()
    means.add({"a": torch.tensor(1.0)})
    means.snapshot()
    means.add({"a": torch.tensor(4.0)})
    resumed.load_state_dict(means.state_dict(), "cpu")
    older.load_state_dict([(["a"], torch.tensor([[5.0], [2.0]]))], "cpu")
    for each, since in ((means, 5.0), (resumed, 5.0), (older, 11 / 3)):
        each.add({"a": torch.tensor(6.0)})
        snapshot = each.snapshot()
        assert snapshot
        assert snapshot.read() == {"a": pytest.approx(since)}
        assert float(each.take()["a"]) == pytest.approx(11 / 3)


@pytest.mark.parametrize("stage", ["pretrain", "gan"])
@pytest.mark.parametrize(("every", "steps"), [(3, [3, 6, 7, 9, 12, 14]), (0, [7, 14])])
def test_loggers_get_the_means_since_the_last_point(
    composed: Compose, tmp_path: Path, stage: str, every: int, steps: list[int]
) -> None:
    cfg = composed("quickstart")
    module: Pretrain | GAN = build(cfg[stage], generator=build(cfg.generator))
    seen: list[float] = []
    add = module.means.add

    def recorded(values: dict[str, Tensor], **options: Any) -> None:
        seen.extend(float(values[name]) for name in values if name == "loss/generator")
        add(values, **options)

    module.means.add = recorded  # type: ignore[method-assign,assignment]
    logger = CSVLogger(tmp_path)
    fit(module, batches(7), logger=logger, log_every_n_steps=every)
    rows = list(csv.DictReader((Path(logger.log_dir) / "metrics.csv").open()))
    points = [row for row in rows if row["loss/generator"]]
    assert [int(row["step"]) for row in points] == steps
    assert [float(row["epoch"]) for row in points] == [1 + (step > 7) for step in steps]
    for before, step, row in zip([0, *steps], steps, points):
        assert float(row["loss/generator"]) == pytest.approx(fmean(seen[before:step]), rel=1e-5)
        assert float(row["optimizer/lr_generator"]) > 0
