"""Keeps the results of an evaluation as they come, so that a stopped one can go on."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any


class Journal:
    """Results by their keys, and a file with a line for each.

    Args:
        path: the file, whose results are read, and which is made with the first result; None keeps
            them in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.results: dict[str, Mapping[str, Any]] = {}
        lines: list[str] = []
        with suppress(FileNotFoundError):
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path else []
        for line in lines:
            with suppress(ValueError, TypeError, KeyError):  # a line may be torn
                entry = json.loads(line)
                self.results[entry["key"]] = dict(entry["result"])

    def put(self, key: str, result: Mapping[str, Any]) -> None:
        """Keeps a result.

        Args:
            key: what is equal only for results that are equal.
            result: what JSON can hold, such as the scores of an image by a model.
        """
        self.results[key] = result
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps({'key': key, 'result': result})}\n")  # a line may be torn

    def delete(self) -> None:
        """Deletes the file, when its results are in tables."""
        if self.path:
            self.path.unlink(missing_ok=True)
