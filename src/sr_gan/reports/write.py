"""Reads runs, describes and compares them, and writes the report."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sr_gan.errors import UserError
from sr_gan.files import printable, readable, relative
from sr_gan.reports import page
from sr_gan.reports.compare import comparison_section, numbers, titles
from sr_gan.reports.single import run_section
from sr_gan.runs.folder import ERROR
from sr_gan.runs.history import Run, read_run
from sr_gan.runs.published import ORIGINAL_RUN

log = logging.getLogger(__name__)


def write_report(paths: Sequence[Path], folder: Path, epochs: Sequence[int] | None = None) -> None:
    """Writes the report on runs into ``folder``, and logs its main results.

    Args:
        paths: the folder of one run, or the folders of several, which are compared.
        folder: the folder of the HTML page, the same in Markdown and the pictures.
        epochs: the epochs whose pictures are shown; ``None`` for those of the original run's table.

    Raises:
        UserError: none of the runs can be read.
    """
    runs, damaged = _read(paths)
    failed = [f"Failed: {name}: {why}" for name, why in _failures(paths).items()]
    if len(paths) == 1:
        title, sections = runs[0].name, [run_section(runs[0], epochs or list(ORIGINAL_RUN))]
        sections[0] = replace(sections[0], text=[*failed, *sections[0].text])
    else:
        order = [int(number) for number in numbers(runs)]
        runs = [runs[i] for i in sorted(range(len(runs)), key=order.__getitem__)]
        title, sections = f"{len(runs)} runs", [comparison_section(runs, [*damaged, *failed])]
        for number, run, name in zip(numbers(runs), runs, titles(runs)):
            sections.append(run_section(run, epochs or [], f"{number}-", name))
    date = datetime.now().strftime("%Y-%m-%d %H:%M")
    files = page.write(title, date, sections, folder)
    for line in sections[0].text[len(damaged) :]:
        log.info("%s", printable(line))
    if len(paths) > 1:
        log.info("\n%s\n", sections[0].tables[0].plain())
    html = folder / "report.html"
    log.info("written %s (%s) and report.md", relative(html), readable(html.stat().st_size))
    log.info("        %d pictures in %s", len(files) - 2, relative(folder / "figures"))


def _read(paths: Sequence[Path]) -> tuple[list[Run], list[str]]:
    """Returns the runs, and a line for each of several that cannot be read."""
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


def _failures(paths: Sequence[Path]) -> dict[str, str]:
    """Returns why runs failed, or jobs beside them in a sweep that did not become runs."""
    beside = {path.parent for path in paths} if len(paths) > 1 else set()
    files = [path / ERROR for path in paths]
    files += [file for folder in sorted(beside) for file in sorted(folder.glob(f"*/{ERROR}"))]
    return {file.parent.name: file.read_text().strip() for file in files if file.is_file()}
