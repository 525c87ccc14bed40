"""Turns a function of a configuration into a command whose errors are one readable line."""

import errno
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from sr_gan.config import conf_dir
from sr_gan.errors import UserError
from sr_gan.machine import cpu_computes_bf16
from sr_gan.runs import choose_run_dir, name_job, shown
from sr_gan.schema import suggest

_LOCKED = (errno.EACCES, errno.EPERM, errno.EROFS)
_RESOLVING = "UserError raised while resolving interpolation: "


def command(
    task: Callable[[DictConfig], None], config_name: str, verbatim: tuple[str, ...] = ()
) -> None:
    """Runs ``task`` on the configuration composed from the command line; exits 1 on a mistake.

    The values of ``verbatim`` keys are paths: taken as they are, whatever signs are in them, unless
    they are a list in brackets. ``HYDRA_FULL_ERROR=1`` in the environment shows tracebacks instead.
    """
    sys.argv[1:] = [_quoted(argument, verbatim) for argument in sys.argv[1:]]
    register_resolvers()
    _quieten()
    debug = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands exceptions on instead of printing them

    def run(cfg: DictConfig) -> None:
        try:
            task(cfg)
        except (UserError, OSError) as error:
            if debug or HydraConfig.get().mode == RunMode.MULTIRUN:
                raise
            if Path(HydraConfig.get().runtime.output_dir) != Path.cwd():  # a run has its folder
                _forget_empty_run(Path(HydraConfig.get().runtime.output_dir))
            _fail(error)

    run.__module__ = task.__module__
    main = hydra.main(version_base="1.3", config_path=str(conf_dir()), config_name=config_name)(run)
    try:
        main()
    except (UserError, HydraException, OmegaConfBaseException, OSError) as error:
        if debug:
            raise
        _fail(error)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)


def _quoted(argument: str, verbatim: tuple[str, ...]) -> str:
    """``input=My photo (1).jpg`` as Hydra's grammar wants it."""
    key, equals, value = argument.partition("=")
    if key not in verbatim or not equals or value[:1] in ("", "[", "'", '"') or value == "null":
        return argument
    value = re.sub(r"(\\*)'", r"\1\1\\'", value)  # in quotes a backslash before one escapes it
    trailing = len(value) - len(value.rstrip("\\"))
    return f"{key}='{value}{chr(92) * trailing}'"


def register_resolvers() -> None:
    """The functions that conf/ calls, ``${run_dir:...}`` for one."""
    OmegaConf.register_new_resolver("run_dir", choose_run_dir, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("job_dir", name_job, replace=True)
    OmegaConf.register_new_resolver("shown", lambda path: str(shown(Path(path))), replace=True)
    OmegaConf.register_new_resolver("auto_accelerator", _auto_accelerator, replace=True)
    OmegaConf.register_new_resolver("auto_precision", _auto_precision, replace=True)


def _auto_accelerator() -> str:
    """A CUDA GPU or the CPU; not Apple's MPS, which has no float64 for the exact bicubic."""
    return "gpu" if torch.cuda.is_available() else "cpu"


def _auto_precision(accelerator: str) -> str:
    """16-bit mixed precision where there is a GPU to run it, or a CPU that computes in bfloat16."""
    if accelerator != "cpu" and torch.cuda.is_available():
        return "16-mixed"
    return "bf16-mixed" if cpu_computes_bf16() else "32-true"


def _fail(error: Exception) -> None:
    print(f"error: {explain(error)}", file=sys.stderr)
    sys.exit(1)


def explain(error: Exception) -> str:
    """What is wrong, in one line: an error of ours, of the system's, Hydra's or OmegaConf's."""
    inner: BaseException | None = error
    while inner is not None and not isinstance(inner, UserError):
        inner = inner.__cause__
    if inner is not None:
        return str(inner)
    if isinstance(error, OSError) and error.strerror:
        hint = "; choose another folder with hydra.run.dir=FOLDER" if error.errno in _LOCKED else ""
        return f"{error.filename or 'writing'}: {error.strerror}{hint}"
    if isinstance(error, MissingConfigException):
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        return f"{group}={name}: no such choice (allowed: {', '.join(error.options or [])})"
    if isinstance(error, OverrideParseException):
        return f"{error.override}: settings are KEY=VALUE or GROUP=CHOICE, see --help"
    if isinstance(error, ConfigCompositionException):
        return _explain_composition(error)
    if isinstance(error, OmegaConfBaseException):  # of a resolver, ours for one
        return str(error).splitlines()[0].removeprefix(_RESOLVING)
    return " ".join(line.strip() for line in str(error).splitlines() if line.strip())


def _explain_composition(error: ConfigCompositionException) -> str:
    cause: Any = error.__cause__
    node = getattr(cause, "parent_node", None)
    if getattr(cause, "full_key", None) and isinstance(node, DictConfig):
        return f"{cause.full_key} is not a setting{suggest(str(cause.key), list(node))}"
    text = " ".join(line.strip() for line in str(error).splitlines() if line.strip())
    if cause is not None and str(cause).splitlines()[0] not in text:
        text += f" ({str(cause).splitlines()[0]})"
    return text.split(" To append to your default list")[0]


def _forget_empty_run(folder: Path) -> None:
    """Removes the folder of a run that a mistake ended before it began."""
    if all(path.name == "train.log" for path in folder.iterdir()):
        for path in folder.iterdir():
            path.unlink()
        folder.rmdir()
        with suppress(OSError):  # not empty: the experiment has other runs
            folder.parent.rmdir()


def _quieten() -> None:
    """Lightning's advertisements and the hints that do not apply to these runs."""
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in (
        ".*does not have many workers.*",
        ".*worker processes in total.*",
        ".*smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*module\\(s\\) in eval mode.*",  # the frozen VGG19
        ".*treespec, LeafSpec.*",
        ".*ended before the epoch ended and your dataloader is not resumable.*",
        ".*lr_scheduler.step\\(\\)` before `optimizer.step.*",
        ".*`optimizer.step\\(\\)` has been overridden.*",  # by the clock of bench
    ):
        warnings.filterwarnings("ignore", pattern)
