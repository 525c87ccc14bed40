"""The commands on the pages of the documentation: found, composed, and shrunk to toy size."""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from sr_gan.__main__ import COMMANDS
from sr_gan.models import bundled_models
from sr_gan.resolvers import register_resolvers
from sr_gan.settings.command_line import prepared
from sr_gan.settings.conf import conf_dir
from sr_gan.settings.overrides import parse_overrides
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(
    r"(?:^ *`(?P<name>[^`]+)`:\n\n)?"
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_VARIABLE = re.compile(r"\w+=\S*")

# Commands of other programs. What can be checked of them here is in ``check_foreign``.
FOREIGN = {
    "pip install": "it installs packages: the extras and files that it names must exist",
    "python3 -m venv": "it makes an environment",
    ". ": "it enters an environment",
    "make ": "it installs packages: the target must exist",
    "tensorboard --logdir": "it does not end: it must be able to read the folder",
    "torchrun ": "it needs several machines: its settings must compose",
    "hf auth login": "it needs an account",
    "ffmpeg ": "it is no part of the project",
    "git clone ": "it needs a network",
    "cd ": "it enters a folder",
    "export PYTHONPATH=": "the test of its page runs it",
}
# Commands of this package that cannot be run here; their settings must compose.
COMPOSED = {
    r"prepare data=div2k": "it downloads 4 GB",
    r"trainer=ddp$": "it needs several GPUs",
    r"hydra/launcher=(slurm|ray)": "it needs a cluster, or Ray",
    r"--config-dir my_conf": "the test of its page runs it",
    r"allow=my_networks": "the test of its page runs it",
    r"^serve ": "it does not end",
}


@dataclass(frozen=True)
class Block:
    """A block of code on a page, and the name of a file if the page gives one."""

    page: Path
    name: str
    language: str
    text: str


@dataclass(frozen=True)
class Command:
    """A command of a page, as words. ``ours`` is its name if it is one of this package."""

    page: Path
    words: tuple[str, ...]
    ours: str | None

    def __str__(self) -> str:
        return f"{self.page.name}: {self.ours + ' ' if self.ours else ''}{' '.join(self.words)}"


def blocks(page: Path) -> list[Block]:
    """Returns the blocks of code on a page, without the indentation of a list."""
    found = []
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        text = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
        found.append(Block(page, match["name"] or "", match["language"], text))
    return found


def commands(page: Path) -> list[Command]:
    """Returns the commands of a page in their order."""
    lines = "".join(each.text for each in blocks(page) if each.language == "sh")
    parsed = (shlex.split(line, comments=True) for line in lines.replace("\\\n", " ").splitlines())
    return [_command(page, words) for words in parsed if words]


def _command(page: Path, words: list[str]) -> Command:
    words = list(dropwhile(_VARIABLE.fullmatch, words))
    if words[:2] == ["python", "-m"] and words[2].startswith("sr_gan."):
        words = ["sr-gan", words[2].removeprefix("sr_gan."), *words[3:]]
    elif words[:3] == ["python", "-m", "sr_gan"]:
        words = ["sr-gan", *words[3:]]
    if words[0] != "sr-gan":
        return Command(page, tuple(words), None)
    return Command(page, tuple(words[2:]), words[1])


def foreign(command: Command) -> str | None:
    """Returns why a command of another program is not run; None if it is not known."""
    text = " ".join(command.words) + " "
    return next((why for start, why in FOREIGN.items() if text.startswith(start)), None)


def composed_only(command: Command) -> str | None:
    """Returns why a command of this package is only composed; None if it is run."""
    text = f"{command.ours} {' '.join(command.words)}"
    return next((why for part, why in COMPOSED.items() if re.search(part, text)), None)


def check_foreign(command: Command) -> None:
    """Checks what a command of another program takes from this project."""
    words, text = command.words, " ".join(command.words)
    if words[0] == "make":
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, check=True, capture_output=True)
    elif words[:2] == ("pip", "install"):
        known = set(re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(), re.MULTILINE))
        for extras in re.findall(r"\[([\w,]+)\]", text):
            assert set(extras.split(",")) <= known, text
        for file in re.findall(r"-c (\S+)", text):
            assert (ROOT / file).exists(), text
    elif words[0] == "torchrun":
        compose_command("train", words[words.index("sr_gan.train") + 1 :])


