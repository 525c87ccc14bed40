"""The command as a user types it: every mistake is one line that names the key, exit code 1."""

import errno
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

from sr_gan.cli import _Job
from sr_gan.train import _main
from tests.conftest import SMALL, Output, random_photo, run_command


def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> Output:
    """Runs ``python -m sr_gan.train`` in this process; returns exit code, output, errors."""
    return run_command(monkeypatch, capsys, _main, "train", *arguments)


def test_a_composed_run_can_be_looked_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(monkeypatch, capsys, "experiment=srresnet", "--cfg", "job", "--resolve")
    assert code == 0, err
    assert OmegaConf.create(out).pretrain.epochs > 0


MISTAKES = {
    "gan.epocs=3": "gan.epocs is not a setting; did you mean gan.epochs?",
    "gan.epochs=many": "gan.epochs=many: must be a whole number",
    "gan.epochs=1,2": "gan.epochs=1,2: give one value, or a list in brackets where one is allowed",
    "gan.epochs=0": "gan.epochs=0: should be greater than 0",
    "experiment=foo": "experiment=foo: no such choice (allowed: finetune, gan_bands, gan_ldl,",
    "generator=foo": "generator=foo: no such choice (allowed: compact, compact_large, msrresnet,",
    "degradation=jpeg75": "photo, real); try degradation=jpeg degradation.jpeg_quality=[75,75]",
    "degradation=noise10": "try degradation=custom degradation.noise_sigma=[10,10]",
    "degradation=kinds": "is for measuring: validate a run on kinds with data.valid_kinds",
    "scale=3": "scale=3: allowed are 2, 4, 8",
    "generator.blocks=0": "generator.blocks=0: should be greater than 0",
    "generator.blocks=2.5": "generator.blocks=2.5: must be a whole number",
    "trainer.precision=17": "trainer.precision=17: allowed are",
    "stages=[gan,pretrain]": "allowed are [pretrain], [gan] and [pretrain,gan]",
    "stages=[gen]": "stages=gen: allowed are pretrain, gan",
    "gan.loss.weights.l1=-1": "gan.loss.weights.l1=-1: should be greater than or equal to 0",
    "gan.accumulate=1000": "gan.accumulate=1000 does not divide data.batch_size=",
    "+gan.foo=1": "gan.foo is not a setting of GAN (allowed: accumulate, adversarial_ramp,",
    "+foo=1": "foo is not a setting (allowed: adversarial, callbacks,",
    "epochs=3": "epochs is not a setting; did you mean pretrain.epochs or gan.epochs?",
    "data.train_dir=small": "data.train_dir is not a setting of this data: add data=folder, as in",
    "loss=l1": "loss is not a choice by itself: choose one of loss@gan.loss, loss@pretrain.loss",
    "gan.betas=[0.9": "gan.betas=[0.9: a value with brackets, quotes, commas or unusual characters",
    "experiment=[quickstart,srresnet]": "experiment=[quickstart,srresnet]: give one experiment",
    "--epochs=3": "--epochs=3: settings are KEY=VALUE or GROUP=CHOICE, without dashes",
    "--epochs 3": "--epochs: settings are KEY=VALUE or GROUP=CHOICE, without dashes",
    "experiment=search_cpu": "experiment=search_cpu is a sweep of several runs: add -m",
    "foo": "foo: settings are KEY=VALUE or GROUP=CHOICE",
    "logger=null": "logger=null: no such choice (allowed: csv, mlflow, none, tensorboard, wandb)",
    "logger=[csv,3]": "logger=3: no such choice (allowed: csv, mlflow, none, tensorboard, wandb)",
    "-m penalty=null,r1": "penalty=null: no such choice (allowed: ",
    "loss@gan.loss=null": "loss@gan.loss=null: no such choice (allowed: charbonnier,",
    "loss=mse": "loss is not a choice by itself: choose one of loss@gan.loss, loss@pretrain.loss",
    "data=folder": "data.train_dir is not set: give it on the command line, data.train_dir=VALUE",
    "generator.scale=2": "generator.scale=2 contradicts scale=4: set scale only",
    "discriminator.crop=48": "discriminator.crop=48 contradicts data.crop=64",
    "data.crop=0": "error: data.crop=0: should be greater than 0",
    "seed=-1": "error: seed=-1: should be greater than or equal to 0",
    "init_from=bad/text.png": "init_from=bad/text.png is not a file of weights; give a .safe",
    "data.crop=50": "data.crop=50: must be a multiple of scale=4",
    "init_from=missing.pth": "init_from=missing.pth does not exist: give the folder of a run, a",
    "experiment=srgan_paper": "python -m sr_gan.train experiment=srresnet makes runs/srresnet",
    "ckpt_path=missing.ckpt": "error: ckpt_path=missing.ckpt does not exist: give a run, a .ckpt",
    "ckpt_path=last": "error: ckpt_path=last: no run to resume in runs/quickstart; name its",
    "ckpt_path=empty": "error: ckpt_path=empty: empty has no checkpoint",
    "stages=[]": "error: stages=[]: allowed are [pretrain], [gan] and [pretrain,gan]",
    "data=base": "data is a part of other choices, not one itself",
    "gan.loss=l1": "should be an instance of Objective; to choose a file of conf/ use GROUP@",
    "loss@gan.loss=paper_oxford": "gan.loss.content.vgg.weights is not set: give it on the command",
    "run_dir=elsewhere": "run_dir=elsewhere: choose the folder with hydra.run.dir=elsewhere",
    "data=folder data.train_dir=small data.valid_dir=no": "data.valid_dir=no: does not exist: give",
    "experiment=srgan_400ep": "DIV2K is not in data/DIV2K: expected the folder",
    "data=folder data.train_dir=missing": "data.train_dir=missing: does not exist",
    "data=folder data.train_dir=empty": "data.train_dir=empty holds no images",
    "data=folder data.train_dir=bad": "2 images cannot be used:   bad/more.png: not an image",
    "data=folder data.train_dir=bad data.on_bad=skip": "error: no photo of bad can be used",
    "data.on_bad=ignore": "data.on_bad=ignore: allowed are error, skip",
    "data.feed=gpu": "data.feed=gpu: allowed are auto, loader, device",
    "data=folder data.train_dir=small": "every photo of small is smaller than 64x64 pixels; ",
    "trainer=gpu": "trainer.accelerator=gpu: PyTorch sees no GPU here; use trainer=cpu or",
    "trainer=ddp": "trainer.accelerator=gpu: PyTorch sees no GPU here; use trainer.accelerator=cpu",
    "trainer=cpu trainer.devices=2": "several devices need trainer=ddp, as in trainer=ddp "
    "trainer.accelerator=cpu trainer.devices=2",
    "trainer=cpu trainer.devices='0,1'": "trainer.devices=0,1: several devices need trainer=ddp",
    "trainer=cpu trainer.devices=[0,1]": "several devices need trainer=ddp, as in",
    "gan.loss.weights.l1=0 gan.loss.weights.adversarial=0": "gan.loss.weights are all 0",
    "trainer=cpu trainer.precision=16-mixed": "trainer.precision=16-mixed needs a GPU",
}


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_mistake_is_one_line(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    vgg_file: Path,
    arguments: str,
) -> None:
    if arguments in ("trainer=gpu", "trainer=ddp"):
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.chdir(tmp_path)
    for folder in ("empty", "bad", "small"):
        (tmp_path / folder).mkdir()
    for name in ("text.png", "more.png"):
        (tmp_path / "bad" / name).write_text("text")
    for name in ("a.png", "b.png"):
        Image.fromarray(random_photo(40, 40)).save(tmp_path / "small" / name)
    vgg = []
    if "srgan_400ep" in arguments:
        weights = f"gan.loss.content.vgg.weights={vgg_file}"
        vgg = [weights, "gan.loss.content.vgg.layers=[relu1_1]"]
    code, _, errors = run(monkeypatch, capsys, *arguments.split(), *vgg)
    assert code == 1
    (line, *rest) = [text for text in errors.splitlines() if text]
    assert line.startswith("error: ")
    assert MISTAKES[arguments] in " ".join([line, *rest])
    assert all(text.startswith("  ") for text in rest)  # a list of files, never a traceback
    assert not list(tmp_path.glob("runs/*"))  # nothing is left of a run that never began


