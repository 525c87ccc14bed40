"""The one exception that commands print as a line instead of a traceback."""


class UserError(Exception):
    """A mistake that the user can mend: the message names the file, key or value and says what to do."""
