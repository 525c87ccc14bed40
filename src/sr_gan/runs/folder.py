"""The run folder ``runs/<experiment>/<date>-<time>/``, and the files that mark failed jobs.

::

    config.yaml        the resolved configuration; a resumed run keeps earlier ones as config.1.yaml
    environment.json   versions, git commit, machine, command
    train.log          the printed lines, with their times
    metrics.csv        one row for each epoch
    summary.json       the results
    checkpoints/<stage>/{last,best,epoch=NNNN}.ckpt, generator.safetensors
    samples/<stage>/epoch_NNNN.png
    tensorboard/<stage>/
"""

from pathlib import Path

from sr_gan.files import atomic_write

RUNS = Path("runs")


ERROR = "error.txt"  # in the folder of a job that failed; one line with the reason


PRUNED = "pruned.txt"  # in the folder of a job that was ended early; one line with the reason


def record_failure(folder: Path, message: str) -> None:
    """Writes ``message``, one line, into the folder of a job that failed."""
    with atomic_write(folder / ERROR) as file:
        file.write(message + "\n")


def failures(folder: Path, since: float = 0.0) -> dict[str, str]:
    """Returns the jobs below ``folder`` that failed after a time stamp, and the reasons."""
    files = sorted(file for file in folder.rglob(ERROR) if file.stat().st_mtime >= since)
    return {str(file.parent.relative_to(folder)): file.read_text().strip() for file in files}
