"""The one exception that commands print as a single line instead of a traceback."""


class UserError(Exception):
    """A mistake that the user can fix; the message names the file, key or value, and the fix."""
