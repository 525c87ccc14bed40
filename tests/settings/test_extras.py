"""The messages for launchers that cannot work; tests/sweeps/test_jobs.py runs launchers."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from sr_gan.errors import UserError
from sr_gan.machine import installed
from sr_gan.resolvers import register_resolvers
from sr_gan.settings.conf import conf_dir
from sr_gan.settings.extras import check_launcher
from tests.conftest import Shell

SUBMITIT = "hydra_plugins.hydra_submitit_launcher"
needs_submitit = pytest.mark.skipif(
    not installed(SUBMITIT), reason="hydra-submitit-launcher is not installed"
)


@pytest.mark.parametrize(
    ("hidden", "choice", "extra"),
    [
        ("hydra_plugins.hydra_ray_launcher", "ray", "ray"),
        ("ray", "ray", "ray"),
        ("joblib", "workers", "launchers"),
        ("submitit", "slurm", "launchers"),
        ("submitit", "slurm_local", "launchers"),
    ],
)
def test_a_missing_package_is_one_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, hidden: str, choice: str, extra: str
) -> None:
    plugin = {"workers": "joblib", "ray": "ray"}.get(choice, "submitit")
    if choice != "ray" and not installed(f"hydra_plugins.hydra_{plugin}_launcher"):
        pytest.skip(f"hydra-{plugin}-launcher is not installed")
    monkeypatch.setattr(
        "sr_gan.machine.find_spec", lambda name: None if name == hidden else find_spec(name)
    )
    code, _, errors = shell("train", "-m", f"hydra/launcher={choice}", "seed=0,1")
    complaint = f"hydra/launcher={choice} needs hydra-{plugin}-launcher"
    assert (code, errors) == (1, f"error: {complaint}: pip install 'sr_gan[{extra}]'\n")


@pytest.mark.parametrize(
    ("choice", "plugin"),
    [("workers", "joblib"), ("slurm", "submitit_slurm"), ("slurm_local", "submitit_local")],
)
def test_a_missing_plugin_is_one_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, choice: str, plugin: str
) -> None:
    """Hydra finds no plugin with these settings."""
    launchers = ConfigStore.instance().repo["hydra"]["launcher"]
    monkeypatch.delitem(launchers, f"{plugin}.yaml", raising=False)
    code, _, errors = shell("train", "-m", f"hydra/launcher={choice}", "seed=0,1")
    needed = f"hydra/launcher={plugin} needs hydra-{plugin.partition('_')[0]}-launcher"
    assert (code, errors) == (1, f"error: {needed}: pip install 'sr_gan[launchers]'\n")


def test_launchers_of_others_are_left_alone() -> None:
    check_launcher("basic", "hydra._internal.core_plugins.basic_launcher.BasicLauncher")
    check_launcher("rq", "hydra_plugins.hydra_rq_launcher.rq_launcher.RQLauncher")


@needs_submitit
def test_slurm_composes() -> None:
    register_resolvers()
    overrides = ["hydra/launcher=slurm", "hydra.launcher.partition=gpu", "hydra.sweep.dir=a"]
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        cfg = compose("train", overrides, return_hydra_config=True)
    launcher = OmegaConf.to_container(cfg.hydra.launcher, resolve=True)
    assert isinstance(launcher, dict)
    assert launcher["_target_"] == f"{SUBMITIT}.submitit_launcher.SlurmLauncher"
    assert launcher["submitit_folder"] == "a/.submitit/%j"
    given = {key: launcher[key] for key in ("partition", "gpus_per_node", "mem_gb", "name")}
    assert given == {"partition": "gpu", "gpus_per_node": 1, "mem_gb": 32, "name": "train"}


@needs_submitit
def test_without_slurm_it_is_one_line(tmp_path: Path) -> None:
    """Starts from the shell, as a user does."""
    done = subprocess.run(
        [sys.executable, "-m", "sr_gan.train", "-m", "seed=0,1", "hydra/launcher=slurm"],
        cwd=tmp_path,
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: hydra/launcher=slurm needs Slurm's sbatch and srun, which are not here: "
        "start it on a login node, or try it here with hydra/launcher=slurm_local\n"
    )
    assert not list(tmp_path.iterdir())


def test_slurm_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    target = f"{SUBMITIT}.submitit_launcher.SlurmLauncher"
    monkeypatch.setattr("sr_gan.settings.extras.installed", lambda _: True)
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    check_launcher("slurm", target)
    monkeypatch.setattr("shutil.which", lambda name: None if name == "srun" else name)
    with pytest.raises(UserError, match="needs Slurm's sbatch and srun"):
        check_launcher("slurm", target)
