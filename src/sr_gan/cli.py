"""Turns a function of a configuration into a command whose errors are one readable line each."""

import io
import logging
import os
import signal
import sys
import textwrap
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.experimental.callback import Callback as HydraCallback
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException
from tqdm import tqdm

from sr_gan import signals
from sr_gan.errors import UserError
from sr_gan.files import atomic_write, relative
from sr_gan.resolvers import register_resolvers
from sr_gan.runs.folder import ERROR, LOCK, LOG, failures
from sr_gan.settings.command_line import prepared
from sr_gan.settings.conf import conf_dir
from sr_gan.settings.explain import explain
from sr_gan.settings.extras import check_launcher
from sr_gan.settings.overrides import shared_keys

log = logging.getLogger(__name__)


def command(
    task: Callable[[DictConfig], None],
    config_name: str,
    after_sweep: Callable[[Path], None] | None = None,
    complete: Callable[[Sequence[str]], list[str]] = list,
) -> None:
    """Runs a function on the configuration that is composed from the command line.

    A mistake ends the program with one line and the exit code 1. ``HYDRA_FULL_ERROR=1`` in the
    environment shows tracebacks instead.

    Args:
        task: the function.
        config_name: the name of the configuration's file in conf/.
        after_sweep: a function that is called with the folder of a sweep (``-m``) at its end. If it
            is given, a job that fails does not stop the others, and failed jobs are listed.
        complete: a function that returns the settings on the command line with others added.
    """
    debug = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # makes Hydra raise exceptions instead of printing them
    logging.raiseExceptions = debug  # a pipe closed by `| head` is not worth a traceback
    if not debug:
        threading.excepthook = _in_thread
    begin = time.time()
    SweepFolder.last = None
    try:
        sys.argv[1:] = complete(prepared(sys.argv[1:], config_name))
        common = shared_keys(sys.argv[1:])
        job = _Job(task, common, begin, Path.cwd(), debug, after_sweep is not None)

        # Hydra wants a function, and names the program after the module of that function.
        def run(cfg: DictConfig) -> None:
            job(cfg)

        run.__module__ = task.__module__
        helping = {"--help", "-h"} & set(sys.argv[1:])
        with signals.caught(), _wrapped() if helping else nullcontext():
            hydra.main(str(conf_dir()), config_name, version_base="1.3")(run)()
            if SweepFolder.last and after_sweep:
                _conclude(SweepFolder.last, begin, after_sweep)
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        if debug:
            raise
        _fail(error)
    except signals.Interrupted as stop:
        print(stop, file=sys.stderr)
        sys.exit(128 + stop.signum)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)


@dataclass(frozen=True)
class _Job:
    """A task as Hydra calls it, in this process or in another one that a launcher starts.

    Args:
        task: the function to run.
        common: the settings that all jobs of a sweep share.
        begin: the time stamp of the command's start.
        here: the folder in which the command was started, so that relative paths mean the same; on
            a cluster all machines have to share it.
        debug: whether errors are shown with their tracebacks.
        keep_going: whether the other jobs of a sweep go on when this one fails.
    """

    task: Callable[[DictConfig], None]
    common: set[str]
    begin: float
    here: Path
    debug: bool
    keep_going: bool

    def __post_init__(self) -> None:
        os.chdir(self.here)
        register_resolvers(self.common, self.begin)
        quieten()

    # A launcher pickles a job for another process. There the constructor has to run again, as it
    # enters the command's folder and registers the functions that conf/ calls before the task.
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple(vars(self).values())

    def __call__(self, cfg: DictConfig) -> None:
        folder = Path(HydraConfig.get().runtime.output_dir)
        several = HydraConfig.get().mode == RunMode.MULTIRUN
        if several and self.keep_going:
            self._one_of_several(cfg, folder)
            return
        try:
            self.task(cfg)
        except Exception as error:
            if self.debug or several:
                raise
            foreseen = _foreseen(error)
            if foreseen and folder != Path.cwd():  # only a run has a folder of its own
                _forget_empty_run(folder)
            file = _record(error, traceback=foreseen is None)
            if foreseen:
                _fail(foreseen)
            if file is None:
                raise
            what = f"{type(error).__name__}: {explain(error)}".removesuffix(": ")
            _fail(UserError(f"{what}; the traceback is in {relative(file)}"))

    def _one_of_several(self, cfg: DictConfig, folder: Path) -> None:
        (folder / ERROR).unlink(missing_ok=True)
        try:
            self.task(cfg)
        except Exception as error:  # whatever it is, the others go on
            message = explain(error) or type(error).__name__
            ours = isinstance(error, (UserError, OSError))
            log.error("error: %s", message, exc_info=self.debug or not ours)
            with atomic_write(folder / ERROR) as file:
                file.write(message + "\n")


