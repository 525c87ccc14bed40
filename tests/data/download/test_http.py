"""Downloads from a real HTTP server, which breaks off, stalls, refuses or sends damaged files."""

import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from hashlib import sha256
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from sr_gan.data.download import http
from sr_gan.errors import UserError
from tests.data.download.mirror import ARCHIVE, PHOTOS, ZIP, Answer, Handler, Mirror, contents

BAD = ZIP[:9999] + bytes([ZIP[9999] ^ 1]) + ZIP[10_000:]
NOWHERE = "http://127.0.0.1:9/"
PAUSES = http.PAUSES


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(http, "TIMEOUT", 0.3)
    monkeypatch.setattr(http, "PAUSES", (0.01, 0.01))


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    mirror = Mirror()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Own", (Handler,), {"mirror": mirror}))
    server.handle_error = lambda *args: None  # type: ignore[method-assign]
    mirror.url = f"http://127.0.0.1:{server.server_port}/some%20folder/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield mirror
    mirror.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


def obtain(root: Path, url: str) -> None:
    http.obtain([ARCHIVE], root, url)


def refusal(root: Path, url: str) -> str:
    with pytest.raises(UserError) as caught:
        obtain(root, url)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def assert_done(root: Path) -> None:
    """Checks that the archive and its photos are there, and nothing else."""
    assert contents(root) == {"LR X4.zip": ZIP, **PHOTOS}
    assert not list(root.glob(".*.part"))


