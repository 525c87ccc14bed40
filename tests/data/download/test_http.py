"""Against a real HTTP server, which cuts, stalls, refuses and changes its mind when told to."""

import errno
import hashlib
import io
import logging
import multiprocessing
import os
import random
import shutil
import socket
import stat
import struct
import sys
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from sr_gan.data.download import http as download
from sr_gan.data.download.archive import Archive
from sr_gan.data.download.http import obtain
from sr_gan.errors import UserError

NOISE = random.Random(0)
PHOTOS = {f"LR/X4/{i:04}.png": NOISE.randbytes(100_000) for i in range(4)}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def zipped(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as content:
        for name, data in members.items():
            content.writestr(zipfile.ZipInfo(name), data, method)
    return file.getvalue()


CLUTTER = {"LR/X2/0.png": b"x", "LR/X4/.DS_Store": b"x", "__MACOSX/LR/X4/._0000.png": b"x"}
ZIP = zipped({"LR/": b"", "LR/X4/": b"", **PHOTOS, **CLUTTER})
BAD = ZIP[:9999] + bytes([ZIP[9999] ^ 1]) + ZIP[10_000:]
CHECKED = Archive("LR X4.zip", "LR/X4", 4, size=len(ZIP), sha256=sha256(ZIP), unpacked=400_000)
PLAIN = Archive("LR X4.zip", "LR/X4", 4)


@dataclass
class Answer:
    """What the server does with a request; as it is here, it sends the file or the range."""

    status: int = 200
    stop: int | None = None  # bytes of the body after which it stops
    how: str = "close"  # what stopping means: close, reset or stall
    version: bytes | None = None  # another file takes the place of the old one, with its own ETag
    wait_for: threading.Event | None = None


@dataclass
class Mirror:
    """A server's folder, the answers it gives in turn, and the headers of the requests it got."""

    url: str = ""
    body: bytes = ZIP
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": '"1"'})
    ranges: bool = True
    checks_version: bool = True
    too_early: int = 0  # bytes by which a range begins before the one asked for
    says_length: bool = True
    script: list[Answer] = field(default_factory=list)
    otherwise: Answer = field(default_factory=Answer)
    asked: list[tuple[str, str | None]] = field(default_factory=list)  # path, range
    over: threading.Event = field(default_factory=threading.Event)

    def ranges_asked(self) -> list[str | None]:
        return [asked for _, asked in self.asked]

    def start_of(self, headers: Any) -> int | None:
        """The first byte of the range asked for, where the server goes by it."""
        same = headers["If-Range"] in (*self.headers.values(), None) or not self.checks_version
        asked = headers["Range"] if self.ranges and same else None
        return (
            int(asked.removeprefix("bytes=").removesuffix("-")) - self.too_early if asked else None
        )


class Handler(BaseHTTPRequestHandler):
    mirror: Mirror

    def do_GET(self) -> None:
        mirror = self.mirror
        mirror.asked.append((self.path, self.headers["Range"]))
        answer = mirror.script.pop(0) if mirror.script else mirror.otherwise
        if answer.version:
            mirror.body, mirror.headers = answer.version, {"ETag": f'"{len(mirror.asked)}"'}
        if answer.wait_for:
            answer.wait_for.wait(5)
        if answer.status != 200:
            self.send_error(answer.status)
            return
        self.send_file(mirror.start_of(self.headers), answer)

    def send_file(self, start: int | None, answer: Answer) -> None:
        size = len(self.mirror.body)
        beyond = start is not None and start >= size
        self.send_response(416 if beyond else 200 if start is None else 206)
        for name, value in self.mirror.headers.items():
            self.send_header(name, value)
        if start is not None:
            self.send_header("Content-Range", f"bytes {'*' if beyond else f'{start}-'}/{size}")
        body = b"" if beyond else memoryview(self.mirror.body)[start or 0 :]
        if self.mirror.says_length:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: answer.stop])
        if answer.stop is not None and answer.how == "stall":
            self.mirror.over.wait(5)
        elif answer.how == "reset":
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def finish(self) -> None:
        with suppress(OSError):  # reset, or the other side left
            super().finish()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setenv("no_proxy", "*")
    mirror = Mirror()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"mirror": mirror}))
    server.handle_error = lambda *args: None  # type: ignore[method-assign]
    mirror.url = f"http://127.0.0.1:{server.server_address[1]}/some folder/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(archive: Archive, root: Path, url: str, retries: int = 3) -> None:
    obtain([archive], root, url, timeout=0.3, retries=retries, pause=0.01)


