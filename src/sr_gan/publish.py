"""``python -m sr_gan.publish``: a model with its card, on the Hugging Face Hub."""

import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from omegaconf import DictConfig

from sr_gan import __version__
from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.files import check_writable, readable, relative, user_path
from sr_gan.models import bundled_models
from sr_gan.runs import hub
from sr_gan.runs.folder import find_model
from sr_gan.settings.check import check
from sr_gan.settings.options import About
from sr_gan.settings.schema import PublishConfig

log = logging.getLogger(__name__)


def publish(cfg: DictConfig) -> None:
    """Uploads a model, its card and a sample picture, or only writes them into a folder.

    Raises:
        UserError: a setting or the model is not usable, nobody is logged in, or the Hub refuses.
    """
    settings = check(cfg, PublishConfig)
    repo = settings["repo"]
    if not hub.REPOSITORY.fullmatch(repo):
        raise UserError(f"repo={repo}: give OWNER/NAME, as in the address of a page of the Hub")
    if find_model(settings["model"], "model") is None:
        raise UserError(f"model={settings['model']} has no weights: give a run, a file or a model")
    if settings["card"] is not None and not user_path(settings["card"]).is_file():
        raise UserError(f"card={settings['card']} does not exist: give a file in Markdown")
    if settings["dry_run"]:
        output = user_path(settings["output"])
        check_writable([output / hub.WEIGHTS], f"output={output}")
        _describe(_write(settings, output), Path())
        log.info("dry run: nothing was uploaded; dry_run=false does it")
        return
    hub.require_login(f"repo={repo}")
    _require_author(settings)
    with TemporaryDirectory() as folder:
        _describe(_write(settings, Path(folder)), Path(folder))
        address = hub.upload(Path(folder), repo, settings["private"], f"sr_gan {__version__}")
    log.info("published %s", address)
    log.info("use       model=%s%s", hub.SCHEME, repo)


def _write(settings: dict[str, Any], folder: Path) -> list[Path]:
    """Writes what is uploaded, and returns the files."""
    from sr_gan.exports.bundle import write_bundle  # imports PyTorch, as the next one does
    from sr_gan.inference.pretrained import load_pretrained

    model = load_pretrained(settings["model"], allow=settings["allow"])
    log.info("model   %s", model.describe())
    card = user_path(settings["card"]) if settings["card"] else None
    about, repo = About.among(settings), settings["repo"]
    return write_bundle(model, folder, about, repo, card, settings["samples"])


def _require_author(settings: dict[str, Any]) -> None:
    """Refuses to publish a card for everybody that does not say whose model it is.

    Raises:
        UserError: the author or the licence is missing.
    """
    bundled = find_model(settings["model"], "model") in bundled_models().values()
    needed = ["author"] if bundled else ["author", "license"]
    missing = [f"{key}=" for key in needed if settings[key] is None]
    if missing and settings["card"] is None and not settings["private"]:
        raise UserError(
            f"repo={settings['repo']}: the card does not say {' and '.join(needed)}: give "
            f"{' and '.join(missing)}, a card of your own with card=, or private=true"
        )


def _describe(files: list[Path], folder: Path) -> None:
    for file in files:
        shown = file.relative_to(folder) if file.is_relative_to(folder) else relative(file)
        log.info("file    %s, %s", shown, readable(file.stat().st_size))


if __name__ == "__main__":
    command(publish, "publish")
