"""A search: Optuna proposes a sweep's jobs, for a high PSNR-Y and a low LPIPS at once.

The study is a file in the sweep's folder, which Optuna's own tools can read. A trial is a job with
a folder of its own; its values are the scores of the last validation, as in the sweep's table.
"""

import json
import logging
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import (
    IntervalSweep,
    Override,
    RangeSweep,
    Transformer,
)
from hydra.core.utils import JobReturn
from hydra.plugins.sweeper import Sweeper
from omegaconf import DictConfig, OmegaConf
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import StorageInternalError
from optuna.trial import Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from sr_gan.errors import UserError
from sr_gan.files import relative
from sr_gan.metrics import LPIPS
from sr_gan.runs.folder import ERROR
from sr_gan.runs.resume import differences
from sr_gan.settings.overrides import short, shortened
from sr_gan.sweeps.jobs import STUDY, refuse
from sr_gan.tables import Table

NAME = "search"  # the name of the study in its file
_DONE = (TrialState.COMPLETE, TrialState.PRUNED)

log = logging.getLogger(__name__)


def search(
    sweeper: Sweeper, arguments: Sequence[str], trials: int, jobs: int, startup: int, seed: int
) -> None:
    """Runs the trials that are missing, those first that were interrupted.

    Args:
        sweeper: the sweeper whose launcher runs the jobs.
        arguments: ``KEY=VALUE``; those with a range are searched. The last one of a key counts.
        trials: the number of trials that should be complete or pruned in the end. One that fails is
            replaced only when the search is started again.
        jobs: the number of trials that are proposed and launched together.
        startup: the number of trials that are drawn at random before Optuna's TPE takes over.
        seed: the seed of the proposals, which depend only on it and on the finished trials.

    Raises:
        UserError: a setting is not allowed, LPIPS cannot be measured, or the folder holds a search
            with other settings.
    """
    context, config = sweeper.hydra_context, sweeper.config
    assert context is not None
    assert config is not None
    counts = {"trials": (trials, 1), "jobs": (jobs, 1), "startup": (startup, 1), "seed": (seed, 0)}
    for name, (value, least) in counts.items():
        if type(value) is not int or value < least:
            raise UserError(f"hydra.sweeper.{name}={value}: a whole number of at least {least}")
    parser = OverridesParser.create(config_loader=context.config_loader)
    overrides = {o.get_key_element(): o for o in parser.parse_overrides(list(arguments))}
    space = {key: distribution(o) for key, o in overrides.items() if o.is_sweep_override()}
    fixed = [str(o.input_line) for key, o in overrides.items() if key not in space]
    if not space:
        raise UserError(
            "hydra/sweeper=optuna has nothing to search: give a setting a range, such as "
            "gan.loss.weights.adversarial='tag(log,interval(1e-4,1))'"
        )
    _require_lpips(context.config_loader.load_sweep_config(config, fixed))
    settings = {key: str(o.input_line).partition("=")[2] for key, o in overrides.items()}
    folder = Path(config.hydra.sweep.dir)
    folder.mkdir(parents=True, exist_ok=True)
    OmegaConf.save(config, folder / "multirun.yaml")
    try:
        with FileLock(folder / ".study.lock", timeout=0):
            study = _open(folder, settings)
            for batch in _batches(study, space, trials, jobs, startup, seed):
                own = [[f"{key}={trial.params[key]}" for key in space] for trial in batch]
                _run(sweeper, study, batch, [[*fixed, *job] for job in own])
    except Timeout as error:
        raise UserError(f"{relative(folder)} is being searched by another process") from error


def distribution(override: Override) -> BaseDistribution:
    """Returns the distribution from which Optuna draws a setting.

    ``interval(a,b)`` gives floats, ``int(interval(a,b))`` and ``range(a,b,step)`` give whole
    numbers, and a list gives its values. ``tag(log,...)`` makes numbers logarithmic.

    Raises:
        UserError: the range is empty, or cannot be drawn from.
    """
    sweep: Any = override.value()
    tags: set[str] = getattr(sweep, "tags", set())
    allowed = set() if override.is_choice_sweep() else {"log"}
    if tags - allowed:
        raise UserError(
            f"{override.input_line}: the tag {', '.join(sorted(tags - allowed))} is not known here "
            "(allowed: log, of intervals and ranges)"
        )
    try:
        if isinstance(sweep, IntervalSweep):
            return _numbers([sweep.start, sweep.end], log="log" in tags)
        if isinstance(sweep, RangeSweep):
            return _numbers(sorted(sweep.range()), log="log" in tags, step=abs(sweep.step))
        return CategoricalDistribution([
            value if isinstance(value, (bool, int, float)) else Transformer.str(value)
            for value in override.sweep_iterator()
        ])  # fmt: skip
    except ValueError as error:
        raise UserError(f"{override.input_line}: {error}") from error


def _numbers(values: Sequence[Any], **how: Any) -> BaseDistribution:
    if not values:
        raise ValueError("the range is empty")
    whole = all(isinstance(value, int) for value in values)
    return (IntDistribution if whole else FloatDistribution)(values[0], values[-1], **how)


def _require_lpips(cfg: DictConfig) -> None:
    """Refuses runs without LPIPS before hours are spent on them, as they cannot be compared."""
    if cfg.callbacks.get("lpips") is None:
        raise UserError("callbacks.lpips=null: a search weighs PSNR-Y against LPIPS, leave it on")
    weights = cfg.callbacks.lpips.weights
    try:
        LPIPS(weights)
    except UserError as error:
        key = "callbacks.lpips.weights=" + (weights or "null")
        raise UserError(f"{key}: a search weighs PSNR-Y against LPIPS, but {error}") from error