def test_a_folder_that_cannot_be_written_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    code, _, errors = run(monkeypatch, capsys, f"hydra.run.dir={tmp_path}/file/run")
    assert code == 1
    assert errors.strip() == f"error: {tmp_path}/file/run: Not a directory"


def test_a_full_disk_is_one_line_and_keeps_the_last_checkpoint(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The disk fills up when the second epoch's table is written."""
    monkeypatch.chdir(tmp_path)
    written: list[Path] = []

    def full(path: Path, rows: list[dict[str, str]]) -> None:
        if len(rows) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        written.append(path)

    monkeypatch.setattr("sr_gan.callbacks.record.write_rows", full)
    code, _, errors = run(monkeypatch, capsys, *SMALL, "stages=[gan]", "callbacks.progress=null")
    assert code == 1
    assert errors.splitlines()[-1] == f"error: {written[0]}: No space left on device"
    assert list(tmp_path.glob("runs/quickstart/*/checkpoints/gan/last.ckpt"))


def test_a_full_gpu_says_what_to_lower(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def full(*args: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr("sr_gan.modules.GAN.training_step", full)
    code, _, errors = run(monkeypatch, capsys, *SMALL, "stages=[gan]")
    assert code == 1
    assert "error: memory is full: set data.batch_size below 2" in errors


def test_help_reads_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = run(monkeypatch, capsys, "--help")
    assert code == 0
    assert text.startswith("python -m sr_gan.train [experiment=NAME] [KEY=VALUE ...]")
    assert "experiment: finetune, gan_bands, gan_ldl, gan_unit, photo, quickstart," in text
    assert max(len(line) for line in text.splitlines()) <= 100


def test_cfg_job_shows_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, text, _ = run(
        monkeypatch, capsys, "experiment=srgan_400ep", "gan.epochs=7", "--cfg", "job"
    )
    assert code == 0
    assert "epochs: 7" in text
    assert "end_kernel: 3" in text


def test_sweeps_make_a_folder_a_job_and_survive_a_failing_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny = [*SMALL, "gan.epochs=1", "stages=[gan]"]
    code, _, errors = run(monkeypatch, capsys, "-m", "gan.loss.weights.adversarial=-1,1e-3", *tiny)
    assert code == 1
    assert "error: gan.loss.weights.adversarial=-1: should be greater than or equal to 0" in errors
    (done,) = tmp_path.glob("runs/quickstart/*-sweep/*/summary.json")
    assert done.parent.name == "1_gan.loss.weights.adversarial=0.001"
    config = OmegaConf.load(done.parent / "config.yaml")
    assert config.gan.loss.weights.adversarial == 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_and_resumed_from_the_shell(tmp_path: Path, signum: signal.Signals) -> None:
    """A run saves, prints how to go on, and goes on in the same folder.

    The signal goes to all processes, as from Ctrl-C and ``timeout``.
    """
    line = [sys.executable, "-m", "sr_gan.train", *SMALL, "stages=[gan]", "gan.epochs=40"]
    line += ["data.feed=loader", "data.workers=2"]
    process = subprocess.Popen(
        line,
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    for text in process.stderr:
        if "gan epoch 1/40" in text:
            os.killpg(process.pid, signum)
            break
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 128 + signum
    (checkpoint,) = tmp_path.glob("runs/quickstart/*/checkpoints/gan/last.ckpt")
    assert f"saved {checkpoint.relative_to(tmp_path)}" in output
    again = subprocess.run(
        [*line[:3], "ckpt_path=last"], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert again.returncode == 0, again.stderr
    (summary,) = tmp_path.glob("runs/quickstart/*/summary.json")
    assert '"epochs": 40' in summary.read_text()


def test_a_job_elsewhere_starts_where_the_command_did(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A process on a cluster starts in another folder."""
    monkeypatch.chdir(tmp_path)
    job = pickle.dumps(_Job(_main, set(), 0.0, Path.cwd(), debug=False, keep_going=True))
    monkeypatch.chdir("/")
    pickle.loads(job)
    assert Path.cwd() == tmp_path