class Console(logging.StreamHandler):  # type: ignore[type-arg]
    """Prints the log above the progress bars, which conf/train.yaml asks for."""

    def emit(self, record: logging.LogRecord) -> None:
        with tqdm.external_write_mode():
            super().emit(record)


class SweepFolder(HydraCallback):
    """Checks a sweep's launcher and remembers the sweep's folder, which only callbacks learn."""

    last: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        try:
            check_launcher(
                config.hydra.runtime.choices["hydra/launcher"], config.hydra.launcher._target_
            )
        except UserError as error:
            _fail(error)  # Hydra turns errors of callbacks into warnings

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        SweepFolder.last = Path(config.hydra.sweep.dir)


def _conclude(folder: Path, begin: float, after: Callable[[Path], None]) -> None:
    """Ends a sweep that began at the time ``begin``; the exit code is 1 if a job failed."""
    after(folder)
    failed = failures(folder, begin)
    if failed:
        print(f"{len(failed)} of the jobs in {relative(folder)} failed:", file=sys.stderr)
        for name, why in failed.items():
            print(f"  {name}: {why}", file=sys.stderr)
        sys.exit(1)


@contextmanager
def _wrapped() -> Iterator[None]:
    """Wraps what is printed inside to 100 characters, as some groups have many choices."""
    text = io.StringIO()
    try:
        with redirect_stdout(text):
            yield
    finally:
        for line in text.getvalue().splitlines():
            print(textwrap.fill(line, 100, subsequent_indent="  ") if len(line) > 100 else line)


def _fail(error: Exception) -> None:
    print(f"error: {explain(error)}", file=sys.stderr)
    sys.exit(1)


def _in_thread(failure: threading.ExceptHookArgs) -> None:
    """Hides errors of the system in TensorBoard's thread, which the main one raises, too."""
    if not isinstance(failure.exc_value, OSError):
        threading.__excepthook__(failure)


def _foreseen(error: Exception) -> Exception | None:
    """Returns what to tell the user about an error that is not a fault of this package, or None."""
    if isinstance(error, (UserError, OSError)):
        return error
    from sr_gan.devices import out_of_memory  # imports PyTorch

    if out_of_memory(error):
        return UserError("memory is full: end other programs that use it, or use device=cpu")
    return None


def _record(error: Exception, traceback: bool) -> Path | None:
    """Writes an error into the log of the run, if there is one, and returns the file."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler) and Path(handler.baseFilename).parent.is_dir():
            details = (type(error), error, error.__traceback__) if traceback else None
            line = (log.name, logging.ERROR, __file__, 0, "error: %s", (explain(error),), details)
            handler.handle(logging.LogRecord(*line))
            return Path(handler.baseFilename)
    return None


def _forget_empty_run(folder: Path) -> None:
    """Removes the folder of a run that a mistake ended before it began."""
    if all(path.name in (LOG, LOCK) for path in folder.iterdir()):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        with suppress(OSError):  # not empty: the experiment has other runs
            folder.parent.rmdir()


def quieten() -> None:
    """Silences Lightning's advertisements, and hints that do not apply to these runs.

    To be called again after importing Lightning, which resets the levels of its loggers.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in (
        ".*does not have many workers.*",
        ".*worker processes in total.*",
        ".*smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*module\\(s\\) in eval mode.*",  # the frozen VGG19
        ".*treespec, LeafSpec.*",
        ".*ended before the epoch ended and your dataloader is not resumable.*",
        ".*lr_scheduler.step\\(\\)` before `optimizer.step.*",
        ".*the following callbacks: \\[\"ModelCheckpoint{'monitor': 'quality/rank'",  # of 0.2
        ".*`optimizer.step\\(\\)` has been overridden.*",  # bench measures there
        "\\s*'hydra/launcher/ray' is validated against ConfigStore schema.*",
    ):
        warnings.filterwarnings("ignore", pattern)
