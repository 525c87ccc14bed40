"""The one exception that commands print as a single line instead of a traceback."""


def printable(text: object) -> str:
    """Makes a foreign text safe for a terminal: short, one line, no control characters."""
    words = str(text).encode("unicode_escape").decode()
    return words if len(words) <= 200 else f"{words[:200]}..."


class UserError(Exception):
    """A mistake that the user can fix; the message names the file, key or value, and the fix."""