def refusal(archive: Archive, root: Path, url: str, retries: int = 3) -> str:
    with pytest.raises(UserError) as caught:
        fetch(archive, root, url, retries)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def mistake(archive: Archive, root: Path) -> str | None:
    try:
        fetch(archive, root, "http://127.0.0.1:9/")
    except UserError as error:
        return str(error)
    return None


def content(folder: Path) -> dict[str, bytes]:
    """All files below a folder, but the lock, which some versions of filelock remove."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != ".prepare.lock"]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def assert_done(root: Path, body: bytes = ZIP) -> None:
    """The archive, its photos, and nothing else."""
    assert content(root) == {"LR X4.zip": body, **PHOTOS}
    assert not list(root.glob(".*.part"))


def place(root: Path, body: bytes = ZIP) -> Path:
    root.mkdir(exist_ok=True)
    (root / "LR X4.zip").write_bytes(body)
    return root / "LR X4.zip"


# ------------------------------------------------------------------------------------- downloading


@pytest.mark.parametrize("archive", [CHECKED, PLAIN])
@pytest.mark.parametrize("slash", ["", "/"])
def test_downloads_and_unpacks(
    archive: Archive,
    slash: str,
    mirror: Mirror,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.INFO)
    fetch(archive, tmp_path / "new" / "root", mirror.url.rstrip("/") + slash)
    bars = capsys.readouterr().err
    assert "\rLR X4.zip: 100%" in bars
    assert "\runpack LR X4.zip: 100%" in bars
    assert_done(tmp_path / "new" / "root")
    assert mirror.asked == [("/some%20folder/LR%20X4.zip", None)]
    assert f"these files may be deleted (0.4 MB): {tmp_path / 'new/root/LR X4.zip'}" in caplog.text


@pytest.mark.parametrize("how", ["close", "stall", "reset"])
@pytest.mark.parametrize("headers", [{"ETag": '"1"'}, {"Last-Modified": "Sat, 1 Jan 2022"}])
def test_goes_on_where_the_connection_broke(
    how: str, headers: dict[str, str], mirror: Mirror, tmp_path: Path
) -> None:
    mirror.headers = headers
    mirror.script = [Answer(stop=150_000, how=how), Answer(stop=100_000, how=how)]
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)
    if how != "reset":  # a reset may take back what was not read yet
        assert mirror.ranges_asked() == [None, "bytes=150000-", "bytes=250000-"]


def test_a_chunk_of_progress_resets_the_count_of_failures(mirror: Mirror, tmp_path: Path) -> None:
    mirror.script = [Answer(stop=40_000), Answer(503)] * 8
    fetch(CHECKED, tmp_path, mirror.url, retries=2)
    assert_done(tmp_path)


@pytest.mark.parametrize("status", [500, 503])
def test_tries_again_after_a_servers_error(status: int, mirror: Mirror, tmp_path: Path) -> None:
    mirror.script = [Answer(status), Answer(status)]
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)


def test_waits_longer_from_attempt_to_attempt(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    mirror.otherwise = Answer(503)
    with pytest.raises(UserError, match="status 503"):
        obtain([CHECKED], tmp_path, mirror.url, retries=10, pause=1.0)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]


@pytest.mark.parametrize(
    "mark", [{}, {"ETag": 'W/"1"'}, {"ETag": '"1"', "Last-Modified": "Sat, 1 Jan 2022"}]
)
def test_begins_again_without_range_support(
    mark: dict[str, str], mirror: Mirror, tmp_path: Path
) -> None:
    mirror.headers, mirror.ranges = mark, False
    mirror.script = [Answer(stop=150_000), Answer(stop=100_000)]
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)
    asked = "bytes=150000-" if len(mark) == 2 else None  # a version nobody can check: no range
    assert mirror.ranges_asked()[:2] == [None, asked]


def test_gives_up_on_a_server_without_ranges_that_always_breaks(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.ranges, mirror.otherwise = False, Answer(stop=150_000)
    message = refusal(CHECKED, tmp_path, mirror.url)
    assert "the connection ended after 150000 of" in message
    assert len(mirror.asked) == 4


def test_never_mixes_two_versions(mirror: Mirror, tmp_path: Path) -> None:
    old = NOISE.randbytes(len(ZIP))
    mirror.body = old
    mirror.script = [Answer(stop=150_000), Answer(version=ZIP)]
    fetch(PLAIN, tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.ranges_asked() == [None, "bytes=150000-"]


def test_never_mixes_two_versions_of_a_server_that_ignores_if_range(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.body, mirror.checks_version = NOISE.randbytes(len(ZIP)), False
    mirror.script = [Answer(stop=150_000), Answer(version=ZIP)]
    fetch(PLAIN, tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.ranges_asked() == [None, "bytes=150000-", None]


def test_begins_again_after_another_range_than_asked_for(mirror: Mirror, tmp_path: Path) -> None:
    mirror.too_early, mirror.script = 10, [Answer(stop=150_000)]
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.ranges_asked() == [None, "bytes=150000-", None]


def test_a_stalled_server_is_given_up_and_the_next_run_goes_on(
    mirror: Mirror, tmp_path: Path
) -> None:
    mirror.script = [Answer(stop=150_000, how="stall")]
    mirror.otherwise = Answer(stop=0, how="stall")
    message = refusal(CHECKED, tmp_path, mirror.url, retries=2)
    assert mirror.url.replace(" ", "%20") in message
    assert "timed out, and 2 attempts brought nothing new. 0.1 MB of 0.4 MB are in" in message
    assert "LR X4.zip.part: run the same command again: it goes on where it stopped" in message
    mirror.otherwise = Answer()
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.ranges_asked() == [None] + ["bytes=150000-"] * 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_goes_on_after_a_killed_process(mirror: Mirror, tmp_path: Path) -> None:
    mirror.script = [Answer(stop=150_000, how="stall")]
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=obtain, args=([CHECKED], tmp_path, mirror.url))
    process.start()
    part = tmp_path / "LR X4.zip.part"
    wait_until(lambda: part.exists() and part.stat().st_size == 150_000)
    process.kill()
    process.join()
    assert not (tmp_path / "LR X4.zip").exists()
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.ranges_asked() == [None, "bytes=150000-"]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("archive", [CHECKED, PLAIN])
@pytest.mark.parametrize("surplus", [b"", b"of another file"])
def test_part_that_is_whole_or_too_long(
    archive: Archive, surplus: bytes, mirror: Mirror, tmp_path: Path
) -> None:
    (tmp_path / "LR X4.zip.part").write_bytes(ZIP + surplus)
    (tmp_path / "LR X4.zip.part.etag").write_text('"1"')
    fetch(archive, tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.ranges_asked() == [f"bytes={len(ZIP + surplus)}-"] + [None] * bool(surplus)


def test_part_of_unknown_version_is_not_used(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "LR X4.zip.part").write_bytes(bytes(1000))
    fetch(PLAIN, tmp_path, mirror.url)
    assert_done(tmp_path)


def test_damaged_download_is_removed(mirror: Mirror, tmp_path: Path) -> None:
    mirror.body = BAD
    message = refusal(CHECKED, tmp_path, mirror.url)
    assert f"{mirror.url.replace(' ', '%20')}LR%20X4.zip is damaged" in message
    assert f"{sha256(BAD)}, expected {CHECKED.sha256}" in message
    assert "data.url=" in message
    assert content(tmp_path) == {}
    mirror.body = ZIP
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)


def test_file_of_another_size_is_not_downloaded(mirror: Mirror, tmp_path: Path) -> None:
    mirror.body = b"<html>Please log in</html>"
    part = tmp_path / "LR X4.zip.part"
    part.write_bytes(ZIP[:1000])
    message = refusal(CHECKED, tmp_path, mirror.url)
    assert f"has 26 bytes, expected {len(ZIP)}" in message
    assert "data.url=" in message
    assert part.read_bytes() == ZIP[:1000]


@pytest.mark.parametrize("archive", [CHECKED, PLAIN])
def test_server_that_does_not_say_the_length(
    archive: Archive, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.says_length = False
    mirror.script = [Answer(stop=150_000)] if archive.size else []
    fetch(archive, tmp_path, mirror.url)
    assert_done(tmp_path)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_refused_at_once(status: int, mirror: Mirror, tmp_path: Path) -> None:
    mirror.otherwise = Answer(status)
    message = refusal(CHECKED, tmp_path, mirror.url)
    assert f"LR%20X4.zip cannot be fetched: status {status} " in message
    assert f"Place LR X4.zip in {tmp_path} by hand and run the same command again" in message
    assert "data.url=" in message
    assert len(mirror.asked) == 1


def test_connection_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    message = refusal(CHECKED, tmp_path, url)
    assert "refused, and 3 attempts brought nothing new. 0.0 MB of 0.4 MB are in" in message


def test_file_urls(tmp_path: Path) -> None:
    shelf = tmp_path / "a shelf"
    place(shelf)
    fetch(CHECKED, tmp_path / "root", shelf.as_uri())
    assert_done(tmp_path / "root")
    message = refusal(replace(CHECKED, name="other.zip"), tmp_path / "2", shelf.as_uri())
    assert "other.zip cannot be fetched: [Errno 2] No such file" in message


@pytest.mark.parametrize(
    "url", ["", "example.org/DIV2K", "/data/DIV2K", "C:\\DIV2K", "ftp://a/b", "http://a:b", "http:"]
)
def test_not_a_url(url: str, tmp_path: Path) -> None:
    assert refusal(CHECKED, tmp_path, url).startswith(f"data.url={url} is not a URL: ")


# --------------------------------------------------------------------------------- what is there


def test_leaves_alone_what_is_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    place(tmp_path, b"no zip")
    for name, data in PHOTOS.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    before = content(tmp_path)
    fetch(CHECKED, tmp_path, "http://127.0.0.1:9/")
    assert content(tmp_path) == before
    assert "LR/X4 is there with its 4 files" in caplog.text
    (tmp_path / "LR/X4/0003.png").rename(tmp_path / "LR/X4/.0003.png.part")
    assert "LR X4.zip has 6 bytes, expected" in refusal(CHECKED, tmp_path, "http://127.0.0.1:9/")


@pytest.mark.parametrize("archive", [CHECKED, PLAIN])
def test_archive_placed_by_hand(archive: Archive, tmp_path: Path) -> None:
    place(tmp_path)
    fetch(archive, tmp_path, "http://127.0.0.1:9/")
    assert_done(tmp_path)


@pytest.mark.parametrize(
    ("archive", "damage", "what"),
    [
        (CHECKED, ZIP[:-5], f"has {len(ZIP) - 5} bytes, expected {len(ZIP)}: remove it"),
        (CHECKED, BAD, f"has the SHA-256 {sha256(BAD)}, expected {CHECKED.sha256}: remove it and"),
        (PLAIN, ZIP[:-5], "is damaged or not a zip archive (File is not a zip file): delete it"),
        (PLAIN, b"<html>", "is damaged or not a zip archive (File is not a zip file): delete it"),
        (PLAIN, BAD, "is damaged or not a zip archive (Bad CRC-32"),
    ],
)
def test_damaged_archive_placed_by_hand(
    archive: Archive, damage: bytes, what: str, tmp_path: Path
) -> None:
    file = place(tmp_path, damage)
    assert f"{file} {what}" in refusal(archive, tmp_path, "http://127.0.0.1:9/")
    assert file.read_bytes() == damage
    assert not (tmp_path / "LR").exists()


def test_any_damage_is_one_line(tmp_path: Path) -> None:
    """Bytes flipped anywhere, above all in the zip's tables: a UserError, or no harm done."""
    photos = {name: data[:9] * 5 for name, data in PHOTOS.items()}
    methods = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    chance = random.Random(1)
    for i in range(400):
        body = bytearray(zipped(photos, methods[i % 4]))
        for _ in range(chance.randint(1, 3)):
            body[chance.randrange(len(body))] = chance.randrange(256)
        root = tmp_path / str(i)
        place(root, bytes(body))
        message = mistake(PLAIN, root)
        assert message is None or message.startswith(f"{root / 'LR X4.zip'} ")
        assert (message is None) == (root / "LR").exists()


