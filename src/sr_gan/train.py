"""``python -m sr_gan.train``: composes a run from conf/, builds it and trains its stages.

PyTorch takes seconds to import, so that the functions below import what needs it once the settings
have been checked.
"""

import json
import logging
import os
import re
import shlex
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from sr_gan import signals
from sr_gan.cli import command, quieten
from sr_gan.errors import UserError
from sr_gan.files import real, relative
from sr_gan.machine import installed, keep_freed_memory
from sr_gan.runs.epochs import recount
from sr_gan.runs.folder import FINISHED, PRUNED, SUMMARY, checkpoints, failures, find_weights
from sr_gan.runs.occupy import occupied, refuse_to_overwrite, set_later_stages_aside
from sr_gan.runs.recorded import settings_of_run
from sr_gan.runs.resume import (
    Checkpoint,
    check_photos,
    check_resumable,
    find_checkpoint,
    is_finished,
    refuse_nothing_to_do,
)
from sr_gan.settings.build import build, build_all
from sr_gan.settings.check import check
from sr_gan.settings.explain import memory_advice
from sr_gan.settings.extras import check_logins

log = logging.getLogger(__name__)


def train(cfg: DictConfig, overrides: Sequence[str] | None = None) -> dict[str, Any]:
    """Trains every stage of ``cfg``.

    Args:
        cfg: the settings of the run.
        overrides: those of them that its command line gave, with which it can be resumed.

    Returns:
        The summary that it writes to the run folder. Where several processes train together, the
        first one returns it, and the others return an empty dictionary.

    Raises:
        UserError: a setting, a file or a checkpoint is not usable; the message says which.
        Interrupted: the run was asked to stop and has saved its state.
    """
    config = check(cfg)
    if os.environ.get("LOCAL_RANK", "0") == "0":  # the others would open a log of their own
        log.info("loading    PyTorch and Lightning")
    from lightning.pytorch.utilities import rank_zero_only

    quieten()
    first = rank_zero_only(lambda: True, default=False)()  # of several processes, one speaks
    for logger in (log, logging.getLogger("sr_gan")):
        logger.setLevel(logging.INFO if first else logging.WARNING)
    run_dir = Path(cfg.run_dir)
    with signals.caught(), occupied(run_dir) if first else nullcontext():
        resumed = _resumed(cfg, config, run_dir)
        if resumed is None and first:
            refuse_to_overwrite(run_dir)
        if resumed and is_finished(resumed, config, run_dir):
            log.info("finished   %s has nothing left to do%s", relative(run_dir), _more(resumed))
            summary: dict[str, Any] = json.loads((run_dir / SUMMARY).read_text())
            return summary
        return _train_stages(cfg, config, resumed, first, overrides)


def _train_stages(
    cfg: DictConfig,
    config: dict[str, Any],
    resumed: Checkpoint | None,
    first: bool,
    overrides: Sequence[str] | None,
) -> dict[str, Any]:
    import lightning as L

    from sr_gan.callbacks.estimate import Estimate
    from sr_gan.callbacks.recipe import Recipe
    from sr_gan.runs.records import write_records
    from sr_gan.runs.summary import as_text, summarise
    from sr_gan.runs.weights import load_generator, save_generator

    run_dir = Path(cfg.run_dir)
    keep_freed_memory()
    L.seed_everything(cfg.seed, workers=True, verbose=False)
    data = build(cfg.data)
    generator = build(cfg.generator)
    if cfg.init_from and not resumed:  # a checkpoint's weights are further
        load_generator(generator, cfg.init_from)
    data.collections()  # missing photos are reported before VGG19 is downloaded
    stages = config["stages"]
    if resumed:
        stages = stages[stages.index(resumed.stage) :]
    modules = {stage: build(cfg[stage], generator=generator) for stage in stages}
    callbacks = {stage: build_all(cfg.callbacks, stage) for stage in stages}
    data.setup()
    if resumed:
        check_photos(resumed, config, data.digest)
    log.info("data       %s", data.describe())
    count = sum(parameter.numel() for parameter in generator.parameters())
    log.info("generator  %s, %s parameters", type(generator).__name__, f"{count:,}")
    log.info("run        %s", relative(run_dir))
    if first:
        write_records(cfg, run_dir)
        (run_dir / PRUNED).unlink(missing_ok=True)
        recount(run_dir)
        set_later_stages_aside(run_dir, stages[0])

    estimate = Estimate(modules)
    for stage, module in modules.items():
        trainer = build(
            cfg.trainer,
            max_epochs=module.epochs,
            callbacks=[
                *callbacks[stage],
                Recipe(stage, config, data.digest, run_dir, overrides),
                estimate,
            ],
            logger=build_all(cfg.logger, stage),
        )
        ckpt_path = resumed.path if resumed and resumed.stage == stage else None
        trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)
        signals.allow()
        if trainer.is_global_zero:
            weights = run_dir / "checkpoints" / stage / FINISHED
            save_generator(module.evaluated, config["generator"], weights)
        generator.load_state_dict(module.evaluated.state_dict())  # where the next stage begins
        if (run_dir / PRUNED).exists():
            break

    if not first:
        return {}
    summary = summarise(run_dir)
    log.info("\n%s", as_text(summary, run_dir))
    return summary


