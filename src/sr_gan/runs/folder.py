"""The run folder ``runs/<experiment>/<date>-<time>/``: find it, record what ran, resume it.

::

    config.yaml        the resolved configuration; of a resumed run earlier ones as config.1.yaml
    environment.json   versions, git commit, machine, command
    train.log          what was printed
    metrics.csv        a row an epoch
    summary.json       what came out
    checkpoints/<stage>/{last,best,epoch=NNNN}.ckpt, generator.safetensors
    samples/<stage>/epoch_NNNN.png
    tensorboard/<stage>/
"""

from pathlib import Path

from sr_gan.files import atomic_write

RUNS = Path("runs")


ERROR = "error.txt"  # in a job's folder: why it failed, in one line


PRUNED = "pruned.txt"  # in a job's folder: why it was ended early, in one line


def record_failure(folder: Path, message: str) -> None:
    """Leaves ``message``, a line, in a job's folder."""
    with atomic_write(folder / ERROR) as file:
        file.write(message + "\n")


def failures(folder: Path, since: float = 0.0) -> dict[str, str]:
    """Job folders that failed, of all below ``folder``, and why; ``since`` a time stamp."""
    files = sorted(file for file in folder.rglob(ERROR) if file.stat().st_mtime >= since)
    return {str(file.parent.relative_to(folder)): file.read_text().strip() for file in files}
