"""``python -m sr_gan.export``: a model for other programs, as files that were run before."""

import logging

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.errors import UserError
from sr_gan.exports.web_runtime import obtain
from sr_gan.files import check_writable, relative, user_path
from sr_gan.runs.folder import find_model
from sr_gan.settings.check import check
from sr_gan.settings.options import About
from sr_gan.settings.schema import ExportConfig

log = logging.getLogger(__name__)


def export(cfg: DictConfig) -> None:
    """Writes a model in each format that is asked for; one that fails does not stop the others.

    Raises:
        UserError: a setting or the model is not usable, or a format failed.
    """
    settings = check(cfg, ExportConfig)
    if find_model(settings["model"], "model") is None:
        raise UserError(
            f"model={settings['model']} has no network to export: give a run, a file or a "
            "bundled model"
        )
    output = user_path(settings["output"])
    check_writable([output / "model"], f"output={settings['output']}")
    if "web" in settings["format"]:
        if (output / "index.html").exists() and not settings["overwrite"]:
            raise UserError(
                f"output={settings['output']} has a page already: give another folder, or replace "
                "it with overwrite=true"
            )
        obtain(settings["runtime"])
    from sr_gan.exports.card import earlier_files, write_cards  # imports PyTorch, as the next do
    from sr_gan.exports.facts import facts_of
    from sr_gan.exports.portable import Portable
    from sr_gan.exports.proven import export
    from sr_gan.exports.uses import use_of
    from sr_gan.inference.pretrained import load_pretrained

    model = load_pretrained(settings["model"], allow=settings["allow"])
    log.info("%s", model.describe())
    facts = facts_of(model, About.among(settings))
    said = {"name": facts.name, "author": facts.author, "license": facts.license}
    portable = Portable(model, settings["precision"] == "fp16", settings["web"], **said)
    files = [] if settings["overwrite"] else earlier_files(facts, output, portable.base)
    empty = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    written = False
    failed: dict[str, Exception] = {}
    for name in settings["format"]:
        try:
            proven = export(portable, name, output)
        except (UserError, OSError) as error:
            failed[name] = error
            if len(settings["format"]) > 1:
                log.info("%-9s failed: %s", name, error)
            continue
        files += [file for file in proven.files if file not in files]
        written = True
        log.info("%-9s %s", name, proven.describe())
        if use := use_of(proven.files[0], facts.network):
            log.info("%-9s for %s", "", use.programs)
    if written:
        card, entry = write_cards(facts, files, output)
        log.info(
            "%-9s %s says how to use them; %s is for OpenModelDB",
            "cards",
            *map(relative, (card, entry)),
        )
    if not failed:
        return
    if empty and not written:
        output.rmdir()
    if len(settings["format"]) == 1:
        raise failed.popitem()[1]
    raise UserError(
        f"{len(failed)} of {len(settings['format'])} formats failed: {', '.join(failed)}"
    )


if __name__ == "__main__":
    command(export, "export")
