"""The one exception that commands print as a line instead of a traceback."""


class UserError(Exception):
    """A mistake that the user can mend; the message names file, key or value and what to do."""
