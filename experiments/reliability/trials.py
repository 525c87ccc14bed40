"""Interrupts small runs in every way, resumes them, and compares them with a run left alone.

    python -m experiments.reliability.trials FOLDER PHOTOS [--signals] [--kills N] [--seed N]

FOLDER receives the runs and results.csv. Exits 1 if any trial loses something.
"""

import argparse
import csv
import importlib
import os
import random
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial, wraps
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

_BEGINS = "INFO run  "  # in the log, when a run is set up
SIGNALS = tuple(n for n in ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1") if hasattr(signal, n))
Moment = tuple[str, str, int]
# What is called at a moment, in which module it is looked up, and which of its calls is meant.
MOMENTS: dict[str, Moment] = {
    "while settings are checked": ("sr_gan.settings.check", "check", 1),
    "while the cache is built": ("sr_gan.data.cache", "read_pair", 2),
    "while networks are built": ("sr_gan.data.datamodule", "SRData.setup", 1),
    "while a stage is set up": ("sr_gan.modules.base", "SRModule.configure_optimizers", 1),
    "between the players of a step": ("sr_gan.modules.gan", "GAN.generator_loss", 2),
    "in the last step of an epoch": ("sr_gan.modules.gan", "GAN.generator_loss", 3),
    "in a validation": ("sr_gan.modules.base", "SRModule.validation_step", 5),
    "while a checkpoint is written": ("sr_gan.runs.checkpoint_io", "atomic_write", 3),
    "at the end of an epoch": ("sr_gan.callbacks.record", "MetricsTable.on_train_epoch_end", 3),
    "between the stages": ("sr_gan.runs.weights", "save_generator", 1),
    "while the second stage is set up": ("sr_gan.modules.gan", "GAN.configure_optimizers", 1),
    "while the summary is written": ("sr_gan.runs.summary", "summarise", 1),
}
RUN = (  # two stages of three epochs of three batches, with two loader processes
    *("generator=srresnet", "generator.filters=8", "generator.blocks=1", "discriminator.filters=4"),
    *("discriminator.dense=8", "data=folder", "data.crop=32", "data.batch_size=2"),
    *("data.crops_per_epoch=6", "data.feed=loader", "data.workers=2", "trainer=cpu"),
    *("trainer.precision=32-true", "trainer.check_val_every_n_epoch=1", "pretrain.epochs=3"),
    *("gan.epochs=3", "health.every=2", "degradation=jpeg", "gan.ema=0.9"),
    "callbacks.save.minutes=0.0005",  # so that most checkpoints are from the middle of an epoch
)


@dataclass
class Trial:
    """What was done to a run, and what it lost; nothing if ``lost`` is empty."""

    fault: str
    caused: str
    happened: str
    lost: str = ""


class Runs:
    """Runs of one experiment in a folder, and what each of them should give.

    Args:
        folder: the folder of the runs.
        photos: the folder of the photographs.
    """

    def __init__(self, folder: Path, photos: Path) -> None:
        self.folder, self.photos = folder.resolve(), photos.resolve()
        self.number = 0
        self.folder.mkdir(parents=True, exist_ok=True)
        straight = self.folder / "straight"
        process = self.begin(straight, self.settings(straight))
        begin = time.monotonic()
        if process.wait():
            raise RuntimeError(f"the run that is left alone ends with {process.returncode}")
        self.seconds = time.monotonic() - begin  # of training
        self.expected = results(straight)

    def settings(self, run_dir: Path) -> list[str]:
        cache = self.folder / f"cache-{run_dir.name}"
        where = [f"data.train_dir={self.photos}", f"data.cache_dir={cache}"]
        return [*RUN, *where, f"hydra.run.dir={run_dir}"]

    def fresh(self) -> Path:
        self.number += 1
        return self.folder / str(self.number)

    def train(
        self, settings: Sequence[str], *program: str, **options: Any
    ) -> "subprocess.CompletedProcess[str]":
        line = self.line(settings, *program)
        return subprocess.run(line, capture_output=True, **self.options(**options), timeout=300)

    def begin(self, run_dir: Path, settings: Sequence[str]) -> "subprocess.Popen[str]":
        """Starts a run, and waits until it begins to train or has ended."""
        log = run_dir / "train.log"
        seen = log.read_text().count(_BEGINS) if log.exists() else 0
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(self.line(settings), **self.options(**quiet))
        while process.poll() is None:
            if log.exists() and log.read_text().count(_BEGINS) > seen:
                break
            time.sleep(0.02)
        return process

    def line(self, settings: Sequence[str], *program: str) -> list[str]:
        return [sys.executable, *(program or ("-m", "sr_gan.train")), *settings]

    def options(self, **more: Any) -> dict[str, Any]:
        # Without weights for LPIPS, which would only take time.
        torch_home = str(self.folder / "torch")
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TORCH_HOME": torch_home}
        # The study itself may be behind nohup.
        hangup = partial(signal.signal, signal.SIGHUP, signal.SIG_DFL)
        common = {"text": True, "start_new_session": True, "preexec_fn": hangup}
        return {**common, "cwd": self.folder, "env": environment, **more}

    def go_on(self, run_dir: Path) -> "subprocess.CompletedProcess[str]":
        """Resumes a run by its folder alone, or starts it again if it has saved nothing yet."""
        saved = any(run_dir.glob("checkpoints/*/last.ckpt"))
        return self.train([f"ckpt_path={run_dir}"] if saved else self.settings(run_dir))

    def losses(self, run_dir: Path) -> list[str]:
        """Returns in what a run that went on differs from one that was left alone."""
        found = results(run_dir)
        lost = [
            f"{name} differs" for name, value in self.expected.items() if found.get(name) != value
        ]
        parts = [*run_dir.rglob(".*.part"), *self.folder.glob(f"cache-{run_dir.name}/**/.*.part")]
        return lost + [f"{path.name} was left" for path in parts]


def results(run_dir: Path) -> dict[str, Any]:
    """Returns the weights of a run's generators, and its table without the speed."""
    files = sorted(run_dir.glob("checkpoints/*/generator.safetensors"))
    found: dict[str, Any] = {
        f"{file.parent.name}'s generator": {
            name: tensor.numpy().tobytes() for name, tensor in load_file(file).items()
        }
        for file in files
    }
    table = run_dir / "metrics.csv"
    if table.exists():
        with table.open(newline="") as file:
            found["metrics.csv"] = [
                {name: value for name, value in row.items() if not name.startswith("speed/")}
                for row in csv.DictReader(file)
            ]
    return found


def interrupt(runs: Runs, name: str, moment: str) -> Trial:
    """Sends a signal to a run and to its workers at an exact moment, and lets it go on."""
    run_dir, signum = runs.fresh(), getattr(signal, name)
    done = runs.train(runs.settings(run_dir), *injected(MOMENTS[moment], name))
    trial = Trial(f"{name} {moment}", "sent to the group", f"exit code {done.returncode}")
    output = done.stdout + done.stderr
    if done.returncode != 128 + signum:
        trial.lost = f"the exit code {128 + signum}: {done.stderr[-500:]}"
    elif f"stopped by {name}" not in output or "Traceback" in output:
        trial.lost = f"a plain message: {output[-500:]}"
    return _finish(runs, run_dir, trial)


def kill(runs: Runs, chance: random.Random) -> Trial:
    """Kills a run at a random moment of its training, twice, and lets it go on."""
    run_dir, times = runs.fresh(), list[str]()
    while len(times) < 2:
        settings = runs.settings(run_dir)
        if any(run_dir.glob("checkpoints/*/last.ckpt")):
            settings = [f"ckpt_path={run_dir}"]
        process, delay = runs.begin(run_dir, settings), chance.uniform(0, runs.seconds)
        try:
            process.wait(delay)  # it was faster than the one that was measured: once more
            run_dir, times, runs.seconds = runs.fresh(), [], 0.8 * runs.seconds
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            times.append(f"{delay:.2f} s")
    return _finish(runs, run_dir, Trial("SIGKILL", f"after {' and '.join(times)}", "killed twice"))


def _finish(runs: Runs, run_dir: Path, trial: Trial) -> Trial:
    done = runs.go_on(run_dir)
    trial.happened += f", then {done.returncode}"
    if done.returncode:
        trial.lost = trial.lost or f"the run, which does not go on: {done.stderr[-500:]}"
    trial.lost = trial.lost or "; ".join(runs.losses(run_dir))
    return trial


def injected(moment: Moment, *names: str) -> list[str]:
    """Returns the program that trains, and that signals its own group at a moment."""
    return [str(Path(__file__).resolve()), "inject", *map(str, moment), ",".join(names)]


def located(module: str, place: str) -> tuple[Any, str]:
    """Returns the module or class that has the function of a moment, and its name there."""
    owner: Any = importlib.import_module(module)
    *parents, attribute = place.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    return owner, attribute


def inject(module: str, place: str, number: str, names: str, arguments: list[str]) -> None:
    """Runs ``sr_gan.train`` in this process, which signals its own group at a moment."""
    owner, attribute = located(module, place)
    original, calls = getattr(owner, attribute), 0

    @wraps(original)
    def signalling(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        for name in names.split(",") if calls == int(number) else ():
            os.killpg(0, getattr(signal, name))
            time.sleep(0.7 if "," in names else 0.05)  # a hand's second Ctrl-C comes later
        return original(*args, **kwargs)

    setattr(owner, attribute, signalling)
    sys.argv = ["sr_gan.train", *arguments]
    runpy.run_module("sr_gan.train", run_name="__main__")


def report(table: Path, trials: Sequence[Callable[[], Trial]]) -> bool:
    """Makes trials, prints them and writes them into a table; returns whether any lost anything."""
    lost = 0
    with table.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(field.name for field in fields(Trial))
        for trial in trials:
            result = trial()
            writer.writerow(astuple(result))
            file.flush()
            print(*(value for value in astuple(result) if value), sep="\n    ", flush=True)
            lost += bool(result.lost)
    print(f"{len(trials)} trials, {lost} lost something")
    return lost > 0


def main() -> None:
    if sys.argv[1:2] == ["inject"]:
        module, place, number, names, *arguments = sys.argv[2:]
        inject(module, place, number, names, arguments)
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=Path, help="a folder of small photographs")
    parser.add_argument("--signals", action="store_true", help="all signals at all moments")
    parser.add_argument("--kills", type=int, default=0, help="the number of random SIGKILLs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    runs, chance = Runs(options.folder, options.photos), random.Random(options.seed)
    trials = [partial(interrupt, runs, n, m) for m in MOMENTS for n in SIGNALS if options.signals]
    trials += [partial(kill, runs, chance)] * options.kills
    sys.exit(report(options.folder / "results.csv", trials))


if __name__ == "__main__":
    main()
