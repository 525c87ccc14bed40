"""The lines of the page, and how a check that goes wrong becomes one of them."""

import io
import textwrap
import warnings
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Literal

from sr_gan.settings.explain import explain

_LEFT, _WIDTH = 20, 100  # columns before the text, and of a line
_LONGEST = 500  # characters of an error
# A path that is longer than a line is not broken.
_WRAPPER = textwrap.TextWrapper(_WIDTH - _LEFT, break_long_words=False, break_on_hyphens=False)


@dataclass(frozen=True)
class Line:
    """What one check has found.

    Args:
        subject: what was checked, in at most 13 characters.
        text: what was found.
        advice: what to do about it, which is left out if all is well.
        verdict: whether all is well, something is absent or slow, or something fails.
    """

    subject: str
    text: str
    advice: str = ""
    verdict: Literal["ok", "note", "FAIL"] = "ok"

    def __str__(self) -> str:
        first = f"{self.verdict:6}{self.subject:{_LEFT - 6}}"
        texts = [self.text]
        if self.advice and self.verdict != "ok":
            texts.append(f"-> {self.advice}")
        wrapped = [line for text in texts for line in _WRAPPER.wrap(text)]
        return f"\n{' ' * _LEFT}".join([first + wrapped[0], *wrapped[1:]])


Check = Callable[[], Iterator[Line]]


def examine(subject: str, check: Check) -> Iterator[Line]:
    """Yields the lines of a check; an error in it is a line, too, and ends this check only."""
    try:
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield from check()
    except Exception as error:  # whatever it is, the other checks go on
        reason = textwrap.shorten(explain(error), _LONGEST, placeholder=" ...")
        yield Line(subject, reason or type(error).__name__, verdict="FAIL")
