"""A small archive, and a real HTTP server that sends it whole, in part, or not at all."""

import hashlib
import io
import random
import stat
import threading
import zipfile
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from sr_gan.data.download.archive import Archive

NAMES = [f"LR/X4/{name}.png" for name in ("0000", "0001", "0002", "more/0003")]
PHOTOS = {name: random.Random(name).randbytes(100_000) for name in NAMES}


def zipped(members: dict[str, bytes], mode: int = 0) -> bytes:
    """A zip file whose last member has the given mode, which includes the type of the file."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as content:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            content.writestr(info, data)
        info.external_attr = mode << 16  # it is written when the file is closed
    return file.getvalue()


FOLDERS = dict.fromkeys(["LR/", "LR/X4/", "LR/X4/more/"], b"")
ZIP = zipped({**FOLDERS, **PHOTOS, "LR/X2/0.png": b"x"}, stat.S_IFREG | 0o644)
ARCHIVE = Archive("LR X4.zip", "LR/X4", 4, len(ZIP), hashlib.sha256(ZIP).hexdigest())


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, except the lock, which some versions of filelock remove."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != ".prepare.lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@dataclass
class Answer:
    """How the server answers one request."""

    status: int = 200
    stop: int | None = None  # the number of bytes of the body after which the server stops
    stall: bool = False  # whether it then keeps the connection open until the event ``over``


@dataclass
class Mirror:
    """What the server has, how it answers, and what it was asked for."""

    url: str = ""
    body: bytes = ZIP
    ranges: bool = True
    sends_length: bool = True
    script: list[Answer] = field(default_factory=list)  # the answers to the first requests
    otherwise: Answer = field(default_factory=Answer)  # the answer to all further requests
    paths: list[str] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)  # the Range header of each request
    over: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        mirror, asked = self.mirror, self.headers["Range"]
        mirror.paths.append(self.path)
        mirror.asked.append(asked)
        answer = mirror.script.pop(0) if mirror.script else mirror.otherwise
        if answer.status != 200:
            self.send_error(answer.status)
            return
        partial = mirror.ranges and asked is not None
        body = mirror.body[int(asked[len("bytes=") : -1]) if partial else 0 :]
        self.send_response(206 if partial else 200)
        if mirror.sends_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: answer.stop])
        if answer.stall:
            mirror.over.wait(5)

    def log_message(self, *args: object) -> None:
        pass