def test_several_archives_one_of_them_there(mirror: Mirror, tmp_path: Path) -> None:
    other = Archive("X2.zip", "LR/X2", 1)
    (tmp_path / "LR/X2").mkdir(parents=True)
    (tmp_path / "LR/X2/0.png").touch()
    obtain([other, CHECKED], tmp_path, mirror.url)
    assert content(tmp_path / "LR/X4") == content_of_photos()
    assert len(mirror.asked) == 1


def content_of_photos() -> dict[str, bytes]:
    return {Path(name).name: data for name, data in PHOTOS.items()}


# ------------------------------------------------------------------------------------- unpacking


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "LR/X4/../../../evil",
        "/evil",
        "LR\\..\\evil",
        "C:/evil",
        "LR/X4/C:/e",
        "LR/X4/..",
    ],
)
def test_refuses_paths_that_leave_the_folder(name: str, tmp_path: Path) -> None:
    file = place(tmp_path / "root", zipped({**PHOTOS, name: b"evil"}))
    before = content(tmp_path)
    message = refusal(PLAIN, tmp_path / "root", "http://127.0.0.1:9/")
    assert f"{file} is not safe and was not unpacked: its member {name!r} has a path" in message
    assert content(tmp_path) == before


def special_member(mode: int = stat.S_IFREG, flags: int = 0) -> bytes:
    info = zipfile.ZipInfo("LR/X4/odd.png")
    info.create_system, info.external_attr = 3, (mode | 0o777) << 16
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in PHOTOS.items():
            archive.writestr(name, data)
        archive.writestr(info, "/etc/passwd")
        info.flag_bits |= flags  # as the central directory gets it, which is written at the end
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (special_member(stat.S_IFLNK), "is a link or a device"),
        (special_member(stat.S_IFIFO), "is a link or a device"),
        (special_member(flags=1), "is encrypted"),
    ],
)
def test_refuses_links_and_encrypted_files(body: bytes, what: str, tmp_path: Path) -> None:
    place(tmp_path, body)
    message = refusal(PLAIN, tmp_path, "http://127.0.0.1:9/")
    assert f"its member 'LR/X4/odd.png' {what}" in message
    assert content(tmp_path) == {"LR X4.zip": body}


