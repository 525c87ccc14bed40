"""Models on the Hugging Face Hub, which are named ``hf://OWNER/NAME[@REVISION][/FILE]``."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sr_gan.errors import UserError, printable
from sr_gan.machine import installed
from sr_gan.settings.extras import install

SCHEME = "hf://"
WEIGHTS = "generator.safetensors"  # the file that is taken if none is named, if there is one
SUFFIXES = (".safetensors", ".pth", ".ckpt")

_NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9_])?"
REPOSITORY = re.compile(f"{_NAME}/{_NAME}", re.ASCII)
_MODEL = re.compile(
    rf"hf://(?P<repo>{_NAME}/{_NAME})(?:@(?P<revision>refs/\w+/[\w.-]+|[\w.-]+))?"
    r"(?:/(?P<file>[^/].*))?",
    re.ASCII,
)
LOGIN = "log in with hf auth login, or set HF_TOKEN"


@dataclass(frozen=True)
class HubModel:
    """A model on the Hub.

    Args:
        repo: the repository, ``OWNER/NAME``.
        revision: a branch, a tag or a commit; None is the branch ``main``.
        file: the file of weights; None looks for it.
    """

    repo: str
    revision: str | None = None
    file: str | None = None

    def __str__(self) -> str:
        revision = f"@{self.revision}" if self.revision else ""
        return f"{SCHEME}{self.repo}{revision}" + (f"/{self.file}" if self.file else "")


def parse(text: str, key: str) -> HubModel:
    """Reads ``hf://OWNER/NAME[@REVISION][/FILE]``.

    Raises:
        UserError: the text is something else; the message names the setting ``key``.
    """
    match = _MODEL.fullmatch(text.rstrip("/"))
    file = PurePosixPath((match and match["file"]) or WEIGHTS)
    if not match or ".." in file.parts or file.suffix not in SUFFIXES:
        raise UserError(
            f"{key}={printable(text)}: a model of the Hugging Face Hub is named "
            "hf://OWNER/NAME, hf://OWNER/NAME@REVISION or hf://OWNER/NAME/FILE, and FILE ends in "
            f"{', '.join(SUFFIXES)}"
        )
    return HubModel(match["repo"], match["revision"], match["file"])


def at_revision(model: str, revision: str) -> str:
    """Returns the name of a model at a revision.

    Raises:
        UserError: the model is not one of the Hub, or its name has a revision already.
    """
    named = parse(model, "model")
    if named.revision is not None:
        raise UserError(f"model={model} and revision={revision}: give one revision")
    return str(HubModel(named.repo, revision, named.file))


def fetch(text: str, key: str) -> Path:
    """Returns a file of weights in the cache of huggingface_hub, into which it is downloaded.

    A file that is there already is only compared with the Hub's. Without a network, or with
    ``HF_HUB_OFFLINE=1``, it is taken as it is.

    Args:
        text: the model, see :func:`parse`.
        key: the setting, for the message of an error.

    Raises:
        UserError: the package is missing, or there is no such repository, revision or file, or
            the Hub cannot be reached.
    """
    model = parse(text, key)
    require_hub(f"{key}={text}")
    with said_plainly(f"{key}={text}", model):
        return _download(model, f"{key}={text}")


def require_login(what: str) -> None:
    """Checks that something can be uploaded.

    Raises:
        UserError: the package is missing, nobody is logged in, or the Hub must not be asked; the
            message begins with ``what``.
    """
    require_hub(what)
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise UserError(f"{what}: HF_HUB_OFFLINE is set: unset it to publish")
    if not get_token():
        raise UserError(
            f"{what}: you are not logged in to the Hugging Face Hub: {LOGIN} to a token that may "
            f"write, from {constants.ENDPOINT}/settings/tokens"
        )


def upload(folder: Path, repo: str, private: bool, message: str) -> str:
    """Uploads a folder as a commit, and returns the address of the repository.

    Args:
        folder: the folder.
        repo: the repository, ``OWNER/NAME``, which is made if it does not exist.
        private: whether a new repository is private.
        message: the message of the commit.

    Raises:
        UserError: the Hub refuses it or cannot be reached, or the repository exists and is public,
            although it should be private.
    """
    from huggingface_hub import HfApi

    api, what = HfApi(), f"repo={repo}"
    with said_plainly(what, HubModel(repo)):
        address = str(api.create_repo(repo, private=private, exist_ok=True))
        if private and not api.model_info(repo).private:
            raise UserError(
                f"{what} and private=true: the repository exists and is public: make it private on "
                f"{address}/settings, or give another name"
            )
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message)
    return address


def name_of(path: Path) -> str | None:
    """Returns ``OWNER/NAME`` for a file in the cache of huggingface_hub, and else None."""
    for folder in path.parents:
        if folder.name == "snapshots" and folder.parent.name.startswith("models--"):
            return "/".join(folder.parent.name.split("--")[1:])
    return None


def require_hub(what: str) -> None:
    """Checks that the package of the extra is installed.

    Raises:
        UserError: it is not; the message begins with ``what`` and says how to install it.
    """
    if not installed("huggingface_hub"):
        raise UserError(f"{what} needs the package huggingface_hub: {install('hub')}")


@contextmanager
def said_plainly(what: str, model: HubModel) -> Iterator[None]:
    """Turns the errors of huggingface_hub into one line that begins with ``what``.

    Raises:
        UserError: in place of an error of the Hub, or of the connection.
    """
    import huggingface_hub.utils.logging  # noqa: F401  this import sets the level of its loggers

    loggers = [logging.getLogger(name) for name in ("huggingface_hub", "httpx", "httpx2")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)  # else each attempt to connect is two lines
    try:
        yield
    except Exception as error:
        reason = _reason(error, model)
        if reason is None:
            raise
        raise UserError(f"{what}: {reason}") from error
    finally:
        for logger, level in zip(loggers, before):
            logger.setLevel(level)


def _reason(error: Exception, model: HubModel) -> str | None:
    """Returns what an error means and what to do; None if it is not one of the Hub."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        return f"accept the terms on {constants.ENDPOINT}/{model.repo}, and {LOGIN}"
    if isinstance(error, errors.RepositoryNotFoundError):
        return f"there is no repository {model.repo}, or it is private: check the name, or {LOGIN}"
    if isinstance(error, errors.RevisionNotFoundError):
        return f"{model.repo} has no revision {model.revision}: give a branch, a tag or a commit"
    if isinstance(error, errors.HfHubHTTPError):
        status = error.response.status_code
        if status in (401, 403):
            return f"{constants.ENDPOINT} does not permit it: {LOGIN}"
        return f"{constants.ENDPOINT} answers with status {status}: try again later"
    missing = (errors.LocalEntryNotFoundError, errors.OfflineModeIsEnabled)
    if constants.HF_HUB_OFFLINE and isinstance(error, missing):
        return "it is not in the cache, and HF_HUB_OFFLINE is set: unset it to download"
    package = type(error).__module__.partition(".")[0]
    if isinstance(error, (*missing, ConnectionError)) or package.startswith(("http", "requests")):
        return (
            f"{constants.ENDPOINT} cannot be reached, and the file is not in the cache: check the "
            "network, or fetch the file by other means and give its path"
        )
    return None


def _download(model: HubModel, what: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(model.repo, model.file or WEIGHTS, revision=model.revision))
    except LocalEntryNotFoundError:
        raise
    except EntryNotFoundError as error:
        files = _weights(model)
        if model.file is None and len(files) == 1:
            return Path(hf_hub_download(model.repo, files[0], revision=model.revision))
        if not files:
            raise UserError(
                f"{what}: {model.repo} has no file of weights ({', '.join(SUFFIXES)})"
            ) from error
        raise UserError(
            f"{what}: {model.repo} has no {model.file or WEIGHTS}: name one of its files, "
            f"{HubModel(model.repo, model.revision)}/FILE with FILE = {', '.join(files[:9])}"
        ) from error


def _weights(model: HubModel) -> list[str]:
    """Returns the files of a repository that may be weights."""
    from huggingface_hub import HfApi

    files = HfApi().list_repo_files(model.repo, revision=model.revision)
    return sorted(file for file in files if file.endswith(SUFFIXES))
