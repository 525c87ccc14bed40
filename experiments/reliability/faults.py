"""Causes the other faults of a run, lets it go on, and compares it with a run left alone.

    python -m experiments.reliability.faults FOLDER PHOTOS [WORD ...]

Only faults whose names contain a WORD are caused, if any is given. Faults are caused for real, most
of them from outside, while the run is stopped at an exact moment: disks are filled, files deleted
and processes killed. FOLDER receives the runs and results.csv. Exits 1 if anything is lost.
"""

import argparse
import csv
import os
import pty
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from experiments.reliability.disk import Disk, UnavailableError, small_disk
from experiments.reliability.trials import MOMENTS, Moment, Runs, Trial, injected, report

Done = subprocess.CompletedProcess[str]

STEP = ("sr_gan.modules.gan", "GAN.generator_loss", 5)  # the middle of the second epoch
EARLY_STEP = ("sr_gan.modules.pretrain", "Pretrain.training_step", 5)
TABLE = ("sr_gan.callbacks.record", "write_rows", 5)
CHECKPOINT = MOMENTS["while a checkpoint is written"]
CACHE = MOMENTS["while the cache is built"]
BETWEEN = MOMENTS["between the stages"]
SAMPLES = ("sr_gan.callbacks.samples", "SampleGrid.on_validation_epoch_end", 5)
NAMING = ("sr_gan.runs.resume", "_new_folder", 1)


@dataclass
class Paused:
    """A run that is stopped at a moment; ``done`` is how it ended when it had gone on."""

    pid: int
    done: Done | None = None


class Case:
    """One run with a fault, what happened to it and what it lost.

    Args:
        runs: the runs of the study.
    """

    def __init__(self, runs: Runs) -> None:
        self.runs, self.run_dir = runs, runs.fresh()
        self.settings = runs.settings(self.run_dir)
        self.options: dict[str, Any] = {}  # of its processes
        self.disk: Disk | None = None
        self.happened: list[str] = []
        self.lost: list[str] = []

    @property
    def enter(self) -> list[str]:
        return self.disk.enter if self.disk else []

    @property
    def files(self) -> Path:
        """The run's folder as this process sees it."""
        return self.disk.seen(self.run_dir) if self.disk else self.run_dir

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        later = self.files / "checkpoints" / "gan" / "last.ckpt"
        return later if later.exists() else later.parents[1] / "pretrain" / "last.ckpt"

    def train(self, *settings: str, before: tuple[str, ...] = ()) -> Done:
        line = [*self.enter, *before, *self.runs.line(settings)]
        return subprocess.run(line, capture_output=True, **self.runs.options(), timeout=300)

    def resume(self, *settings: str) -> Done:
        return self.train(f"ckpt_path={self.run_dir}", *settings)

    @contextmanager
    def paused(self, moment: Moment, settings: list[str] | None = None) -> Iterator[Paused]:
        """Stops a run at a moment for the block, and then lets it go on to its end."""
        line = self.runs.line(settings or self.settings, *injected(moment, "SIGSTOP"))
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        options = self.runs.options(**pipes, **self.options)
        process = subprocess.Popen([*self.enter, *line], **options)
        wait_until_stopped(process)
        paused = Paused(process.pid)
        yield paused
        os.killpg(process.pid, signal.SIGCONT)
        output, errors = process.communicate(timeout=300)
        paused.done = subprocess.CompletedProcess(line, process.returncode, output, errors)

    def stop(self, moment: Moment) -> None:
        """Stops a run at a moment for good, as Ctrl-C does."""
        self.runs.train(self.settings, *injected(moment, "SIGINT"))

    def copy_stopped(self) -> None:
        """Makes this a run that was stopped in the second epoch of its second stage."""
        source = self.runs.folder / "stopped"
        if not source.exists():
            self.runs.train(self.runs.settings(source), *injected(STEP, "SIGINT"))
        shutil.copytree(source, self.run_dir)

    def copy_finished(self) -> None:
        shutil.copytree(self.runs.folder / "straight", self.run_dir)

    def expect(self, done: Done | None, code: int, words: str = "") -> None:
        """Notes how a command ended; it has lost something if not with ``code`` and ``words``."""
        assert done is not None
        output = (done.stdout + done.stderr).replace(f"{self.runs.folder}/", "")
        said = [line for line in output.splitlines() if words and words in line]
        self.happened.append(": ".join([f"exit code {done.returncode}", *said[-1:]]))
        if done.returncode != code:
            self.lost.append(f"exit code {code}, not {done.returncode}: {output[-500:]}")
        elif "Traceback" in output or (words and not said):
            self.lost.append(f"a line that says what to do: {output[-500:]}")

    def require(self, fact: object, otherwise: str) -> None:
        """Notes a loss if something that should be so is not."""
        self.lost += [] if fact else [otherwise]

    def go_on(self, *settings: str) -> None:
        """Lets the run go on to its end, and compares it."""
        saved = any(self.files.glob("checkpoints/*/last.ckpt"))
        self.expect(self.resume(*settings) if saved else self.train(*self.settings, *settings), 0)
        self.compare()

    def compare(self) -> None:
        self.lost += self.runs.losses(self.files)


