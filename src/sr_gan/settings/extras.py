"""Choices that need an optional package, checked before a run or a sweep begins."""

import os
import re
import shutil
from collections.abc import Iterable, Mapping
from typing import Any

from sr_gan.errors import UserError
from sr_gan.machine import installed

# the package that is needed, and the extra of pyproject.toml that brings it
_EXTRAS = {
    "joblib": "launchers",
    "submitit": "launchers",
    "ray": "ray",
    "mlflow": "mlflow",
    "wandb": "wandb",
}
_RUNTIMES = {  # by the format of an export, what writes and runs it; the extra export brings all
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "ncnn": ("pnnx", "ncnn"),
    "spandrel": ("spandrel",),
    "openvino": ("openvino",),
    "web": ("onnx", "onnxscript", "onnxruntime"),
}
_LAUNCHERS = ("joblib", "submitit", "ray")  # driven by Hydra's plugins hydra-NAME-launcher


def check_loggers(loggers: Mapping[str, Any]) -> None:
    """Checks that the packages of the loggers that are switched on are installed.

    Raises:
        UserError: a package is missing; the message says how to install it.
    """
    for name, node in loggers.items():
        if node and name in _EXTRAS and not installed(name):
            raise UserError(f"logger={name} needs {name}: {_install(name)}")


def check_formats(formats: Iterable[str]) -> None:
    """Checks that the packages that write and run exports of these formats are installed.

    Raises:
        UserError: a package is missing; the message says how to install it.
    """
    for name in formats:
        for package in _RUNTIMES.get(name, ()):
            if not installed(package):
                raise UserError(f"format={name} needs the package {package}: {install('export')}")


def check_logins(loggers: Mapping[str, Any]) -> None:
    """Checks that W&B, if it is switched on and online, knows who the user is.

    Raises:
        UserError: nobody is logged in, or the login is refused.
    """
    node = loggers.get("wandb")
    if not node or node["offline"] or os.environ.get("WANDB_MODE", "online") != "online":
        return
    import wandb

    way = "run wandb login, set WANDB_API_KEY, or use logger.wandb.offline=true"
    try:
        known = wandb.login(prompt=False)
    except TypeError:  # older versions cannot be asked without a prompt
        return
    except wandb.Error as error:
        raise UserError(f"logger=wandb: {str(error).splitlines()[0]}; {way}") from error
    if not known:
        raise UserError(f"logger=wandb: you are not logged in to Weights & Biases; {way}")


def check_launcher(choice: str, target: str) -> None:
    """Checks that the launcher ``choice``, of the class ``target``, can work on this machine.

    Raises:
        UserError: a package of an extra, or Slurm, is not installed.
    """
    plugin = re.match(r"hydra_plugins\.hydra_([a-z]+)_launcher\b", target)
    package = plugin[1] if plugin else ""
    if plugin and package in _LAUNCHERS and not (installed(plugin[0]) and installed(package)):
        raise UserError(explain_missing(package, choice))
    if target.endswith(".SlurmLauncher") and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UserError(
            f"hydra/launcher={choice} needs Slurm's sbatch and srun, which are not here: "
            "start it on a login node, or try it here with hydra/launcher=slurm_local"
        )


def explain_missing(name: str, choice: str | None = None) -> str | None:
    """Returns how to install the launcher ``name``; None if no extra of ours brings it."""
    package = name.partition("_")[0]
    if package not in _LAUNCHERS:
        return None
    return f"hydra/launcher={choice or name} needs hydra-{package}-launcher: {_install(package)}"


def install(extra: str) -> str:
    """Returns the command that installs an extra of this package."""
    return f"pip install 'sr_gan[{extra}]'"


def _install(package: str) -> str:
    return install(_EXTRAS[package])
