"""What the choices of ``hydra/launcher`` need, told before a sweep begins."""

import re
import shutil

from sr_gan.errors import UserError
from sr_gan.machine import installed

# what Hydra's plugin hydra-NAME-launcher drives, and the extra that brings both
_EXTRAS = {"joblib": "launchers", "submitit": "launchers", "ray": "ray"}


def check_launcher(choice: str, target: str) -> None:
    """Checks that the launcher ``choice``, of the class ``target``, can work on this machine.

    Raises:
        UserError: a package of an extra, or Slurm, is not here.
    """
    plugin = re.match(r"hydra_plugins\.hydra_([a-z]+)_launcher\b", target)
    package = plugin[1] if plugin else ""
    if plugin and package in _EXTRAS and not (installed(plugin[0]) and installed(package)):
        raise UserError(f"hydra/launcher={choice} {_need(package)}")
    if target.endswith(".SlurmLauncher") and not (shutil.which("sbatch") and shutil.which("srun")):
        raise UserError(
            f"hydra/launcher={choice} needs Slurm's sbatch and srun, which are not here: "
            "start it on a login node, or try it here with hydra/launcher=slurm_local"
        )


def explain_missing(name: str) -> str | None:
    """What to do where Hydra has no launcher ``name``; None if no extra of ours has it."""
    package = name.partition("_")[0]
    return f"hydra/launcher={name} {_need(package)}" if package in _EXTRAS else None


def _need(package: str) -> str:
    return f"needs hydra-{package}-launcher: pip install 'sr_gan[{_EXTRAS[package]}]'"
