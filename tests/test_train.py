"""The real configurations, shrunk, from composition to the files that a run leaves behind."""

import csv
import json
import logging
import math
import os
import signal
import time
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from omegaconf import OmegaConf
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from sr_gan import train as training
from sr_gan.data.crops import cut
from sr_gan.errors import UserError
from sr_gan.inference.pretrained import load_pretrained
from sr_gan.loggers.tensorboard import tag
from sr_gan.networks import MSRResNet
from sr_gan.runs.metrics_table import read_rows
from sr_gan.runs.weights import save_generator
from sr_gan.settings.build import build, build_all
from sr_gan.settings.check import check
from sr_gan.settings.explain import memory_advice
from sr_gan.signals import Interrupted
from sr_gan.train import _main, train
from tests.conftest import ROOT, SMALL, Compose, run_command

EXPERIMENTS = sorted(path.stem for path in (ROOT / "conf" / "experiment").glob("*.yaml"))


@pytest.fixture
def offline(vgg_file: Path, squeezenet_file: Path) -> dict[str, list[str]]:
    """The settings that each experiment needs if nothing can be downloaded."""
    vgg = [f"gan.loss.content.vgg.weights={vgg_file}", "gan.loss.content.vgg.layers=[relu2_2]"]
    one_layer = ["gan.loss.content.vgg.layer_weights=[1.0]"]
    squeezenet = f"gan.loss.content.lpips.weights={squeezenet_file}"
    scratch = ["init_from=null"]
    return {
        "quickstart": [],
        "finetune": ["init_from=null", squeezenet],
        "srresnet": [],
        "srgan_400ep": vgg,
        "srgan_paper": [*vgg, "init_from=null"],
        "srgan_modern": [vgg[0], "gan.loss.content.vgg.layers=[conv1_2]", *one_layer],
        "photo": [  # the photos are small
            *(squeezenet, "data.crop=20", "discriminator.layers=1"),
            "degradation.resize.factor=[1,1.5]",
        ],
        "gan_bands": [squeezenet, *scratch],
        "gan_ldl": [*vgg, *one_layer, *scratch],
        "gan_unit": [*vgg, *one_layer, *scratch, squeezenet],
        "search": ["init_from=null", "loss@gan.loss=pixel_gan"],
        "search_cpu": ["init_from=null"],
        "sweep_cpu": ["init_from=null"],
        "sweep_loss_weights": ["init_from=null", "loss@gan.loss=pixel_gan"],
    }


def small(experiment: str) -> list[str]:
    """Returns SMALL without the settings that the experiment's networks do not have."""
    patch = experiment in (
        *("finetune", "gan_bands", "gan_unit", "photo"),
        *("search", "srgan_modern", "sweep_loss_weights"),
    )
    return [setting for setting in SMALL if not (patch and "dense" in setting)]


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_composes_and_builds(
    composed: Compose, offline: dict[str, list[str]], experiment: str
) -> None:
    cfg = composed(experiment, *offline[experiment], small=small(experiment))
    check(cfg)
    generator = build(cfg.generator)
    for stage in cfg.stages:
        assert build(cfg[stage], generator=generator).schedule.factor(0.5) > 0
    stage = cfg.stages[0]
    callbacks, loggers = build_all(cfg.callbacks, stage), build_all(cfg.logger, stage)
    trainer = build(cfg.trainer, callbacks=callbacks, logger=loggers)
    assert isinstance(trainer, L.Trainer)
    build(cfg.data).setup()


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_experiment_trains_two_batches_and_resumes(
    composed: Compose, offline: dict[str, list[str]], experiment: str
) -> None:
    overrides = [*offline[experiment], "trainer.limit_train_batches=2"]
    shrunk = partial(composed, experiment, *overrides, small=small(experiment))
    cfg = shrunk("pretrain.epochs=1", "gan.epochs=1")
    stages = list(cfg.stages)
    summary = train(cfg)
    assert {stage: summary[stage]["epochs"] for stage in summary} == dict.fromkeys(stages, 1)
    longer = train(shrunk("gan.epochs=2", "ckpt_path=last"))
    assert longer[stages[-1]]["epochs"] == 2


