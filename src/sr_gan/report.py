"""``python -m sr_gan.report``: what came out of runs, as a page to read and to hand on."""

import logging
from datetime import datetime
from pathlib import Path

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import readable
from sr_gan.reports import page
from sr_gan.reports.compare import compare, titles
from sr_gan.reports.history import Run, find_runs, newest, read_run
from sr_gan.reports.published import ORIGINAL_RUN
from sr_gan.reports.single import describe
from sr_gan.runs import RUNS, shown
from sr_gan.schema import ReportConfig, check

log = logging.getLogger(__name__)

# settings whose values are taken as they are
PATHS = ("run", "output")


def report(cfg: DictConfig) -> None:
    """Writes the report on ``cfg.run`` as HTML, Markdown and PNG.

    Raises:
        UserError: there is no such run, or all that there are cannot be read.
    """
    settings = check(cfg, ReportConfig)
    paths = _paths(settings["run"])
    runs, damaged = _read(paths)
    epochs = settings["epochs"]
    if len(paths) == 1:
        title, sections = runs[0].name, [describe(runs[0], epochs or list(ORIGINAL_RUN))]
    else:
        title = f"{len(runs)} runs"
        sections = [compare(runs, damaged)]
        for number, (run, name) in enumerate(zip(runs, titles(runs)), 1):
            sections.append(describe(run, epochs or [], f"{number}-", name))
    folder = Path(settings["output"]).expanduser() if settings["output"] else _folder(paths)
    date = datetime.now().strftime("%Y-%m-%d %H:%M")
    files = page.write(title, date, sections, folder)
    for line in sections[0].text[len(damaged) :]:
        log.info("%s", line)
    html = folder / "report.html"
    log.info("written %s (%s) and report.md", shown(html), readable(html.stat().st_size))
    log.info("        %d pictures in %s", len(files) - 2, shown(folder / "figures"))


def _paths(wanted: str | list[str] | None) -> list[Path]:
    if wanted is not None:
        return find_runs(wanted if isinstance(wanted, list) else [wanted])
    if not RUNS.is_dir():
        raise UserError(
            f"there is no folder {RUNS} here: train a run (python -m sr_gan.train), or name one "
            "that lies elsewhere, run=FOLDER"
        )
    return [newest(find_runs([str(RUNS)]))]


def _read(paths: list[Path]) -> tuple[list[Run], list[str]]:
    """The runs, and of several a line for each that cannot be read."""
    runs, damaged = [], []
    for path in paths:
        try:
            runs.append(read_run(path))
        except UserError as error:
            if len(paths) == 1:
                raise
            log.warning("left out: %s", error)
            damaged.append(f"Left out: {error}.")
    if not runs:
        raise UserError(f"none of the {len(paths)} runs can be read: see above")
    return runs, damaged


def _folder(runs: list[Path]) -> Path:
    """In the run; of several in the folder that they share, if they do."""
    if len(runs) == 1:
        return runs[0] / "report"
    parents = {run.resolve().parent for run in runs}
    return (parents.pop() if len(parents) == 1 else Path.cwd()) / "report"


if __name__ == "__main__":
    command(report, "report", verbatim=PATHS)
