"""Keeps a run's folder to one run: no other writes into it, and none is written over."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from filelock import FileLock, Timeout

from sr_gan.errors import UserError
from sr_gan.files import relative, remove_abandoned
from sr_gan.runs.folder import CONFIG, LOCK, STAGES, checkpoints
from sr_gan.runs.history import read_run


@contextmanager
def occupied(run_dir: Path) -> Iterator[None]:
    """Locks a run's folder, and removes what killed processes left half-written.

    The lock ends with the process, however it ends.

    Raises:
        UserError: another run is writing into the folder.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise UserError(
            f"{relative(run_dir)}: another run is writing into it; wait until it has ended, or "
            "choose another folder with hydra.run.dir=FOLDER"
        ) from error
    except (OSError, NotImplementedError):  # some network file systems have no locks
        pass
    remove_abandoned(run_dir)
    try:
        yield
    finally:
        lock.release()


def refuse_to_overwrite(run_dir: Path) -> None:
    """Refuses to start a run in the folder of another one.

    Raises:
        UserError: the folder holds the state of a run.
    """
    states = checkpoints(run_dir)
    if not states:
        return
    stage, done = states[-1].parent.name, ""
    if (run_dir / CONFIG).exists():
        run = read_run(run_dir)
        done = f", {run.done(stage)} of {run.planned(stage)} epochs"
    where = relative(run_dir)
    raise UserError(
        f"{where} holds a run ({stage}{done}): go on with it by ckpt_path={where}, or choose "
        "another folder with hydra.run.dir=FOLDER"
    )


def set_later_stages_aside(run_dir: Path, stage: str) -> None:
    """Renames the checkpoints of the stages after ``stage``, from which a run is repeated."""
    for later in STAGES[STAGES.index(stage) + 1 :]:
        folder = run_dir / "checkpoints" / later
        if (folder / "last.ckpt").exists():
            numbers = (folder.with_name(f"{later}.{number}") for number in count(1))
            folder.rename(next(name for name in numbers if not name.exists()))