def test_a_run_leaves_everything_behind(composed: Compose) -> None:
    cfg = composed("quickstart")
    run = Path(cfg.run_dir)
    summary = train(cfg)

    assert OmegaConf.load(run / "config.yaml").gan.epochs == 2
    environment = json.loads((run / "environment.json").read_text())
    assert environment["packages"]["torch"] == torch.__version__.split("+")[0]
    assert json.loads((run / "summary.json").read_text()) == summary
    for stage in ("pretrain", "gan"):
        last = summary[stage]["last"]
        assert last["epoch"] == 2
        assert 5 < last["psnr_y"] < 60
        assert last["psnr_y_bicubic"] > 15
        names = {path.name for path in (run / "checkpoints" / stage).iterdir()}
        assert names == {"last.ckpt", "best.ckpt", "generator.safetensors"}
        with Image.open(run / "samples" / stage / "epoch_0002.png") as grid:
            assert grid.width > 4 * 64
    assert [row["epoch"] for row in summary["gan"]["losses"]] == [1, 2]

    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["stage"], row["epoch"]) for row in rows] == [
        ("pretrain", "1"),
        ("pretrain", "2"),
        ("gan", "1"),
        ("gan", "2"),
    ]
    l1, adversarial = float(rows[3]["loss/l1"]), float(rows[3]["loss/adversarial"])
    assert float(rows[3]["loss/generator"]) == pytest.approx(l1 + 1e-3 * adversarial, rel=1e-4)
    assert 0 < float(rows[3]["discriminator/fake"]) < 1

    events = EventAccumulator(str(run / "gan"))
    events.Reload()
    scalars = set(events.Tags()["scalars"]) - {"epoch", "hp_metric"}
    assert scalars == {tag(name) for name in rows[3] if rows[3][name] and "/" in name}
    assert [image.step for image in events.Images("samples")] == [2, 4]


def test_without_lpips_the_best_is_that_of_psnr(composed: Compose) -> None:
    cfg = composed("quickstart", "stages=[gan]", "callbacks.lpips=null")
    train(cfg)
    folder = Path(cfg.run_dir)
    rows = read_rows(folder / "metrics.csv")
    for row in rows:
        assert float(row["quality/rank"]) == pytest.approx(-float(row["quality/psnr_y"]))
    best = torch.load(folder / "checkpoints" / "gan" / "best.ckpt", weights_only=True)
    ranks = [float(row["quality/rank"]) for row in rows]
    assert best["epoch"] == ranks.index(min(ranks))


def test_checkpoints_load_under_weights_only_and_rebuild(composed: Compose) -> None:
    cfg = composed("quickstart", "stages=[gan]")
    train(cfg)
    folder = Path(cfg.run_dir) / "checkpoints" / "gan"
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    assert checkpoint["sr_gan"]["stage"] == "gan"
    rebuilt = build(
        OmegaConf.create({"generator": checkpoint["sr_gan"]["config"]["generator"]}).generator
    )
    weights = load_file(folder / "generator.safetensors")
    rebuilt.load_state_dict(weights)
    assert torch.equal(checkpoint["state_dict"]["generator.tail.2.bias"], weights["tail.2.bias"])
    with safe_open(folder / "generator.safetensors", "pt") as file:
        assert json.loads(file.metadata()["generator"])["filters"] == 8


def measured(table: Path) -> list[dict[str, str]]:
    """The rows of a table without the speed, which no run repeats."""
    return [
        {name: value for name, value in row.items() if not name.startswith("speed/")}
        for row in read_rows(table)
    ]


class StopAt(Callback):
    """Sends a signal to this process in the second epoch of a stage."""

    def __init__(self, moment: str, batch: int = 0) -> None:
        self.moment, self.batch = moment, batch

    def _stop(self, moment: str, trainer: L.Trainer, batch: int) -> None:
        if (moment, trainer.current_epoch, batch) == (self.moment, 1, self.batch):
            os.kill(os.getpid(), signal.SIGINT)

    def on_train_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        self._stop("train", trainer, args[-1])

    def on_validation_batch_start(self, trainer: L.Trainer, *args: Any) -> None:
        self._stop("validation", trainer, args[2])

    def on_validation_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._stop("validation end", trainer, 0)

    def on_train_epoch_end(self, trainer: L.Trainer, *args: Any) -> None:
        self._stop("epoch end", trainer, 0)