def _open(folder: Path, settings: dict[str, str]) -> optuna.Study:
    """Opens the study in ``folder``, or creates it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    try:
        study = optuna.create_study(
            storage=_storage(folder),
            study_name=NAME,
            directions=["maximize", "minimize"],
            load_if_exists=True,
        )
    except (SQLAlchemyError, StorageInternalError) as error:
        reason = str(error).splitlines()[0]
        path = relative(folder / STUDY)
        raise UserError(f"{path} cannot be read: {reason}; restore it, or delete it") from error
    before = study.user_attrs.get("settings", settings)
    refuse(differences(before, settings), "search", folder)
    study.set_user_attr("settings", settings)
    study.set_metric_names(["PSNR-Y", "LPIPS"])
    return study


def _storage(folder: Path) -> str:
    return f"sqlite:///{relative(folder / STUDY)}"


def _batches(
    study: optuna.Study,
    space: dict[str, BaseDistribution],
    trials: int,
    jobs: int,
    startup: int,
    seed: int,
) -> Iterator[list[Trial]]:
    """Yields batches of interrupted trials first, then of those that TPE proposes.

    Each proposal has a seed of its own, so that a resumed search does not repeat earlier draws.
    """
    # Optuna has no public way to continue a trial that an earlier process began.
    running = study.get_trials(states=[TrialState.RUNNING])
    begun = [Trial(study, trial._trial_id) for trial in running]
    left = trials - len(study.get_trials(states=_DONE))
    while left > 0:
        batch, begun = begun[:jobs], begun[jobs:]
        for _ in range(0 if batch else min(jobs, left)):
            # constant_liar gives running trials bad scores, so that a batch has no duplicates.
            study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=startup, seed=seed + len(study.trials), constant_liar=jobs > 1
            )
            batch.append(study.ask(space))
        left -= len(batch)
        yield batch


def _run(
    sweeper: Sweeper, study: optuna.Study, trials: Sequence[Trial], jobs: Sequence[Sequence[str]]
) -> None:
    """Launches one job per trial, and enters the results into the study."""
    assert sweeper.launcher is not None
    try:
        sweeper.validate_batch_is_legal(jobs)
    except Exception:  # what cannot be composed must not be tried again
        for trial in trials:
            study.tell(trial, state=TrialState.FAIL)
        raise
    results = sweeper.launcher.launch(jobs, initial_job_idx=trials[0].number)
    for trial, result in zip(trials, results):
        _tell(study, trial, result)
    for result in results:
        _ = result.return_value  # raises an error of the launcher itself


def _tell(study: optuna.Study, trial: Trial, result: JobReturn) -> None:
    assert result.hydra_cfg is not None
    folder = Path(result.hydra_cfg.hydra.runtime.output_dir)
    state, notes = outcome(folder)
    for key, value in {"folder": folder.name, **notes}.items():
        trial.set_user_attr(key, value)
    complete = state == TrialState.COMPLETE
    study.tell(trial, [notes["psnr_y"], notes["lpips"]] if complete else None, state)
    text = ", ".join(f"{key} {value}" for key, value in notes.items())
    log.info("trial %d %s: %s", trial.number, state.name.lower(), text)


def outcome(folder: Path) -> tuple[TrialState, dict[str, Any]]:
    """Returns how the job in ``folder`` ended, and its results.

    These are the epoch, PSNR-Y in dB and LPIPS of the last validation, or why there are none.
    """
    if (folder / ERROR).exists():
        return TrialState.FAIL, {"error": (folder / ERROR).read_text().strip()}
    if not (folder / "summary.json").exists():
        return TrialState.FAIL, {"error": "the run did not end"}
    stage = list(json.loads((folder / "summary.json").read_text()).values())[-1]
    last = stage.get("last", {})
    notes = {key: last[key] for key in ("epoch", "psnr_y", "lpips") if key in last}
    if "pruned" in stage:
        return TrialState.PRUNED, {**notes, "pruned": stage["pruned"]}
    if len(notes) < 3 or not all(map(isfinite, notes.values())):
        return TrialState.FAIL, {**notes, "error": "no PSNR-Y or no LPIPS at the last validation"}
    return TrialState.COMPLETE, notes


def describe_pareto_front(folder: Path) -> str:
    """Returns a table of the Pareto-optimal trials in ``folder``, and how to open the study."""
    study = optuna.load_study(study_name=NAME, storage=_storage(folder))
    best = sorted(study.best_trials, key=lambda trial: -trial.values[0])
    keys = list(dict.fromkeys(key for trial in best for key in trial.params))
    rows = [
        [
            str(trial.number),
            *(shortened(str(trial.params.get(key, "-"))) for key in keys),
            f"{trial.values[0]:.2f}",
            f"{trial.values[1]:.4f}",
        ]
        for trial in best
    ]
    states = Counter(trial.state.name.lower() for trial in study.trials)
    counts = ", ".join(f"{number} {state}" for state, number in sorted(states.items()))
    table = Table("", ["trial", *map(short, keys), "PSNR-Y dB", "LPIPS"], rows)
    return "\n".join([
        f"{len(study.trials)} trials: {counts}; these are Pareto-optimal in PSNR-Y and LPIPS:",
        table.plain(),
        f"study     optuna trials --storage {_storage(folder)} --study-name {NAME}",
    ])  # fmt: skip
