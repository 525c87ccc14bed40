"""Keeps the results of an evaluation as they come, so that a stopped one can go on."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from sr_gan.files import atomic_write


class Journal:
    """Results by their keys, and a file with a line for each.

    Args:
        path: the file, whose results are read, and which is made with the first result; None keeps
            them in memory only.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self.results: dict[str, Mapping[str, Any]] = {}
        self.asked: set[str] = set()  # the keys of this evaluation
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
            file.write(_line(key, result))

    def forget(self) -> None:
        """Removes what was asked for, when it is in tables; other evaluations can still go on."""
        others = [_line(key, each) for key, each in self.results.items() if key not in self.asked]
        if self.path and others:
            with atomic_write(self.path) as file:
                file.writelines(others)
        elif self.path:
            self.path.unlink(missing_ok=True)


def _line(key: str, result: Mapping[str, Any]) -> str:
    return f"\n{json.dumps({'key': key, 'result': result})}\n"  # the line before it may be torn