def test_regular_file_with_a_mode_is_unpacked(tmp_path: Path) -> None:
    place(tmp_path, special_member())
    fetch(PLAIN, tmp_path, "http://127.0.0.1:9/")
    assert (tmp_path / "LR/X4/odd.png").read_bytes() == b"/etc/passwd"


def test_too_few_files_in_the_archive(tmp_path: Path) -> None:
    place(tmp_path)
    message = refusal(replace(PLAIN, count=5), tmp_path, "http://127.0.0.1:9/")
    assert "LR X4.zip holds 4 files in LR/X4, expected 5" in message
    assert not (tmp_path / "LR").exists()


class Written:
    """Counts the files that are unpacked, and stops before the n-th as a kill would."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, stop: int | None = None) -> None:
        self.count, self.stop, self.copy = 0, stop, shutil.copyfileobj
        monkeypatch.setattr(shutil, "copyfileobj", self)

    def __call__(self, source: Any, target: Any, length: int) -> None:
        if self.count == self.stop:
            target.write(source.read(1000))
            raise KeyboardInterrupt
        self.copy(source, target, length)
        self.count += 1


def test_interrupted_unpacking_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path)
    written = Written(monkeypatch, stop=3)
    with pytest.raises(KeyboardInterrupt):
        fetch(CHECKED, tmp_path, "http://127.0.0.1:9/")
    assert not (tmp_path / "LR").exists()
    staging = tmp_path / ".LR-X4.part"
    assert len(content(staging)) == 3
    (staging / "0001.png").write_bytes(b"cut off")
    (staging / ".0003.png.123.part").write_bytes(b"of a process that was killed")
    written.count, written.stop = 0, None
    fetch(CHECKED, tmp_path, "http://127.0.0.1:9/")
    assert written.count == 2
    assert_done(tmp_path)


def test_fills_gaps_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path)
    fetch(PLAIN, tmp_path, "http://127.0.0.1:9/")
    (tmp_path / "LR/X4/0002.png").unlink()
    own = NOISE.randbytes(100_000)
    (tmp_path / "LR/X4/0001.png").write_bytes(own)
    written = Written(monkeypatch)
    fetch(PLAIN, tmp_path, "http://127.0.0.1:9/")
    assert written.count == 1
    assert content(tmp_path / "LR/X4") == {**content_of_photos(), "0001.png": own}
    assert not list(tmp_path.glob(".*.part"))


def test_file_cut_off_by_another_tool_is_named(tmp_path: Path) -> None:
    place(tmp_path)
    (tmp_path / "LR/X4").mkdir(parents=True)
    (tmp_path / "LR/X4/0001.png").write_bytes(b"cut off")
    message = refusal(PLAIN, tmp_path, "http://127.0.0.1:9/")
    assert "0001.png is not the file of LR X4.zip, its size differs: remove it" in message
    assert content(tmp_path / "LR/X4") == {"0001.png": b"cut off"}


def test_streams(mirror: Mirror, tmp_path: Path) -> None:
    """Neither the archive nor a member is ever in memory as a whole."""
    mirror.body = zipped({"F/big.png": os.urandom(30_000_000)})
    digest = sha256(mirror.body)
    tracemalloc.start()
    try:
        fetch(Archive("big.zip", "F", 1, sha256=digest), tmp_path, mirror.url)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (tmp_path / "F/big.png").stat().st_size == 30_000_000
    assert peak < 4_000_000


# ---------------------------------------------------------------------------- disk and processes


def free(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, size))


def test_needs_room_for_archive_and_files(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = len(ZIP) + 400_000
    free(monkeypatch, need - 1)
    message = refusal(CHECKED, tmp_path, mirror.url)
    assert f"{tmp_path} needs 0.8 MB of free disk" in message
    assert "has 0.8 MB: make room, or choose another place with data.root=FOLDER" in message
    assert not mirror.asked
    free(monkeypatch, need)
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)


def test_counts_what_is_there_already_as_room(tmp_path: Path, mirror: Mirror) -> None:
    rest = replace(CHECKED, unpacked=None)
    assert download._needed(rest, tmp_path) == 2 * len(ZIP)
    (tmp_path / "LR X4.zip.part").write_bytes(ZIP[:1000])
    assert download._needed(rest, tmp_path) == 2 * len(ZIP) - 1000
    place(tmp_path)
    assert download._needed(rest, tmp_path) == len(ZIP)
    (tmp_path / ".LR-X4.part").mkdir()
    (tmp_path / ".LR-X4.part/0000.png").write_bytes(bytes(100_000))
    assert download._needed(rest, tmp_path) == len(ZIP) - 100_000


def test_members_must_fit_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place(tmp_path)
    free(monkeypatch, 399_999)
    message = refusal(replace(PLAIN, unpacked=1), tmp_path, "http://127.0.0.1:9/")
    assert "needs 0.4 MB of free disk" in message
    assert not (tmp_path / ".LR-X4.part").exists()


class FullDisk(io.FileIO):
    """A file that takes 150,000 bytes, then the disk is full."""

    def write(self, data: Any) -> int:
        room = 150_000 - self.tell()
        if room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(memoryview(data)[:room])


def test_disk_full_while_downloading(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = Path.open

    def full(path: Path, mode: str = "r", *args: Any, **options: Any) -> Any:
        if path.suffix == ".part" and mode == "ab":
            return io.BufferedWriter(FullDisk(str(path), "ab"))
        return opened(path, mode, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", full)
        message = refusal(CHECKED, tmp_path, mirror.url)
    assert f"the disk of {tmp_path} is full: make room, then run the same command again" in message
    assert len(mirror.asked) == 1
    fetch(CHECKED, tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.ranges_asked() == [None, "bytes=150000-"]


def test_disk_full_while_unpacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Any, target: Any, length: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    place(tmp_path)
    monkeypatch.setattr(shutil, "copyfileobj", full)
    message = refusal(CHECKED, tmp_path, "http://127.0.0.1:9/")
    assert "is full: make room, then run the same command again" in message
    assert not (tmp_path / "LR").exists()


def test_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file" / "root"
    message = refusal(CHECKED, root, "http://127.0.0.1:9/")
    assert message.startswith(f"{root} cannot be used (")
    assert "data.root=FOLDER" in message


@pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() == 0, reason="may write everywhere, or has no modes"
)
def test_root_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    message = refusal(CHECKED, tmp_path, "http://127.0.0.1:9/")
    assert f"{tmp_path} cannot be used (" in message


def test_two_at_once_download_once(
    mirror: Mirror, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    go = threading.Event()
    mirror.script = [Answer(wait_for=go)]
    options = {"timeout": 10}
    both = [
        threading.Thread(target=obtain, args=([CHECKED], tmp_path, mirror.url), kwargs=options)
        for _ in range(2)
    ]
    for thread in both:
        thread.start()
    wait_until(lambda: "another process prepares" in caplog.text)
    go.set()
    for thread in both:
        thread.join()
    assert_done(tmp_path)
    assert len(mirror.asked) == 1
    assert caplog.text.count("another process prepares") == 1
