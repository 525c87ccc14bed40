"""``python -m sr_gan.serve`` as a user calls it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError

import pytest

from sr_gan.serve import HEADERS, listen, named
from tests.conftest import Shell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    page = tmp_path / "my page"
    (page / "inner").mkdir(parents=True)
    (page / "index.html").write_text("<p>Hello")
    (page / "a.mjs").write_text("export {}")
    (page / "a.wasm").write_bytes(b"\0asm")
    return page


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    with listen(folder, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("", "text/html"), ("a.mjs", "text/javascript"), ("a.wasm", "application/wasm")],
)
def test_files_have_the_headers_that_threads_need(address: str, name: str, kind: str) -> None:
    with urllib.request.urlopen(f"{address}/{name}") as answer:
        assert answer.headers["Content-Type"].startswith(kind)
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert HEADERS.items() <= dict(answer.headers).items()


@pytest.mark.parametrize("name", ["none.js", "inner/", "../secret", "%2e%2e/secret"])
def test_nothing_else_is_served(folder: Path, address: str, name: str) -> None:
    (folder.parent / "secret").write_text("secret")
    with pytest.raises(HTTPError, match="404"):
        urllib.request.urlopen(f"{address}/{name}")


def test_a_folder_that_stands_alone() -> None:
    assert named(["my page", "port=1", "--help"]) == ["folder=my page", "port=1", "--help"]


def test_a_taken_port_is_named(shell: Shell, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        code, _, err = shell("serve", f"folder={folder}", f"port={port}")
    assert code == 1
    assert err == (
        f"error: port={port} is taken by another program: give another one, or port=0 for any\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["folder=none"], "folder=none has no index.html"),
        (["folder=my page/inner"], "folder=my page/inner has no index.html"),
        (["folder=my page", "port=70000"], "port=70000"),
        (["folder=my page", "host=203.0.113.1"], "host=203.0.113.1 port=8000 cannot be served"),
        (["folder=my page", "host=a.invalid"], "host=a.invalid port=8000 cannot be served: "),
    ],
)
def test_mistakes_are_one_line(
    shell: Shell, folder: Path, arguments: list[str], message: str
) -> None:
    code, _, err = shell("serve", *arguments)
    assert code == 1
    assert message in err
    assert "Errno" not in err
    assert len(err.splitlines()) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of Unix")
@pytest.mark.parametrize("host", [[], ["host=localhost"]])
def test_it_says_where_and_ends_quietly(folder: Path, host: list[str]) -> None:
    line = [sys.executable, "-m", "sr_gan", "serve", str(folder), "port=0", *host]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout
        assert process.stderr
        try:
            said = process.stdout.readline()
            address = said.split()[-1]
            assert said.startswith(f"{folder} is at http://localhost:")
            with urllib.request.urlopen(address) as answer:
                assert answer.read() == b"<p>Hello"
            assert process.stdout.readline() == "Ctrl-C ends it.\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()  # or else a failure would wait forever