def config_name(command: Command) -> tuple[str, tuple[str, ...]]:
    """Returns the name of a command's file in conf/, and its settings."""
    if command.ours == "bench":
        return f"bench_{command.words[0]}", command.words[1:]
    return str(command.ours), command.words


@contextmanager
def fresh_hydra() -> Iterator[None]:
    """Hydra as in a process of its own."""
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
    yield
    GlobalHydra.instance().clear()


def compose_command(name: str, arguments: Sequence[str]) -> DictConfig:
    """Composes the settings of a command; of a sweep those of its first job."""
    register_resolvers()
    arguments = prepared(filled(arguments), name)
    overrides = [argument for argument in arguments if re.match(r"[^-].*=", argument)]
    single = [_first(override) for override in overrides]
    with fresh_hydra(), initialize_config_dir(str(conf_dir()), version_base="1.3"):
        return compose(name, single)


def _first(override: str) -> str:
    (parsed,) = parse_overrides([override])
    if not parsed.is_sweep_override():
        return override
    values = parsed.sweep_string_iterator()
    return f"{parsed.get_key_element()}={next(iter(values))}"


def filled(arguments: Sequence[str]) -> list[str]:
    """Replaces the names of things that have to be files or numbers by some that exist."""
    names = {"experiment=NAME": "experiment=quickstart", "HOST": "localhost"}
    return [re.sub("|".join(names), lambda m: names[m[0]], argument) for argument in arguments]


