"""``python -m sr_gan.serve FOLDER``: shows an exported page in a browser on this machine."""

import errno
import logging
import os
import sys
from collections.abc import Sequence
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import printable, user_path
from sr_gan.settings.check import check
from sr_gan.settings.schema import ServeConfig
from sr_gan.signals import Interrupted

log = logging.getLogger(__name__)

HEADERS = {
    # Browsers give threads to a page only if it is isolated from all others.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # a page that was exported anew is shown at once
    "X-Content-Type-Options": "nosniff",
}
_HERE = ("127.0.0.1", "localhost")
_EVERYWHERE = ("0.0.0.0", "")


def serve(cfg: DictConfig) -> None:
    """Serves a folder until it is interrupted.

    Raises:
        UserError: the folder does not exist or has no page, or the address cannot be taken.
    """
    settings = check(cfg, ServeConfig)
    folder, host, port = user_path(settings["folder"]), settings["host"], settings["port"]
    if not (folder / "index.html").is_file():
        raise UserError(
            f"folder={printable(folder)} has no index.html: give the folder that "
            "sr-gan export format=web wrote"
        )
    with listen(folder, host, port) as server:
        shown = "localhost" if host in (*_HERE, *_EVERYWHERE) else host
        log.info("%s is at http://%s:%d/", printable(folder), shown, server.server_port)
        if host not in _HERE:
            log.info("Browsers on other machines get no WebGPU and no threads without https.")
        log.info("Ctrl-C ends it.")
        try:
            server.serve_forever()
        except Interrupted:
            log.info("ended")


def listen(folder: Path, host: str, port: int) -> ThreadingHTTPServer:
    """Returns a server of the files below a folder; with port 0 it takes any free one.

    Raises:
        UserError: the port is taken, or the address is not this machine's.
    """
    try:
        return _Server((host, port), partial(Handler, directory=str(folder)))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UserError(
                f"port={port} is taken by another program: give another one, or port=0 for any"
            ) from error
        raise UserError(f"host={host} port={port} cannot be served: {error.strerror}") from error


class Handler(SimpleHTTPRequestHandler):
    """Sends the files of a folder, with the headers that threads need, and lists no folders."""

    protocol_version = "HTTP/1.1"
    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        """Prints no line for a request."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # on Windows it would share a port that is taken

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of a browser that hung up."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def named(arguments: Sequence[str]) -> list[str]:
    """Returns the arguments with ``folder=`` before one that stands alone."""
    return [each if each.startswith("-") or "=" in each else f"folder={each}" for each in arguments]


if __name__ == "__main__":
    sys.argv[1:] = named(sys.argv[1:])
    command(serve, "serve")