def adopt_generator(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Adopts the generator of ``init_from`` where its file says which one it is.

    A generator that the command line names, by one of its ``overrides``, is left alone. The file
    may ask for one of our generators, or for the class that the settings name.

    Raises:
        UserError: the file cannot be used, or enlarges by another factor.
    """
    if not cfg.init_from:
        return
    path = find_weights(cfg.init_from, "init_from")
    if any(re.match(r"[+~]*generator\b", each) for each in overrides):
        return
    from sr_gan.runs.weights import read_weights, stated_arguments, stated_class  # imports PyTorch

    weights = read_weights(path, "init_from")
    if weights.config is None:
        return
    origin, target = f"init_from={weights.path}", weights.config.get("_target_")
    if target != cfg.generator._target_:
        stated_class(weights.config, origin, advice="choose another one with generator=CHOICE")
    settings = stated_arguments(weights.config, origin)
    if settings.get("scale", cfg.scale) != cfg.scale:
        raise UserError(
            f"init_from={cfg.init_from} enlarges by {settings['scale']}: set "
            f"scale={settings['scale']}, which is {cfg.scale} now"
        )
    with open_dict(cfg):
        cfg.generator = {"_target_": target, **settings}


def _more(finished: Checkpoint) -> str:
    """Returns how to go on with a finished run all the same."""
    text = f"; {finished.stage}.epochs={finished.epochs + 1} or more would go on with it"
    for path in finished.path.parents[1].glob("*/last.ckpt"):
        if path.parent.name != finished.stage:
            where = shlex.quote(f"ckpt_path={relative(path)}")
            text += f", and {where} would repeat what follows the {path.parent.name}"
    return text


def _resumed(cfg: DictConfig, config: dict[str, Any], run_dir: Path) -> Checkpoint | None:
    if cfg.ckpt_path is None:
        return None
    checkpoint = find_checkpoint(cfg.ckpt_path, run_dir)
    refuse_nothing_to_do(checkpoint, config, run_dir)
    for change in check_resumable(checkpoint, config):
        log.warning("resuming with another setting: %s", change)
    return checkpoint


def _main(cfg: DictConfig) -> None:
    check(cfg, foreign=False)
    output = HydraConfig.get().runtime.output_dir
    if real(Path(cfg.run_dir)) != real(Path(output)):
        raise UserError(
            f"run_dir={cfg.run_dir}: choose the folder with hydra.run.dir={cfg.run_dir}"
        )
    check_logins(cfg.logger)
    adopt_generator(cfg, HydraConfig.get().overrides.task)
    if HydraConfig.get().mode == RunMode.MULTIRUN and not _is_to_be_done(cfg):
        return
    try:
        with memory_advice(cfg):
            train(cfg, HydraConfig.get().overrides.task)
    except signals.Interrupted as stop:
        log.info("%s; %s", stop, _way_on(stop.checkpoint, Path(cfg.run_dir)))
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            folder = shlex.quote(f"hydra.sweep.dir={HydraConfig.get().sweep.dir}")
            log.info("go on with the whole sweep by its command with %s", folder)
        sys.exit(128 + stop.signum)


def _way_on(saved: Path | None, run_dir: Path) -> str:
    """Returns what has been saved of a run that was stopped, and how to go on."""
    what = f"saved {relative(saved)}" if saved else "nothing new to save"
    if not checkpoints(run_dir):
        return f"{what}; start it again with the same command"
    resume = shlex.quote(f"ckpt_path={relative(run_dir)}")
    return f"{what}\ngo on with python -m sr_gan.train {resume}"


def _is_to_be_done(cfg: DictConfig) -> bool:
    """Whether a sweep's job has not finished before; one that was interrupted goes on."""
    from sr_gan.sweeps.jobs import begun, finished

    run_dir = Path(cfg.run_dir)
    if cfg.trainer.devices not in (1, "1") and "LOCAL_RANK" not in os.environ:
        raise UserError(
            f"trainer.devices={cfg.trainer.devices} in a sweep: the jobs share this process, which "
            "can be part of one group only; run them one by one, or with one device each"
        )
    if finished(cfg, run_dir):
        log.info("done       %s, finished before", relative(run_dir))
        return False
    checkpoint = begun(cfg, run_dir)
    if checkpoint:
        cfg.init_from, cfg.ckpt_path = None, str(checkpoint)
    return True


def _report(sweep_dir: Path) -> None:
    """Ends a sweep with its report, and a search with its Pareto-optimal trials."""
    from sr_gan.reports.write import write_report
    from sr_gan.runs.history import find_runs
    from sr_gan.sweeps.jobs import STUDY

    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    try:
        write_report(find_runs([str(sweep_dir)]), sweep_dir / "report")
    except UserError as error:
        lost = failures(sweep_dir) and not any(sweep_dir.rglob("metrics.csv"))
        log.warning("no report of the sweep: %s", "no job finished an epoch" if lost else error)
    if (sweep_dir / STUDY).exists() and installed("optuna"):
        from sr_gan.sweeps.search import describe_pareto_front

        log.info("\n%s", describe_pareto_front(sweep_dir))


if __name__ == "__main__":
    command(_main, "train", after_sweep=_report, complete=settings_of_run)