class Toy:
    """A folder with all that the pages name, and the settings that make a command small.

    Args:
        folder: where PHOTOS, photo.jpg, runs/quickstart and the others are.
        weights: files of random weights: vgg19, alexnet, squeezenet and vgg16.
    """

    def __init__(self, folder: Path, weights: dict[str, Path]) -> None:
        self.folder, self.weights = folder, weights

    def settings(self, command: Command) -> list[str]:
        """Returns the settings of a command with its placeholders filled and others appended."""
        name, arguments = config_name(command)
        given = [self._file(argument) for argument in filled(arguments)]
        shrink: Callable[[list[str]], list[str]] = getattr(self, f"_{name}", lambda _: [])
        return [*given, *shrink(given)]

    def _file(self, argument: str) -> str:
        """Names a file of weights in place of ``FILE``, ``VGG19_FILE`` or ``download``."""
        key, _, value = argument.partition("=")
        if value not in ("FILE", "VGG19_FILE", "ALEXNET_FILE", "SQUEEZENET_FILE", "download"):
            return argument
        kinds = {
            "init_from": "",
            "lpips": "alexnet",
            "callbacks.lpips.weights": "alexnet",
            "lpips_squeeze": "squeezenet",
            "gan.loss.content.lpips.weights": "squeezenet",
            "gan.loss.content.vgg.weights": "vgg19",
            "lpips_vgg": "vgg16",
            "dists": "vgg16",
        }
        return f"{key}={self.weights[kinds[key]]}" if kinds[key] else argument

    def _train(self, given: list[str]) -> list[str]:
        if any(argument.startswith("ckpt_path=") for argument in given):
            return []  # the run that is resumed is small
        fewer = _sweep(given) if "-m" in given else []
        cfg = compose_command("train", [*given, *fewer])
        small = {
            "trainer.accelerator": "cpu",
            "trainer.check_val_every_n_epoch": 1,
            "pretrain.epochs": 1,
            "gan.epochs": 1,
            "data.batch_size": 2,
            "data.crops_per_epoch": 4,
            "data.valid_crop": 48,
            "data.workers": 0,
        }
        if not any(argument.startswith("data.crop=") for argument in given):
            small["data.crop"] = 32
        extra = [*fewer, *(f"{key}={value}" for key, value in small.items())]
        if "Div2k" in cfg.data._target_:
            extra += ["data=folder", "data.train_dir=PHOTOS"]
        extra += _networks(cfg, generator=cfg.init_from is None or not self._exists(cfg.init_from))
        extra += self._perceptual(cfg)
        if cfg.init_from is not None and not self._exists(cfg.init_from):
            extra.append(f"init_from={self._start([*given, *extra])}")
        return extra

    def _exists(self, model: str) -> bool:
        """Whether weights to start from are there, or come with the package or from the Hub."""
        known = model in bundled_models() or model.startswith("hf://")
        return known or (self.folder / model).exists()

    def _perceptual(self, cfg: DictConfig) -> list[str]:
        content = OmegaConf.select(cfg, "gan.loss.content") or {}
        terms = [name for name, term in content.items() if term._target_.endswith("VGGLoss")]
        found = []
        for term in terms:
            key = f"gan.loss.content.{term}"
            layer = str(content[term].layers[0])[:4] + "1_2"
            found += [f"{key}.weights={self.weights['vgg19']}", f"{key}.layers=[{layer}]"]
            if "layer_weights" in content[term]:
                found.append(f"{key}.layer_weights=[1.0]")
        return found

    def _start(self, arguments: list[str]) -> Path:
        """Writes the weights of a new generator that has the size in the settings."""
        from sr_gan.runs.weights import save_generator
        from sr_gan.settings.build import build

        cfg = compose_command("train", arguments)
        plain: Any = OmegaConf.to_container(cfg.generator, resolve=True)
        path = self.folder / "start.safetensors"
        save_generator(build(cfg.generator), plain, path)
        return path

    def _bench_train(self, given: list[str]) -> list[str]:
        networks = ["generator.filters=8", "generator.blocks=1", "discriminator.filters=4"]
        vgg = [f"gan.loss.content.vgg.weights={self.weights['vgg19']}"]
        sizes = ["data.crop=32", "data.batch_size=2", "data.workers=0", "bench.updates=2"]
        layers = ["gan.loss.content.vgg.layers=[relu1_2]", "bench.photos=2"]
        return [*networks, *vgg, *layers, *sizes, "trainer.accelerator=cpu", "bench.rounds=1"]

    def _bench_upscale(self, given: list[str]) -> list[str]:
        return ["model=runs/quickstart", "width=40", "height=32", "rounds=1", "device=cpu"]

    def _bench_data(self, given: list[str]) -> list[str]:
        return ["photos=PHOTOS", "images=2", "crop=32", "seconds=0.1", "rounds=1", "workers=[0]"]

    def _upscale(self, given: list[str]) -> list[str]:
        return ["model=runs/quickstart"] if "precision=int8" in given else []


def _networks(cfg: DictConfig, generator: bool) -> list[str]:
    """Returns the settings of the smallest networks of the classes that are chosen."""
    small = {"filters": 4, "dense": 8, "blocks": 1, "growth": 2}
    rooms = ("generator", "discriminator") if generator else ("discriminator",)
    return [
        f"{room}.{key}={value}"
        for room in rooms
        for key, value in small.items()
        if key in cfg[room]
    ]


def _sweep(given: list[str]) -> list[str]:
    """Two jobs instead of many."""
    experiment = next((each for each in given if each.startswith("experiment=")), "")
    if "search" in experiment:
        return ["loss@gan.loss=pixel_gan", "hydra.sweeper.trials=2", "hydra.sweeper.startup=1"]
    if "sweep" in experiment:
        return ["loss@gan.loss=pixel_gan", "gan.loss.weights.adversarial=0,1e-3"]
    return []


def check_known(command: Command) -> None:
    """A command is one of this package, or of another program that is listed."""
    if command.ours is None:
        assert foreign(command), f"{command}: not a command that the tests know"
    elif not command.ours.startswith("-"):
        assert command.ours in COMMANDS, command
