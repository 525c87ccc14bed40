"""A small disk of one's own, which can be filled."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_MOUNT = 'mount -t tmpfs -o "size=$2" none "$1" && echo ready && exec cat'


class UnavailableError(Exception):
    """This machine cannot make the fault happen; the message says why."""


@dataclass(frozen=True)
class Disk:
    """A disk that only the processes of one namespace see.

    Args:
        folder: where it is mounted.
        namespace: the number of a process in the namespace.
    """

    folder: Path
    namespace: int

    @property
    def enter(self) -> list[str]:
        """The beginning of a command line whose program sees the disk."""
        return [*("nsenter", "-U", "-m", "-w", "--preserve-credentials"), f"-t{self.namespace}"]

    def seen(self, path: Path) -> Path:
        """Returns where everyone else sees a path of the namespace."""
        return Path(f"/proc/{self.namespace}/root{path}")

    def fill(self) -> None:
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    def free(self) -> None:
        self._filler.unlink()

    @property
    def _filler(self) -> Path:
        return self.seen(self.folder) / "filler"


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Disk]:
    """Mounts a disk of ``size``, such as ``64m``, in the memory of the machine.

    Raises:
        UnavailableError: the system does not allow it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    line = ["unshare", "-rm", "sh", "-c", _MOUNT, "sh", str(folder), size]
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    try:
        holder = subprocess.Popen(line, text=True, cwd=folder.parent, **pipes)
    except FileNotFoundError as error:
        raise UnavailableError("this system has no unshare") from error
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        if holder.stdout.readline() != "ready\n":
            raise UnavailableError("this system lets no user mount a disk of their own")
        yield Disk(folder, holder.pid)
        holder.stdin.close()
