"""The end of every measurement: tables in the terminal, and a JSON file."""

import json
import logging
from typing import Any

from sr_gan.files import atomic_write, user_path
from sr_gan.runs.records import environment

log = logging.getLogger(__name__)

Result = dict[str, Any]  # plain values


def write_result(result: Result, text: str, output: str) -> None:
    """Prints a result as Markdown, and writes it as JSON with the machine and the command."""
    with atomic_write(user_path(output)) as file:
        json.dump({"environment": environment(), **result}, file, indent=2)
    log.info("\n%s\n\nwritten to %s", text, output)