@pytest.mark.parametrize("folder", ["some folder", "some%20folder/"])
def test_downloads_and_unpacks(
    folder: str, mirror: Mirror, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    obtain(tmp_path / "new" / "root", mirror.url.replace("some%20folder/", folder))
    assert_done(tmp_path / "new" / "root")
    assert mirror.paths == ["/some%20folder/LR%20X4.zip"]
    bars = capsys.readouterr().err
    assert "\rLR X4.zip: 100%" in bars
    assert "\runpack LR X4.zip: 100%" in bars


@pytest.mark.parametrize("sends_length", [True, False])
@pytest.mark.parametrize("stall", [True, False])
def test_resumes_where_the_connection_broke(
    stall: bool, sends_length: bool, mirror: Mirror, tmp_path: Path
) -> None:
    mirror.sends_length = sends_length
    mirror.script = [Answer(stop=150_000, stall=stall), Answer(stop=100_000, stall=stall)]
    obtain(tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.asked == [None, "bytes=150000-", "bytes=250000-"]


def test_progress_resets_the_count_of_failures(mirror: Mirror, tmp_path: Path) -> None:
    mirror.script = [Answer(stop=40_000), Answer(503)] * 8
    obtain(tmp_path, mirror.url)
    assert_done(tmp_path)


def test_pauses_grow(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(http, "PAUSES", PAUSES)
    monkeypatch.setattr(time, "sleep", slept.append)
    mirror.otherwise = Answer(503)
    message = refusal(tmp_path, mirror.url)
    assert "status 503 Service Unavailable, and 4 further attempts brought nothing new" in message
    assert slept == [1, 2, 4, 8]


def test_starts_over_on_a_server_without_range(mirror: Mirror, tmp_path: Path) -> None:
    mirror.ranges, mirror.otherwise = False, Answer(stop=150_000)
    assert "the connection ended after 150000 of" in refusal(tmp_path, mirror.url)
    mirror.otherwise = Answer()
    obtain(tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.asked == [None] + ["bytes=150000-"] * 3


def test_next_run_resumes(mirror: Mirror, tmp_path: Path) -> None:
    mirror.script = [Answer(stop=150_000, stall=True)]
    mirror.otherwise = Answer(stop=0, stall=True)
    message = refusal(tmp_path, mirror.url)
    assert f"{mirror.url}LR%20X4.zip: " in message
    assert "timed out, and 2 further attempts brought nothing new. 0.1 MB of 0.4 MB" in message
    assert f"are in {tmp_path / 'LR X4.zip.part'}: run the same command again" in message
    mirror.otherwise = Answer()
    obtain(tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.asked == [None] + ["bytes=150000-"] * 3


def test_complete_part_is_only_verified(tmp_path: Path) -> None:
    (tmp_path / "LR X4.zip.part").write_bytes(ZIP)
    obtain(tmp_path, NOWHERE)
    assert_done(tmp_path)


@pytest.mark.parametrize("part", [BAD, BAD[:150_000], ZIP + b"more"])
def test_wrong_part_is_deleted_and_the_download_starts_over(
    part: bytes, mirror: Mirror, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "LR X4.zip.part").write_bytes(part)
    obtain(tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.asked[-1] is None
    assert "LR X4.zip.part has " in caplog.text
    assert "it was deleted, and the download starts over" in caplog.text


def test_damaged_file_is_deleted(mirror: Mirror, tmp_path: Path) -> None:
    mirror.body = BAD
    message = refusal(tmp_path, mirror.url)
    assert f"{mirror.url}LR%20X4.zip is damaged or another version" in message
    assert f" instead of {ARCHIVE.sha256}. It was deleted: " in message
    assert "data.url=" in message
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("have", [0, 10])
def test_file_of_another_size_is_not_downloaded(have: int, mirror: Mirror, tmp_path: Path) -> None:
    mirror.body = b"<html>Please log in</html>"
    (tmp_path / "LR X4.zip.part").write_bytes(ZIP[:have])
    message = refusal(tmp_path, mirror.url)
    assert f"offers {26 - have} bytes instead of {len(ZIP) - have}: it is damaged or" in message
    assert "data.url=" in message
    assert contents(tmp_path) == {"LR X4.zip.part": ZIP[:have]}


def test_refused_at_once(mirror: Mirror, tmp_path: Path) -> None:
    mirror.otherwise = Answer(404)
    message = refusal(tmp_path, mirror.url)
    assert "LR%20X4.zip cannot be fetched: status 404 Not Found. Place LR X4.zip in " in message
    assert f"{tmp_path} by hand and run the same command again, or choose another" in message
    assert len(mirror.asked) == 1


def test_file_urls(tmp_path: Path) -> None:
    message = refusal(tmp_path / "root", tmp_path.as_uri())
    assert "LR%20X4.zip cannot be fetched: [Errno 2] No such file" in message
    (tmp_path / "LR X4.zip").write_bytes(ZIP)
    obtain(tmp_path / "root", tmp_path.as_uri())
    assert_done(tmp_path / "root")


@pytest.mark.parametrize("url", ["", "example.org/a", "/a", "C:\\a", "ftp://a", "http://a:b"])
def test_not_a_url(url: str, tmp_path: Path) -> None:
    assert refusal(tmp_path, url).startswith(f"data.url={url} is not a URL: ")


def test_complete_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "LR/X4/more").mkdir(parents=True)
    for name in PHOTOS:
        (tmp_path / name).write_bytes(b"a photo")
    obtain(tmp_path, NOWHERE)
    assert contents(tmp_path) == dict.fromkeys(PHOTOS, b"a photo")
    assert not (tmp_path / ".prepare.lock").exists()  # the folder may be read-only
    (tmp_path / "LR/X4/0002.png").rename(tmp_path / "LR/X4/.0002.png")
    assert "refused, and 2 further attempts brought nothing new" in refusal(tmp_path, NOWHERE)


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (ZIP[:-5], f"has {len(ZIP) - 5} bytes instead of {len(ZIP)}"),
        (BAD, f"has the SHA-256 {sha256(BAD).hexdigest()} instead of {ARCHIVE.sha256}"),
    ],
)
def test_archive_placed_by_hand(body: bytes, fault: str, tmp_path: Path) -> None:
    file = tmp_path / "LR X4.zip"
    file.write_bytes(body)
    message = refusal(tmp_path, NOWHERE)
    assert message == f"{file} {fault}: delete it and run the same command again"
    assert contents(tmp_path) == {"LR X4.zip": body}
    file.write_bytes(ZIP)
    obtain(tmp_path, NOWHERE)
    assert_done(tmp_path)


def test_needs_free_disk(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "LR X4.zip.part").write_bytes(ZIP[:100_000])
    (tmp_path / "LR/X4").mkdir(parents=True)
    (tmp_path / "LR/X4/0000.png").write_bytes(PHOTOS["LR/X4/0000.png"])
    (tmp_path / ".LR X4.zip.part").mkdir()
    (tmp_path / ".LR X4.zip.part/0001.png").write_bytes(bytes(100_000))
    free = 2 * len(ZIP) - 300_000
    monkeypatch.setattr(http, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, free - 1))
    message = refusal(tmp_path, mirror.url)
    assert "has 0.5 MB of free disk, but the archives and their files need 0.5 MB" in message
    assert "data.root=FOLDER" in message
    monkeypatch.setattr(http, "disk_usage", lambda _: shutil._ntuple_diskusage(0, 0, free))
    obtain(tmp_path, mirror.url)
    assert_done(tmp_path)
    assert mirror.asked == ["bytes=100000-"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_disk_full(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "LR X4.zip.part").symlink_to("/dev/full")
    expected = f"the disk of {tmp_path} is full: make room and run the same command again"
    assert refusal(tmp_path, mirror.url) == expected


def test_root_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    message = refusal(tmp_path / "file" / "root", NOWHERE)
    assert message.startswith(f"{tmp_path / 'file' / 'root'} cannot be used (")
    assert "data.root=FOLDER" in message


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="this user may write everywhere")
def test_root_that_is_read_only(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    assert f"{tmp_path} cannot be used (" in refusal(tmp_path, NOWHERE)


def test_two_processes_download_once(
    mirror: Mirror,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(http, "TIMEOUT", 5)
    mirror.script = [Answer(stop=150_000, stall=True)]
    both = [threading.Thread(target=obtain, args=(tmp_path, mirror.url)) for _ in range(2)]
    for thread in both:
        thread.start()
    deadline = time.monotonic() + 4
    while "another process is working in" not in caplog.text and time.monotonic() < deadline:
        time.sleep(0.01)
    mirror.over.set()
    for thread in both:
        thread.join()
    assert_done(tmp_path)
    assert mirror.asked == [None, "bytes=150000-"]
    assert "another process is working in" in caplog.text
