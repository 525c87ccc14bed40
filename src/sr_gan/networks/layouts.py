"""How other programs name the tensors of the same networks.

A layout lists a network's layers in the order of our own state dict, under the names of another
program. It is read in both directions: to load a file that another program wrote, and to write one
that it loads. The network's arguments are read from the names and the shapes.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import log2, sqrt
from typing import Any, get_args

import torch
from torch import Tensor, nn

from sr_gan.arguments import Scale
from sr_gan.errors import printable
from sr_gan.networks.compact import CompactNet
from sr_gan.networks.resnet import MSRResNet, SRResNet
from sr_gan.networks.rrdb import RRDBNet

State = Mapping[str, Tensor]
_SCALES = get_args(Scale)
_DENSE = [(j, k) for j in (1, 2, 3) for k in (1, 2, 3, 4, 5)]  # dense block, convolution


@dataclass(frozen=True)
class Layout:
    """The names of a network's tensors in another program.

    Args:
        title: whose names they are.
        network: our class of the same network.
        block: a pattern of one layer of each block.
        up: a pattern of one layer of each enlargement by two.
        layers: (blocks, ups) -> the names of all layers, in the order of our state dict.
        last: by what our last layer is larger, because its output is added in [-1, 1].
    """

    title: str
    network: type[nn.Module]
    block: str
    up: str
    layers: Callable[[int, int], list[str]]
    last: float = 1.0


def _esrgan(blocks: int, ups: int) -> list[str]:
    dense = [f"body.{i}.rdb{j}.conv{k}" for i in range(blocks) for j, k in _DENSE]
    enlarge = [f"conv_up{u + 1}" for u in range(ups)]
    return ["conv_first", *dense, "conv_body", *enlarge, "conv_hr", "conv_last"]


def _esrgan_2019(blocks: int, ups: int) -> list[str]:
    dense = [f"RRDB_trunk.{i}.RDB{j}.conv{k}" for i in range(blocks) for j, k in _DENSE]
    enlarge = [f"upconv{u + 1}" for u in range(ups)]
    return ["conv_first", *dense, "trunk_conv", *enlarge, "HRconv", "conv_last"]


def _esrgan_2018(blocks: int, ups: int) -> list[str]:
    dense = [f"model.1.sub.{i}.RDB{j}.conv{k}.0" for i in range(blocks) for j, k in _DENSE]
    ends = [f"model.{3 * u + 3}" for u in range(ups)] + [f"model.{3 * ups + n}" for n in (2, 4)]
    return ["model.0", *dense, f"model.1.sub.{blocks}", *ends]


def _msrresnet(blocks: int, ups: int) -> list[str]:
    body = [f"body.{i}.conv{k}" for i in range(blocks) for k in (1, 2)]
    return ["conv_first", *body, *(f"upconv{u + 1}" for u in range(ups)), "conv_hr", "conv_last"]


def _msrresnet_2019(blocks: int, ups: int) -> list[str]:
    body = [f"recon_trunk.{i}.conv{k}" for i in range(blocks) for k in (1, 2)]
    return ["conv_first", *body, *(f"upconv{u + 1}" for u in range(ups)), "HRconv", "conv_last"]


def _compact(blocks: int, ups: int) -> list[str]:
    return [f"body.{i}" for i in range(2 * blocks + 3)]


def _srgan(blocks: int, ups: int) -> list[str]:
    parts = ("conv1", "bn1", "prelu", "conv2", "bn2")
    body = [f"block{i + 2}.{part}" for i in range(blocks) for part in parts]
    end, tail = f"block{blocks + 2}", f"block{blocks + 3}"
    enlarge = [f"{tail}.{u}.{part}" for u in range(ups) for part in ("conv", "prelu")]
    return ["block1.0", "block1.1", *body, f"{end}.0", f"{end}.1", *enlarge, f"{tail}.{ups}"]


def _own(network: type[nn.Module]) -> Callable[[int, int], list[str]]:
    def layers(blocks: int, ups: int) -> list[str]:
        with torch.device("meta"):
            return _layers(network(scale=2**ups, filters=1, blocks=blocks).state_dict())

    return layers


LAYOUTS = {
    "esrgan": Layout(
        "Real-ESRGAN and BasicSR", RRDBNet, r"body\.\d+\.rdb1\.conv1", r"conv_up\d", _esrgan
    ),
    "esrgan_2019": Layout(
        "ESRGAN and BSRGAN", RRDBNet, r"RRDB_trunk\.\d+\.RDB1\.conv1", r"upconv\d", _esrgan_2019
    ),
    "esrgan_2018": Layout(
        "the first ESRGAN",
        RRDBNet,
        r"model\.1\.sub\.\d+\.RDB1\.conv1\.0",
        r"model\.[369]",
        _esrgan_2018,
    ),
    "msrresnet": Layout("BasicSR", MSRResNet, r"body\.\d+\.conv1", r"upconv\d", _msrresnet, 2.0),
    "msrresnet_2019": Layout(
        "MMSR", MSRResNet, r"recon_trunk\.\d+\.conv1", r"upconv\d", _msrresnet_2019, 2.0
    ),
    "compact": Layout("Real-ESRGAN", CompactNet, r"body\.(?!1\.)\d*[13579]", "(?!)", _compact),
    "srgan": Layout(
        "leftthomas/SRGAN", SRResNet, r"block\d+\.conv1", r"block\d+\.\d\.conv", _srgan
    ),
}
OWN = (  # for programs that see a file's tensors, but not its metadata
    Layout("sr_gan", SRResNet, r"body\.\d+\.layers\.4", r"upsample\.[036]", _own(SRResNet)),
    Layout("sr_gan", MSRResNet, r"body\.\d+\.layers\.2", r"upsample\.[036]", _own(MSRResNet)),
    Layout(
        "sr_gan", RRDBNet, r"body\.\d+\.layers\.0\.grow\.0\.0", r"upsample\.[147]", _own(RRDBNet)
    ),
)


def from_layout(
    state: State, layouts: Iterable[Layout] = LAYOUTS.values()
) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
    """Translates a state dict of another program into one of ours.

    Returns:
        the configuration of our generator, as in ``conf/generator/``, and its state dict, which
        makes the same images, in [-1, 1] instead of [0, 1]; None if no layout has such names.

    Raises:
        ValueError: the network differs from ours; the message names a tensor.
    """
    for layout in layouts:
        if blocks := _count(layout.block, state):
            return _translated(layout, state, blocks, _count(layout.up, state))
    return None


def to_layout(network: nn.Module, name: str) -> dict[str, Tensor]:
    """Returns the state dict of a generator, whose images are in [0, 1], for another program.

    Args:
        network: the generator.
        name: a key of :data:`LAYOUTS`.

    Raises:
        ValueError: the layout has no place for this network.
    """
    layout = LAYOUTS[name]
    kind = layout.network.__name__
    if type(network) is not layout.network:
        raise ValueError(f"the layout {name} is for {kind}, not for {type(network).__name__}")
    scale = int(network.scale)  # type: ignore[arg-type]
    if isinstance(network, MSRResNet) and (network.skip != "bilinear" or scale == 8):
        raise ValueError(f"the layout {name} is for {kind} x2 and x4 with skip=bilinear")
    if name == "esrgan" and scale != 4:
        raise ValueError(f"the layout {name} is for {kind} x4")
    state, ups = network.state_dict(), int(log2(scale))
    ours = _layers(state)
    fewest, more = (len(layout.layers(blocks, ups)) for blocks in (0, 1))
    theirs = layout.layers((len(ours) - fewest) // (more - fewest), ups)
    names = dict(zip(ours, theirs))
    renamed = {_renamed(key, names): x for key, x in state.items()}
    return _times(renamed, theirs[-1], 1 / layout.last)


def _translated(
    layout: Layout, state: State, blocks: int, ups: int
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    arguments = _arguments(layout, state, blocks, ups)
    with torch.device("meta"):
        wanted = layout.network(**arguments).state_dict()
    ours = _layers(wanted)
    theirs = layout.layers(blocks, ups)
    names = {key: _renamed(key, dict(zip(ours, theirs))) for key in wanted}
    given = _without_bias_before_norm(dict(state), theirs)
    for key in names.values():
        if key.endswith("num_batches_tracked"):  # which PyTorch had not before 0.4.1
            given.setdefault(key, torch.tensor(0))
    _check(layout, given, {names[key]: x for key, x in wanted.items()})
    translated = {key: given[name] for key, name in names.items()}
    config = {"_target_": f"sr_gan.networks.{layout.network.__name__}", **arguments}
    return config, _times(translated, ours[-1], layout.last)


def _arguments(layout: Layout, state: State, blocks: int, ups: int) -> dict[str, int]:
    """Returns the arguments of the constructor, from the shapes of a few tensors."""
    names = layout.layers(blocks, ups)
    first, last = (state.get(f"{name}.weight") for name in (names[0], names[-1]))
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        raise ValueError(f"{names[0]}.weight or {names[-1]}.weight is no convolution")
    if first.shape[1] != 3:
        channels = f"{first.shape[1]} channels, and the generators here take 3"
        raise ValueError(f"{names[0]}.weight takes {channels}")
    scale = 2**ups
    if layout.network is CompactNet:
        scale = round(sqrt(len(last) / 3))
    if scale not in _SCALES:
        raise ValueError(f"it enlarges by {scale}, the generators here by 2, 4 or 8")
    arguments = {"scale": scale, "filters": len(first), "blocks": blocks}
    if layout.network is SRResNet:
        arguments["end_kernel"] = first.shape[-1]
    if layout.network is RRDBNet:
        growing = next(key for key in state if re.fullmatch(rf"{layout.block}\.weight", key))
        arguments["growth"] = len(state[growing])
    return arguments


def _without_bias_before_norm(state: dict[str, Tensor], layers: list[str]) -> dict[str, Tensor]:
    """Subtracts a bias from the mean of the BatchNorm behind it, which removes it anyway."""
    for layer, norm in pairwise(layers):
        mean, bias = (state.get(name) for name in (f"{norm}.running_mean", f"{layer}.bias"))
        if mean is not None and bias is not None and mean.shape == bias.shape:
            state[f"{norm}.running_mean"] = mean.float() - state.pop(f"{layer}.bias").float()
    return state


def _check(layout: Layout, given: State, wanted: State) -> None:
    whose = f"{layout.title}'s {layout.network.__name__}"
    for key in sorted(given.keys() | wanted.keys()):
        if key not in wanted:
            raise ValueError(f"{whose} of such names has no tensor {printable(key)}")
        if key not in given:
            raise ValueError(f"{whose} of such names has a tensor {key}, which the file lacks")
        if given[key].shape != wanted[key].shape:
            shapes = ("x".join(map(str, x.shape)) for x in (given[key], wanted[key]))
            raise ValueError("{} is {}, and {} in {}".format(key, *shapes, whose))


def _times(state: State, layer: str, factor: float) -> dict[str, Tensor]:
    return {key: x * factor if key.startswith(f"{layer}.") else x for key, x in state.items()}


def _count(pattern: str, state: State) -> int:
    return sum(bool(re.fullmatch(rf"{pattern}\.weight", key)) for key in state)


def _layers(state: Iterable[str]) -> list[str]:
    """Returns the names of the layers that own the tensors, in their order."""
    return list(dict.fromkeys(key.rpartition(".")[0] for key in state))


def _renamed(key: str, names: Mapping[str, str]) -> str:
    layer, _, tensor = key.rpartition(".")
    return f"{names[layer]}.{tensor}"
