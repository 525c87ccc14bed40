"""Paths of any name arrive as they were typed, and slips are one line that says what to type."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_origin

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf

from sr_gan.errors import UserError
from sr_gan.resolvers import register_resolvers
from sr_gan.settings.build import build
from sr_gan.settings.command_line import _is_path, prepared
from sr_gan.settings.conf import conf_dir
from sr_gan.settings.schema import SCHEMAS, paths
from sr_gan.settings.signatures import parameters
from tests.odd_names import ODD_NAMES

TRAIN = [
    *("init_from", "ckpt_path", "data.cache_dir"),
    *("data.train_dir", "data.valid_dir", "data.train_lr_dir", "data.valid_lr_dir"),
    *("gan.loss.content.vgg.weights", "callbacks.lpips.weights"),
]
GROUPS = ["data=folder", "loss@gan.loss=perceptual_gan"]
NESTED = {  # besides the paths at the top, with the choices that have them
    "train": (TRAIN, GROUPS),
    "bench_train": ([*TRAIN, "bench.output", "bench.trace"], GROUPS),
    "prepare": (["data.train_dir", "data.valid_dir", "data.cache_dir"], ["data=folder"]),
}
TEMPLATES = ["hydra.run.dir", "hydra.sweep.dir", "callbacks.samples.folder"]


@pytest.fixture(scope="module", autouse=True)
def conf() -> Iterator[None]:
    register_resolvers()
    with initialize_config_dir(str(conf_dir()), version_base="1.3"):
        yield


def composed(command: str, *arguments: str) -> DictConfig:
    return compose(command, prepared(arguments, command), return_hydra_config=True)


@pytest.mark.parametrize("name", ODD_NAMES)
@pytest.mark.parametrize("command", SCHEMAS)
def test_a_path_arrives_as_it_was_typed(command: str, name: str) -> None:
    nested, groups = NESTED.get(command, ([], []))
    keys = dict.fromkeys([*paths(SCHEMAS[command]), *nested])
    values = {key: f"/photos/{name}" if "." in key else name for key in keys}
    cfg = composed(command, *groups, *(f"{key}={value}" for key, value in values.items()))
    for key, value in values.items():
        assert OmegaConf.select(cfg, key) == value


def test_the_home_folder_is_found_in_the_folder_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell leaves the ``~`` of ``hydra.run.dir=~/runs`` alone."""
    monkeypatch.setenv("HOME", "/home/me")
    cfg = composed("train", *(f"{key}=~/my runs" for key in TEMPLATES), "run_dir=run")
    assert {OmegaConf.select(cfg, key) for key in TEMPLATES} == {"/home/me/my runs"}
    quoted = composed("train", "hydra.run.dir='~/my runs'", "run_dir=run")
    assert quoted.hydra.run.dir == "/home/me/my runs"


@pytest.mark.parametrize("name", [name for name in ODD_NAMES if "${" not in name])
def test_a_path_that_may_refer_to_other_settings(name: str) -> None:
    cfg = composed("train", *(f"{key}={name}" for key in TEMPLATES), "run_dir=run")
    assert [OmegaConf.select(cfg, key) for key in TEMPLATES] == [name] * len(TEMPLATES)
    folder = composed("train", f"callbacks.samples.folder=${{run_dir}}/{name}", f"run_dir={name}")
    assert folder.callbacks.samples.folder == f"{name}/{name}"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_a_path_arrives_in_the_constructor(name: str) -> None:
    cfg = composed("prepare", "data=div2k", f"data.root=/photos/{name}")
    cfg.data._target_ = "tests.settings.test_command_line.Given"
    assert build(cfg.data).settings["root"] == f"/photos/{name}"


class Given:
    """Keeps what it is given."""

    def __init__(self, **settings: Any) -> None:
        self.settings = settings


def test_what_is_no_plain_path_is_left_alone() -> None:
    cfg = composed("evaluate", "benchmark=[Set5,'My photos']", "lr=null", "output='a, b'")
    assert (cfg.benchmark, cfg.lr, cfg.output) == (["Set5", "My photos"], None, "a, b")
    assert composed("evaluate", "benchmark=[Set5", "model='tis").benchmark == "[Set5"
    assert composed("train", "+data.train_dir=a,b", "data=skimage").data.train_dir == "a,b"


