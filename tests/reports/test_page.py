import base64
import re
from html.parser import HTMLParser
from pathlib import Path

from sr_gan.reports.page import Picture, Section, write
from sr_gan.tables import Table

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Collects the open tags, and every address that the page loads."""

    VOID = ("meta", "img", "input", "link", "br", "source")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


SECTION = Section(
    "a <run>",
    text=["D & G"],
    tables=[Table("scores", ["", "x|y"], [["<b>", "1"]])],
    curves=[Picture("curve", "a curve", PNG, PNG)],
    pictures=[Picture("picture", "a picture", PNG)],
    details=[Table("facts", ["", ""], [["command", "a | b"]])],
    settings="seed: 0\n",
)


def test_the_page_needs_no_other_file_and_quotes_what_it_shows(tmp_path: Path) -> None:
    write("a <run>", "today", [SECTION], tmp_path)
    text = (tmp_path / "report.html").read_text()
    page = Page(text)
    assert not page.open
    assert len(page.addresses) == 3
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert not re.search(r"https?:|<b>|<run>", text)
    assert "D &amp; G" in text
    assert "&lt;run&gt;" in text


def test_markdown_shows_the_pictures_that_lie_beside_it(tmp_path: Path) -> None:
    write("title", "today", [SECTION], tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "|  | x\\|y |\n| --- | --: |\n| <b> | 1 |\n" in text
    assert "```yaml\nseed: 0\n```" in text
    names = re.findall(r"!\[.*\]\((.*)\)", text)
    assert names == ["figures/picture.png", "figures/curve.png"]
    assert all((tmp_path / name).read_bytes() == PNG for name in names)
    html = (tmp_path / "report.html").read_text()
    for page, table in ((text, "| --- |"), (html, "<table")):
        assert page.index("a picture") < page.index("a curve") < page.index(table)


def test_what_is_wider_than_a_phone_can_be_scrolled_by_keys(tmp_path: Path) -> None:
    write("title", "today", [SECTION], tmp_path)
    text = (tmp_path / "report.html").read_text()
    regions = re.findall(r'<div class="scroll" tabindex="0" role="region" aria-label="(.*)">', text)
    assert regions == ["a picture", "scores", "facts"]


def test_pictures_of_an_earlier_report_go(tmp_path: Path) -> None:
    write("title", "today", [SECTION], tmp_path)
    (tmp_path / "figures" / "note.txt").touch()
    write("title", "today", [Section("other")], tmp_path)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["note.txt"]
