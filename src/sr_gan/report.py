"""``python -m sr_gan.report``: what came out of runs, as a page to read and to hand on."""

from pathlib import Path

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import real, user_path
from sr_gan.runs.folder import RUNS
from sr_gan.runs.history import find_runs, newest
from sr_gan.settings.check import check
from sr_gan.settings.schema import ReportConfig


def report(cfg: DictConfig) -> None:
    """Writes the report on ``cfg.run`` as HTML, Markdown and PNG.

    Raises:
        UserError: there is no such run, or all that there are cannot be read.
    """
    settings = check(cfg, ReportConfig)
    paths = _paths(settings["run"])
    from sr_gan.reports.write import write_report  # imports matplotlib

    folder = user_path(settings["output"]) if settings["output"] else _folder(paths)
    write_report(paths, folder, settings["epochs"])


def _paths(wanted: list[str] | None) -> list[Path]:
    if wanted is not None:
        return find_runs(wanted)
    if not RUNS.is_dir():
        raise UserError(
            f"there is no folder {RUNS} here: train a run (python -m sr_gan.train), or name one "
            "that lies elsewhere, run=FOLDER"
        )
    return [newest(find_runs([str(RUNS)]))]


def _folder(runs: list[Path]) -> Path:
    """In the run; of several in the folder that they share, if they do."""
    if len(runs) == 1:
        return runs[0] / "report"
    parents = {real(run).parent for run in runs}
    return (parents.pop() if len(parents) == 1 else Path.cwd()) / "report"


if __name__ == "__main__":
    command(report, "report")
