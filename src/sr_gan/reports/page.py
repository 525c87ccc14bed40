"""Writes a report as a self-contained HTML page, as Markdown, and its pictures as PNG files."""

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from sr_gan.files import atomic_write
from sr_gan.tables import Table, cell


@dataclass(frozen=True)
class Picture:
    """A PNG file, with a second version for dark pages if it is a plot."""

    name: str
    caption: str
    png: bytes
    dark: bytes | None = None

    @property
    def file(self) -> str:
        return f"figures/{self.name}.png"


@dataclass(frozen=True)
class Section:
    """A section on one run, or on several, in the order of the page: what is looked up is last."""

    title: str
    text: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    curves: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    details: Sequence[Table] = ()
    settings: str = ""


def write(title: str, date: str, sections: Sequence[Section], folder: Path) -> list[Path]:
    """Writes ``report.html``, ``report.md`` and ``figures/*.png`` in place of earlier ones."""
    pictures = [picture for s in sections for picture in (*s.pictures, *s.curves)]
    files = {folder / picture.file: picture.png for picture in pictures}
    for name in ("report.html", "report.md"):
        template = templates().get_template(f"{name}.jinja")
        text = template.render(title=title, date=date, sections=sections)
        files[folder / name] = text.encode()
    for stale in _pictures_of(folder) - files.keys():
        stale.unlink(missing_ok=True)
    for path, content in files.items():
        with atomic_write(path, "wb") as file:
            file.write(content)
    return list(files)


def _pictures_of(folder: Path) -> set[Path]:
    """The pictures that the earlier report in a folder shows; others there are not ours."""
    report = folder / "report.md"
    if not report.is_file() or (folder / "figures").is_symlink():
        return set()
    names = re.findall(r"\(figures/([\w-]+\.png)\)", report.read_text(errors="replace"))
    return {folder / "figures" / name for name in names}


def templates() -> Environment:
    """Returns the templates of this room; those of HTML escape what they show."""
    environment = Environment(
        loader=PackageLoader("sr_gan.reports"),
        autoescape=lambda name: str(name).endswith(".html.jinja"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["data_uri"] = _data_uri
    environment.filters["cell"] = cell
    return environment


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