@pytest.mark.parametrize("stage", ["pretrain", "gan"])
@pytest.mark.parametrize(
    ("moment", "batch", "feed"),
    [
        ("train", 0, "device"),
        ("train", 1, "device"),
        ("train", 2, "device"),  # the last batch of the epoch
        ("validation", 0, "device"),
        ("validation end", 0, "device"),
        ("epoch end", 0, "device"),
        ("train", 0, "loader"),
    ],
)
def test_resumes_exactly_where_it_stopped(
    composed: Compose, tmp_path: Path, stage: str, moment: str, batch: int, feed: str
) -> None:
    """A run stops with either feed and resumes with workers; another run does not stop."""
    common = [
        f"stages=[{stage}]",
        "data.crops_per_epoch=6",
        f"{stage}.epochs=3",
        f"schedule@{stage}.schedule=cosine",
        f"{stage}.ema=0.9",
        "health.every=4",  # the stop is between two readings
        "data.workers=2",
        "degradation=jpeg",
        "generator=srresnet",
        "callbacks.samples=null",
    ]
    straight = composed("quickstart", *common, f"run_dir={tmp_path / 'straight'}")
    train(straight)

    stop = [
        "+callbacks.stop._target_=tests.test_train.StopAt",
        f"+callbacks.stop.moment='{moment}'",
        f"+callbacks.stop.batch={batch}",
    ]
    broken = [*common, f"run_dir={tmp_path / 'broken'}"]
    with pytest.raises(Interrupted):
        train(composed("quickstart", *broken, *stop, f"data.feed={feed}"))
    train(composed("quickstart", *broken, "ckpt_path=last", "data.feed=loader"))

    last = [
        torch.load(tmp_path / name / "checkpoints" / stage / "last.ckpt", weights_only=True)
        for name in ("straight", "broken")
    ]
    for key, value in last[0]["state_dict"].items():
        other = last[1]["state_dict"][key]
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other, key
    for a, b in zip(last[0]["optimizer_states"], last[1]["optimizer_states"]):
        for state_a, state_b in zip(a["state"].values(), b["state"].values()):
            assert all(torch.equal(state_a[k], state_b[k]) for k in state_a)
    assert last[0]["lr_schedulers"] == last[1]["lr_schedulers"]
    assert last[0]["global_step"] == last[1]["global_step"]
    assert last[0]["epoch"] == last[1]["epoch"]
    rows = [measured(tmp_path / name / "metrics.csv") for name in ("straight", "broken")]
    assert rows[0] == rows[1]
    bests = [
        tmp_path / name / "checkpoints" / stage / "best.ckpt" for name in ("straight", "broken")
    ]
    assert len({torch.load(best, weights_only=True)["epoch"] for best in bests}) == 1