def test_a_folder_that_looks_like_a_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert composed("upscale", "input=[a,b]").input == ["a", "b"]
    Path("[a,b]").mkdir()
    assert composed("upscale", "input=[a,b]").input == "[a,b]"


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_in_lists(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name with a comma has to be quoted, and one with blanks at its ends must exist."""
    monkeypatch.chdir(tmp_path)
    Path(name).mkdir()
    Path(name, "img[1].png").touch()
    given = f"'{name}'" if "," in name else name
    inside = name if "," in name else f"{name}/img[1].png"
    path = given if "," in name else inside
    cfg = composed("upscale", f"input=[{path}, фото (1) ,{given}]")
    assert list(cfg.input) == [inside, "фото (1)", name]
    assert list(composed("evaluate", f"benchmark=[{given}]").benchmark) == [name]


def test_a_pattern_that_begins_and_ends_with_brackets() -> None:
    assert composed("upscale", "input=[ab]*.[pj][np]g").input == "[ab]*.[pj][np]g"
    assert composed("upscale", "input=[ab]*[cd]").input == "[ab]*[cd]"
    assert composed("upscale", "input=[ab*[cd],[ef].png]").input == ["ab*[cd]", "[ef].png"]
    assert composed("upscale", "input=[]").input == []


def test_a_recipe_needs_no_file_of_weights() -> None:
    vgg = composed("train", "experiment=srgan_modern").gan.loss.content.vgg
    assert (vgg.weights, vgg.feature_scale) == ("torchvision", 1.0)
    file = "gan.loss.content.vgg.weights=oxford.safetensors"
    vgg = composed("train", "experiment=srgan_modern", file).gan.loss.content.vgg
    assert (vgg.weights, vgg.feature_scale) == ("oxford.safetensors", 0.002)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a,b", "a,b"),  # two runs
        ("choice(a,b)", "choice(a,b)"),
        ("ünï,a b", "'ünï','a b'"),
        ("(1)", "'(1)'"),
        ("2024", "'2024'"),
        ("'a,b'", "'a,b'"),
    ],
)
def test_in_a_sweep_a_comma_separates_values(value: str, expected: str) -> None:
    line = ["-m", f"init_from={value}"]
    assert prepared(line, "train") == ["-m", f"init_from={expected}"]
    assert prepared(["-m", "hydra.sweep.dir=a,b"], "train")[1] == "hydra.sweep.dir='a,b'"


CHOICES = [
    *("data=div2k", "data=folder", "data=skimage"),
    *(f"loss@gan.loss={name}" for name in ("perceptual_gan", "lpips_gan", "ldl", "unit_gan")),
    "loss@pretrain.loss=perceptual_gan",
    "callbacks=[default,prune]",
    "logger=[csv,mlflow,tensorboard,wandb]",
]


@pytest.mark.parametrize("choice", CHOICES)
def test_no_path_of_a_constructor_is_forgotten(choice: str) -> None:
    words = ("dir", "path", "folder", "root", "weights", "uri", "file", "url")
    for key, target in targets(OmegaConf.to_container(composed("train", choice))):
        for name, kind in parameters(target).items():
            text = "str" in str(kind) and get_origin(kind) is not Mapping
            if text and name.endswith(words):
                assert _is_path(f"{key}.{name}", ()), f"{key}.{name}"


def targets(node: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """The nodes that are built: their keys and classes."""
    if isinstance(node, dict):
        if "_target_" in node and not key.startswith("hydra"):
            yield key, node["_target_"]
        for name, inner in node.items():
            yield from targets(inner, f"{key}.{name}" if key else str(name))


SLIPS = {
    "--epochs=3": "--epochs=3: settings are KEY=VALUE or GROUP=CHOICE, without dashes",
    "--epochs": "--epochs: settings are KEY=VALUE or GROUP=CHOICE, without dashes",
    "--data.train_dir=x": "--data.train_dir=x: settings are KEY=VALUE",
    "-e": "-e: settings are KEY=VALUE",
    "experiment=search": "experiment=search is a sweep of several runs: add -m",
    "experiment=search_cpu": "experiment=search_cpu is a sweep of several runs: add -m",
    "experiment=sweep_cpu": "experiment=sweep_cpu is a sweep of several runs: add -m",
    "experiment=sweep_loss_weights": "is a sweep of several runs: add -m",
    "experiment=[a,b]": "experiment=[a,b]: give one experiment",
}


@pytest.mark.parametrize("argument", SLIPS)
def test_slips_are_one_line(argument: str) -> None:
    with pytest.raises(UserError) as error:
        prepared([argument], "train")
    assert SLIPS[argument] in str(error.value)


@pytest.mark.parametrize(
    "line", ["--help", "-h", "--cfg job", "--cfg=job", "-m a=1,2", "--multirun", "--config-dir x"]
)
def test_options_of_hydra_are_left_alone(line: str) -> None:
    assert prepared(line.split(), "train") == line.split()


def test_an_option_may_stand_among_the_settings() -> None:
    arguments = ["seed=1", "--config-dir", "mine", "gan.epochs=3", "-m"]
    moved = ["--config-dir", "mine", "-m", "seed=1", "gan.epochs=3"]
    assert prepared(arguments, "train") == moved