FAULTS: dict[str, tuple[str, Callable[[Case], None]]] = {}


def fault(name: str, caused: str) -> Callable[[Callable[[Case], None]], Callable[[Case], None]]:
    """Registers a function that causes a fault, under the fault's name and how it is caused."""

    def register(function: Callable[[Case], None]) -> Callable[[Case], None]:
        FAULTS[name] = caused, function
        return function

    return register


def cause(runs: Runs, name: str) -> Trial:
    """Causes the fault of this name; returns what happened and what was lost."""
    caused, function = FAULTS[name]
    case = Case(runs)
    try:
        function(case)
    except UnavailableError as reason:
        return Trial(name, caused, f"not tried: {reason}")
    return Trial(name, caused, "; then ".join(case.happened), "; ".join(case.lost))


def wait_until_stopped(process: "subprocess.Popen[str]") -> None:
    _, status = os.waitpid(process.pid, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        raise RuntimeError(f"the run ended before the moment: {process.communicate()}")


def contents(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """Returns the time and the content of each file of a run, except for its log and its lock."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    files = [path for path in files if path.name not in ("train.log", ".lock")]
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


def rows(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _full(case: Case, moment: Moment, words: str) -> None:
    with small_disk(case.runs.folder / f"disk-{case.run_dir.name}", "64m") as disk:
        case.disk, case.run_dir = disk, disk.folder / "run"
        cache = f"data.cache_dir={disk.folder / 'cache'}"
        case.settings = [*case.runs.settings(case.run_dir), cache]
        with case.paused(moment) as run:
            disk.fill()
        case.expect(run.done, 1, words)
        disk.free()
        case.go_on()
        parts = list(disk.seen(disk.folder).rglob(".*.part"))
        case.require(not parts, "half a file was left")


for _what, _moment, _words in (
    ("the cache is built", CACHE, "what is done is kept"),
    ("a checkpoint is written", CHECKPOINT, "No space left"),
    ("metrics.csv is written", TABLE, "No space left"),
    ("samples are written", SAMPLES, "No space left"),
):
    fault(f"disk full while {_what}", "a disk of 64 MB is filled at this moment")(
        partial(_full, moment=_moment, words=_words)
    )


@fault("shared memory is full", "/dev/shm has 64 kB")
def _(case: Case) -> None:
    with small_disk(Path("/dev/shm"), "64k") as case.disk:
        case.expect(case.train(*case.settings), 1, "/dev/shm")
    case.disk = None
    case.go_on()


@fault("the main memory is full", "the system gives the run no more from a step on (RLIMIT_AS)")
def _(case: Case) -> None:
    with case.paused(STEP) as run:
        size = int(Path(f"/proc/{run.pid}/statm").read_text().split()[0]) * os.sysconf(
            "SC_PAGESIZE"
        )
        resource.prlimit(run.pid, resource.RLIMIT_AS, (size, size))
    case.expect(run.done, 1, "memory is full")
    case.go_on()


@fault("a loader worker is killed", "SIGKILL to one of them, in a step")
def _(case: Case) -> None:
    with case.paused(STEP) as run:
        workers = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
        os.kill(int(workers[-1]), signal.SIGKILL)
    case.expect(run.done, 1, "was ended")
    case.go_on()


@fault("the cache is deleted during a run", "rm -r between the stages")
def _(case: Case) -> None:
    with case.paused(BETWEEN) as run:
        shutil.rmtree(case.runs.folder / f"cache-{case.run_dir.name}")
    case.expect(run.done, 0)
    case.compare()


@fault("the cache is deleted before a resume", "rm -r")
def _(case: Case) -> None:
    case.stop(STEP)
    shutil.rmtree(case.runs.folder / f"cache-{case.run_dir.name}")
    case.go_on()


def _own_photos(case: Case) -> Path:
    photos = case.runs.folder / f"photos-{case.run_dir.name}"
    shutil.copytree(case.runs.photos, photos)
    case.settings += [f"data.train_dir={photos}"]
    return photos


def _negate(photos: Path) -> None:
    """Changes one photo and deletes another."""
    changed, deleted, *_ = sorted(path for path in photos.rglob("*") if path.is_file())
    with Image.open(changed) as image:
        negative = image.convert("RGB").point(lambda value: 255 - value)
    negative.save(changed)
    deleted.unlink()


@fault("photos change during a run", "one is replaced and one deleted between the stages")
def _(case: Case) -> None:
    photos = _own_photos(case)
    with case.paused(BETWEEN) as run:
        _negate(photos)
    case.expect(run.done, 0)
    case.compare()


@fault("photos change before a resume", "one is replaced and one deleted")
def _(case: Case) -> None:
    photos = _own_photos(case)
    case.stop(STEP)
    kept = photos.with_name(f"{photos.name}-kept")
    shutil.copytree(photos, kept)
    _negate(photos)
    case.expect(case.resume(), 1, "other_photos=true")
    other = case.run_dir.with_name(f"{case.run_dir.name}-other")
    shutil.copytree(case.run_dir, other)
    case.expect(case.train(f"ckpt_path={other}", "other_photos=true"), 0)
    shutil.rmtree(photos)
    shutil.copytree(kept, photos)
    case.go_on()


def _damaged(case: Case, damage: Callable[[bytes], bytes]) -> None:
    case.copy_stopped()
    case.last.write_bytes(damage(case.last.read_bytes()))
    case.expect(case.resume(), 1, "resume from another one")
    best = case.last.with_name("best.ckpt")
    case.expect(case.train(f"ckpt_path={best}"), 0)
    case.compare()


def _flipped(content: bytes) -> bytes:
    place = len(content) // 2
    return content[:place] + bytes([content[place] ^ 16]) + content[place + 1 :]


for _what, _how, _damage in (
    ("a flipped bit", "in its middle", _flipped),
    ("a cut end", "half of it is left", lambda content: content[: len(content) // 2]),
    ("no bytes", "it is emptied", lambda content: b""),
):
    fault(f"last.ckpt has {_what}", f"{_how}, before a resume")(partial(_damaged, damage=_damage))


@fault("metrics.csv is torn", "its last 20 bytes are missing, before a resume")
def _(case: Case) -> None:
    case.copy_stopped()
    table = case.run_dir / "metrics.csv"
    table.write_bytes(table.read_bytes()[:-20])
    case.go_on()


@fault("metrics.csv is deleted", "before a resume")
def _(case: Case) -> None:
    case.copy_stopped()
    (case.run_dir / "metrics.csv").unlink()
    case.go_on()


@fault("the clock is set back", "the files of the second stage are a day older than the others")
def _(case: Case) -> None:
    case.copy_stopped()
    for path in case.run_dir.rglob("checkpoints/gan/*"):
        time = path.stat().st_mtime - 24 * 60 * 60
        os.utime(path, (time, time))
    case.go_on()


@fault("the run is copied without times", "cp -r, in the reverse order of its stages")
def _(case: Case) -> None:
    source, case.run_dir = case.run_dir, case.run_dir.with_name(f"{case.run_dir.name}-copy")
    Case.copy_stopped(moved := Case(case.runs))
    moved.run_dir.rename(source)
    for part in ("checkpoints/gan", "checkpoints/pretrain", "."):
        shutil.copytree(
            source / part, case.run_dir / part, dirs_exist_ok=True, copy_function=shutil.copy
        )
    shutil.rmtree(source)
    case.go_on()


@fault("the run is moved", "mv RUN ELSEWHERE, before a resume")
def _(case: Case) -> None:
    case.stop(STEP)
    case.run_dir = case.run_dir.rename(case.run_dir.with_name(f"{case.run_dir.name} moved"))
    case.go_on()


@fault("the run's folder is read-only", "chmod a-w, before a resume")
def _(case: Case) -> None:
    if shutil.which("setpriv") is None:
        raise UnavailableError("this system has no setpriv, which takes root's powers away")
    case.copy_stopped()
    folders = [case.run_dir, *(path for path in case.run_dir.rglob("*") if path.is_dir())]
    before = contents(case.run_dir)
    for folder in folders:
        folder.chmod(0o555)
    powerless = ("setpriv", "--bounding-set=-all", "--inh-caps=-all") if not os.geteuid() else ()
    refused = case.train(f"ckpt_path={case.run_dir}", before=powerless)
    case.expect(refused, 1, "ermission denied")
    for folder in folders:
        folder.chmod(0o755)
    case.require(before == contents(case.run_dir), "a file has changed")
    case.go_on()


@fault("the losses diverge", "gan.loss.weights.l1=1e38, in a resume")
def _(case: Case) -> None:
    case.copy_stopped()
    case.expect(case.resume("gan.loss.weights.l1=1e38"), 1, "diverged")
    case.go_on("gan.loss.weights.l1=1")


@fault("the same command again", "without ckpt_path, after the run was stopped")
def _(case: Case) -> None:
    case.stop(STEP)
    before = contents(case.run_dir)
    case.expect(case.train(*case.settings), 1, "holds a run")
    case.require(before == contents(case.run_dir), "a file has changed")
    case.go_on()


@fault("two runs in one folder", "the second begins, and resumes, while the first is in a step")
def _(case: Case) -> None:
    with case.paused(STEP) as run:
        case.expect(case.train(*case.settings), 1, "another run is writing")
        case.expect(case.resume(), 1, "another run is writing")
    case.expect(run.done, 0)
    case.compare()


@fault("two runs in the same second", "both are stopped before they choose a folder")
def _(case: Case) -> None:
    case.run_dir.mkdir()
    case.settings = [each for each in case.settings if not each.startswith("hydra.run.dir")]
    case.options = {"cwd": case.run_dir}
    with case.paused(NAMING) as first, case.paused(NAMING) as second:
        os.killpg(first.pid, signal.SIGCONT)  # the second goes on at the end of the block
    case.expect(first.done, 0)
    case.expect(second.done, 0)
    found = sorted(case.run_dir.glob("runs/*/*"))
    case.happened.append(" and ".join(path.name for path in found))
    case.require(len(found) == 2, "a folder of its own")
    for case.run_dir in found:
        case.compare()


@fault("a second Ctrl-C", "SIGINT twice within a step")
def _(case: Case) -> None:
    done = case.runs.train(case.settings, *injected(STEP, "SIGINT", "SIGINT"))
    case.expect(done, 130, "stopped by SIGINT; nothing new to save")
    case.go_on()


def _in_a_terminal(case: Case, *before: str) -> int:
    """Closes the terminal of a run that is in a step; returns the exit code."""
    ours, its = pty.openpty()
    line = ["setsid", "--ctty", *before, *case.runs.line(case.settings, *injected(STEP, "SIGSTOP"))]
    case.run_dir.mkdir()
    options: dict[str, Any] = case.runs.options(start_new_session=False, cwd=case.run_dir)
    process = subprocess.Popen(line, stdin=its, stdout=its, stderr=its, **options)
    os.close(its)
    wait_until_stopped(process)
    os.close(ours)
    os.killpg(process.pid, signal.SIGCONT)
    return process.wait(timeout=300)


@fault("the terminal is closed", "a terminal of its own is closed, in a step")
def _(case: Case) -> None:
    code = _in_a_terminal(case)
    case.happened.append(f"exit code {code}")
    case.require(code == 128 + signal.SIGHUP, f"exit code 129, not {code}")
    case.go_on()


def _outlives_its_terminal(case: Case, before: tuple[str, ...]) -> None:
    code = _in_a_terminal(case, *before)
    case.happened.append(f"exit code {code}")
    case.require(code == 0, f"exit code 0, not {code}")
    case.compare()


for _what, _before in (
    ("nohup", ("nohup",)),
    ("trap '' HUP", ("sh", "-c", "trap '' HUP; exec \"$@\"", "sh")),
):
    fault(f"the terminal is closed behind {_what}", "a terminal of its own is closed, in a step")(
        partial(_outlives_its_terminal, before=_before)
    )


@fault("a resume with a learning rate", "gan.generator_lr=0.00007")
def _(case: Case) -> None:
    case.copy_stopped()
    case.expect(case.resume("gan.generator_lr=7e-5"), 0, "gan.generator_lr: ")
    used = rows(case.run_dir)[-1]["optimizer/lr_generator"]
    case.happened.append(f"metrics.csv has {used}")
    case.require(float(used) == 7e-5, "the rate is not used")


@fault("a resume of a finished run", "ckpt_path=RUN")
def _(case: Case) -> None:
    case.copy_finished()
    before = contents(case.run_dir)
    case.expect(case.resume(), 0, "nothing left to do")
    case.require(before == contents(case.run_dir), "a file has changed")
    case.compare()


@fault("a finished run is extended", "ckpt_path=RUN gan.epochs=4")
def _(case: Case) -> None:
    case.copy_finished()
    before = rows(case.run_dir)
    case.expect(case.resume("gan.epochs=4"), 0, "gan.epochs: 3 -> 4")
    after = rows(case.run_dir)
    case.require(after[: len(before)] == before and len(after) == len(before) + 1, "rows differ")


@fault("a resume from an earlier stage", "from a checkpoint in the pretrain, after the GAN stage")
def _(case: Case) -> None:
    case.stop(EARLY_STEP)
    middle = case.last.rename(case.last.with_name("middle.ckpt"))
    case.expect(case.train(f"ckpt_path={middle}"), 0)
    case.compare()
    case.expect(case.train(f"ckpt_path={middle}"), 0)
    aside = [path.name for path in case.run_dir.glob("checkpoints/gan.*")]
    case.happened.append(f"the first GAN stage is in {', '.join(aside)}")
    case.require(aside == ["gan.1"], "the GAN stage")
    shutil.rmtree(case.run_dir / "checkpoints" / "gan.1")
    case.compare()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", type=Path, help="a folder of small photographs")
    parser.add_argument("words", nargs="*", help="in the names of the faults; all without any")
    options = parser.parse_args()
    runs = Runs(options.folder, options.photos)
    names = [n for n in FAULTS if not options.words or any(word in n for word in options.words)]
    sys.exit(report(options.folder / "results.csv", [partial(cause, runs, name) for name in names]))


if __name__ == "__main__":
    main()