@pytest.mark.gpu
def test_resumes_on_a_gpu(
    composed: Compose, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The stop is amid an epoch and between readings; results differ by rounding only."""
    common = ["stages=[gan]", "data.crops_per_epoch=6", "gan.epochs=3", "gan.ema=0.9"]
    common += ["health.every=4", "trainer=gpu", "callbacks.compile.when=never"]
    train(composed("quickstart", *common, f"run_dir={tmp_path / 'straight'}"))
    stop = ["+callbacks.stop._target_=tests.test_train.StopAt", "+callbacks.stop.moment=train"]
    broken = [*common, f"run_dir={tmp_path / 'broken'}"]
    with pytest.raises(Interrupted):
        train(composed("quickstart", *broken, *stop, "+callbacks.stop.batch=1"))
    train(composed("quickstart", *broken, "ckpt_path=last"))
    assert "could not be recorded" not in caplog.text
    states = [
        torch.load(tmp_path / name / "checkpoints/gan/last.ckpt", "cpu", weights_only=True)
        for name in ("straight", "broken")
    ]
    assert states[0]["global_step"] == states[1]["global_step"]
    rate, updates = 1e-4, 9  # Adam's step is at most its rate, whatever the rounding
    for key, value in states[0]["state_dict"].items():
        if "running" not in key and isinstance(value, torch.Tensor):
            other = states[1]["state_dict"][key]
            torch.testing.assert_close(value, other, rtol=0, atol=2 * rate * updates, msg=key)


@pytest.mark.parametrize(
    "words",
    [
        "Unable to find an engine to execute this computation",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ],
)
def test_memory_that_is_full_is_one_line_of_advice(
    composed: Compose, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    def full(*args: Any) -> None:
        raise RuntimeError(words)

    monkeypatch.setattr("sr_gan.modules.Pretrain.training_step", full)
    cfg = composed("quickstart")
    advice = r"^memory is full: set data.batch_size below 2, data.crop below 32, gan.accumulate"
    with pytest.raises(UserError, match=advice), memory_advice(cfg):
        train(cfg)
    monkeypatch.setattr("sr_gan.modules.Pretrain.training_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError), memory_advice(cfg):
        train(cfg)


def test_goes_on_with_the_second_stage(composed: Compose) -> None:
    stop = ["+callbacks.stop._target_=tests.test_train.StopAt", "+callbacks.stop.moment=train"]
    with pytest.raises(Interrupted) as stopped:
        train(composed("quickstart", *stop))
    assert stopped.value.checkpoint is not None
    assert stopped.value.checkpoint.parent.name == "pretrain"
    summary = train(composed("quickstart", "ckpt_path=last"))
    assert [summary[stage]["epochs"] for stage in ("pretrain", "gan")] == [2, 2]


def test_a_finished_pretrain_is_not_repeated(composed: Compose) -> None:
    train(composed("quickstart", "stages=[pretrain]"))
    weights = Path(composed("quickstart").run_dir) / "checkpoints" / "pretrain" / "last.ckpt"
    before = torch.load(weights, weights_only=True)["state_dict"]
    summary = train(composed("quickstart", f"ckpt_path={weights}"))
    assert summary["gan"]["epochs"] == 2
    after = torch.load(weights, weights_only=True)["state_dict"]
    assert all(torch.equal(before[key], after[key]) for key in before)


def test_init_from_loads_the_generator_only(composed: Compose, tmp_path: Path) -> None:
    train(composed("quickstart", "stages=[pretrain]", f"run_dir={tmp_path / 'first'}"))
    folder = tmp_path / "first" / "checkpoints" / "pretrain"
    trained = load_file(folder / "generator.safetensors")
    torch.save(trained, tmp_path / "weights.pth")
    still = ["stages=[gan]", "gan.generator_lr=1e-30", "gan.epochs=1"]
    origins = (
        tmp_path / "first",
        folder / "generator.safetensors",
        folder / "last.ckpt",
        tmp_path / "weights.pth",
    )
    for number, origin in enumerate(origins):
        run = tmp_path / str(number)
        train(composed("quickstart", *still, f"init_from={origin}", f"run_dir={run}"))
        loaded = load_file(run / "checkpoints" / "gan" / "generator.safetensors")
        assert all(torch.equal(trained[key], loaded[key]) for key in trained)


def test_init_from_brings_its_generator(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    photos: Path,
    tmp_path: Path,
) -> None:
    """It replaces the experiment's generator unless one is named, also when resuming."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(logging.root, "handlers", [])  # Hydra leaves handlers that write to the run
    run = partial(run_command, monkeypatch, capsys, _main, "train")
    config = {"_target_": "sr_gan.networks.MSRResNet", "filters": 4, "blocks": 1}
    save_generator(MSRResNet(4, 4, 1), {**config, "scale": 4}, tmp_path / "mine.safetensors")
    small = [setting for setting in SMALL if not setting.startswith("generator")]
    command = ["experiment=srresnet", "data=folder", f"data.train_dir={photos}", *small]
    command += ["logger=none", "loss@pretrain.loss=l1", "init_from=mine.safetensors"]
    run_dir = "hydra.run.dir=run"
    code, out, err = run(*command, run_dir)
    assert code == 0, err
    assert "generator  MSRResNet, " in out
    assert isinstance(load_pretrained("run").generator, MSRResNet)
    longer = [*command, "pretrain.epochs=3", "ckpt_path=run", run_dir]
    assert run(*longer)[0] == 0
    for wrong, message in {
        "generator=srresnet": "the weights are of another generator than SRResNet as configured",
        "scale=2": "init_from=mine.safetensors enlarges by 4: set scale=4, which is 2 now",
    }.items():
        code, _, err = run(*command, wrong)
        assert code == 1
        assert message in err
    hostile = {**config, "blocks": "${oc.create:{_target_:pathlib.Path.touch}}"}
    save_generator(MSRResNet(4, 4, 1), hostile, tmp_path / "mine.safetensors")
    code, _, err = run(*command)
    assert code == 1
    assert "init_from=mine.safetensors wants to build MSRResNet with blocks=" in err


def test_a_run_that_diverges_ends_and_keeps_the_last_checkpoint(composed: Compose) -> None:
    cfg = composed("quickstart", "stages=[pretrain]", "pretrain.lr=1e30", "pretrain.epochs=5")
    values = r"the run has diverged in epoch 1, loss/generator=nan, loss/mse=nan"
    with pytest.raises(UserError, match=values):
        train(cfg)


def test_resuming_with_other_settings(composed: Compose, caplog: pytest.LogCaptureFixture) -> None:
    train(composed("quickstart", "stages=[gan]"))
    with pytest.raises(UserError, match=r"other networks \(generator\.blocks: 1 -> 2\)"):
        train(composed("quickstart", "stages=[gan]", "ckpt_path=last", "generator.blocks=2"))
    with pytest.raises(UserError, match="from the stage gan, but this run has the stages pretrain"):
        train(composed("quickstart", "stages=[pretrain]", "ckpt_path=last"))
    train(composed("quickstart", "stages=[gan]", "ckpt_path=last", "gan.epochs=3"))
    assert "resuming with another setting: gan.epochs: 2 -> 3" in caplog.text
    run = Path(composed("quickstart").run_dir)
    with pytest.raises(UserError, match=r"gan\.ema=0\.9: .* an average cannot begin or end within"):
        train(composed("quickstart", "stages=[gan]", "ckpt_path=last", "gan.ema=0.9"))
    assert OmegaConf.load(run / "config.1.yaml").gan.epochs == 2
    assert OmegaConf.load(run / "config.yaml").gan.epochs == 3


@pytest.mark.parametrize("stage", ["pretrain", "gan"])
def test_rates_and_averaging_factors_given_on_resume_are_used(
    composed: Compose, stage: str, tmp_path: Path
) -> None:
    """Lightning restores those of the checkpoint; rates that the run has lowered stay lower."""
    run = [f"stages=[{stage}]", f"schedule@{stage}.schedule=cosine", f"{stage}.schedule.final=0"]
    given = {"pretrain": ["lr"], "gan": ["generator_lr", "discriminator_lr"]}[stage]
    train(composed("quickstart", *run, f"{stage}.epochs=1"))
    path = Path(composed("quickstart").run_dir) / "checkpoints" / stage / "last.ckpt"
    before = torch.load(path, weights_only=True)
    halved = [[rate / 2 for rate in each["base_lrs"]] for each in before["lr_schedulers"]]
    for scheduler, rates in zip(before["lr_schedulers"], halved):
        scheduler["base_lrs"] = rates  # as Health does after a return
    torch.save(before, path)
    rates = [f"{stage}.{name}=3e-3" for name in given]
    longer = [f"{stage}.epochs=3", f"{stage}.betas=[0.5,0.9]", "ckpt_path=last"]
    train(composed("quickstart", *run, *rates, *longer))
    after = torch.load(path, weights_only=True)
    for state, scheduler in zip(after["optimizer_states"], after["lr_schedulers"]):
        assert state["param_groups"][0]["betas"] == (0.5, 0.9)
        assert scheduler["base_lrs"] == [pytest.approx(1.5e-3)]
    table = read_rows(path.parents[2] / "metrics.csv")
    done = before["lr_schedulers"][0]["last_epoch"]  # the steps of the first of three epochs
    expected = 1.5e-3 * (1 + math.cos(math.pi * (done + 0.5) / (3 * done))) / 2
    assert float(table[-2]["optimizer/lr_generator"]) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "run has no checkpoint; a run that ended before its first one has to start anew"),
        (b"PK broken", r"last\.ckpt is damaged, or cut off; resume from another one: .*best\.ckpt"),
        (b"", "is not a file of weights"),
        ({"state_dict": {}}, "is not a checkpoint of a run of sr_gan.*init_from="),
    ],
)
def test_resuming_from_what_is_no_checkpoint(
    composed: Compose, content: bytes | dict[str, Any] | None, message: str
) -> None:
    cfg = composed("quickstart", "stages=[gan]", "ckpt_path=last")
    folder = Path(cfg.run_dir) / "checkpoints" / "gan"
    folder.mkdir(parents=True)
    (folder / "best.ckpt").touch()
    if isinstance(content, bytes):
        (folder / "last.ckpt").write_bytes(content)
    elif content is not None:
        torch.save(content, folder / "last.ckpt")
    with pytest.raises(UserError, match=message):
        train(cfg)


@pytest.mark.parametrize(
    ("feed", "advice"), [("loader", "set data."), ("device", "another program")]
)
def test_a_run_that_waits_for_crops_says_so(
    composed: Compose,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    feed: str,
    advice: str,
) -> None:
    def slow(*args: Any) -> dict[str, torch.Tensor]:
        time.sleep(0.05)
        return cut(*args)

    for module in ("crops", "feed"):
        monkeypatch.setattr(f"sr_gan.data.{module}.cut", slow)
    few = ["stages=[pretrain]", "pretrain.epochs=1", "data.crops_per_epoch=130"]
    train(composed("quickstart", *few, f"data.feed={feed}"))
    (warning,) = [text for text in caplog.messages if "waits for data" in text]
    assert advice in warning


def test_launchers_can_pickle_the_program() -> None:
    """They pickle what is in ``__main__`` by its contents, as no other process can import it."""
    cloudpickle = pytest.importorskip("cloudpickle")
    cloudpickle.register_pickle_by_value(training)
    try:
        assert cloudpickle.dumps(training._main)
    finally:
        cloudpickle.unregister_pickle_by_value(training)
