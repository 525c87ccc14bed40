"""Tables of text, for a terminal and as Markdown."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan


@dataclass(frozen=True)
class Table:
    """Rows under a header. The first column names the rows, the others hold numbers.

    Args:
        caption: what the table shows; empty where the text around it says so.
        header: the titles of the columns.
        rows: one text for each column.
    """

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def plain(self) -> str:
        """The table as aligned text, without its caption."""
        lines = [self.header, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines)]
        cells = [
            [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))]
            for row in lines
        ]
        return "\n".join("  ".join(row).rstrip() for row in cells)

    def markdown(self) -> str:
        """The table as Markdown, without its caption."""
        rule = ["---", *["--:"] * (len(self.header) - 1)]
        lines = [[cell(text) for text in row] for row in (self.header, rule, *self.rows)]
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def counted(number: int, noun: str) -> str:
    """Returns ``1 photo`` or ``12 photos``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def listed(words: Sequence[str], most: int) -> str:
    """Returns the first ``most`` words between commas, and dots if there are more."""
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")


def cell(text: str) -> str:
    """A text as a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")


def number(value: float | None, style: str) -> str:
    """A number in a format such as ``.2f``; a dash where there is none."""
    return "-" if value is None else "NaN" if isnan(value) else f"{value:{style}}"
