"""spandrel judges the layouts that it knows; other ones are judged by networks written out here."""

from collections import OrderedDict
from collections.abc import Callable

import pytest
import torch
from spandrel import ModelLoader
from torch import Tensor, nn
from torch.nn import functional as F

from sr_gan import networks
from sr_gan.arguments import Scale
from sr_gan.networks import CompactNet, MSRResNet, RRDBNet, SRResNet
from sr_gan.networks.layouts import LAYOUTS, from_layout, to_layout
from sr_gan.spandrel import install

State = dict[str, Tensor]
LR = torch.rand(1, 3, 13, 10, generator=torch.Generator().manual_seed(0))


def trained(network: nn.Module) -> nn.Module:
    """The network with weights, biases and statistics as large as if it had been trained."""
    torch.manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.1)
        elif tensor.ndim == 4:
            nn.init.kaiming_normal_(tensor).mul_(0.5)
        elif tensor.is_floating_point():
            tensor.uniform_(0.1, 0.5)
    return network.eval()


def built(state: State) -> nn.Module:
    found = from_layout(state)
    assert found
    config, translated = found
    network: nn.Module = getattr(networks, config.pop("_target_").rpartition(".")[2])(**config)
    network.load_state_dict(translated)
    return network.eval()


@torch.no_grad()
def image(network: Callable[[Tensor], Tensor], low: float = -1) -> Tensor:
    return (network(LR) - low) / (1 - low)


@pytest.mark.parametrize("layout", ["esrgan", "esrgan_2019", "esrgan_2018"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_esrgan_as_spandrel_reads_it(layout: str, scale: Scale) -> None:
    network = trained(RRDBNet(scale, filters=8, blocks=2, growth=32))
    if layout == "esrgan" and scale != 4:
        with pytest.raises(ValueError, match="the layout esrgan is for RRDBNet x4"):
            to_layout(network, layout)
        return
    state = to_layout(network, layout)
    model = ModelLoader().load_from_state_dict(dict(state))
    assert (model.architecture.id, model.scale) == ("ESRGAN", scale)
    torch.testing.assert_close(image(model.model, 0), image(network))
    torch.testing.assert_close(image(built(state)), image(network))


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_compact_as_spandrel_reads_it(scale: Scale) -> None:
    network = trained(CompactNet(scale, filters=8, blocks=3))
    state = to_layout(network, "compact")
    model = ModelLoader().load_from_state_dict(dict(state))
    assert (model.architecture.id, model.scale) == ("Compact", scale)
    torch.testing.assert_close(image(model.model, 0), image(network))
    torch.testing.assert_close(image(built(state)), image(network))


@pytest.mark.parametrize(
    ("layout", "trunk", "hr"),
    [("msrresnet", "body", "conv_hr"), ("msrresnet_2019", "recon_trunk", "HRconv")],
)
@pytest.mark.parametrize("scale", [2, 4])
def test_msrresnet_as_basicsr_computes_it(layout: str, trunk: str, hr: str, scale: Scale) -> None:
    network = trained(MSRResNet(scale, filters=8, blocks=3))
    state = to_layout(network, layout)

    def run(lr: Tensor) -> Tensor:
        def conv(name: str, x: Tensor) -> Tensor:
            return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=1)

        x = F.leaky_relu(conv("conv_first", lr), 0.1)
        for i in range(3):
            x = x + conv(f"{trunk}.{i}.conv2", F.relu(conv(f"{trunk}.{i}.conv1", x)))
        for up in ("upconv1", "upconv2")[: scale // 2]:
            x = F.leaky_relu(F.pixel_shuffle(conv(up, x), 2), 0.1)
        x = conv("conv_last", F.leaky_relu(conv(hr, x), 0.1))
        return x + F.interpolate(lr, scale_factor=scale, mode="bilinear", align_corners=False)

    torch.testing.assert_close(image(run, 0), image(network))
    torch.testing.assert_close(image(built(state)), image(network))


class TheirBlock(nn.Module):
    def __init__(self, filters: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(filters, filters, 3, padding=1), nn.BatchNorm2d(filters)
        self.prelu = nn.PReLU()
        self.conv2, self.bn2 = nn.Conv2d(filters, filters, 3, padding=1), nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))
        return out


class TheirSRGAN(nn.Module):
    """The generator of leftthomas/SRGAN, whose convolutions before a norm have a bias."""

    def __init__(self, blocks: int, scale: int, filters: int = 8) -> None:
        super().__init__()
        self.count = blocks + 3
        self.block1 = nn.Sequential(nn.Conv2d(3, filters, 9, padding=4), nn.PReLU())
        for i in range(blocks):
            setattr(self, f"block{i + 2}", TheirBlock(filters))
        norm = nn.BatchNorm2d(filters)
        end = nn.Sequential(nn.Conv2d(filters, filters, 3, padding=1), norm)
        setattr(self, f"block{blocks + 2}", end)
        ups: list[nn.Module] = []
        for _ in range(scale.bit_length() - 1):
            conv = nn.Conv2d(filters, 4 * filters, 3, padding=1)
            up = [("conv", conv), ("shuffle", nn.PixelShuffle(2)), ("prelu", nn.PReLU())]
            ups.append(nn.Sequential(OrderedDict(up)))
        last = nn.Conv2d(filters, 3, 9, padding=4)
        setattr(self, f"block{blocks + 3}", nn.Sequential(*ups, last))

    def forward(self, lr: Tensor) -> Tensor:
        first = x = self.block1(lr)
        for i in range(2, self.count):
            x = getattr(self, f"block{i}")(x)
        out: Tensor = (torch.tanh(getattr(self, f"block{self.count}")(first + x)) + 1) / 2
        return out


@pytest.mark.parametrize(("blocks", "scale"), [(5, 4), (16, 2), (7, 8)])
def test_srgan_with_biases_before_the_norm(blocks: int, scale: int) -> None:
    theirs = trained(TheirSRGAN(blocks, scale))
    found = built(theirs.state_dict())
    assert isinstance(found, SRResNet)
    assert found.scale == scale
    torch.testing.assert_close(image(found), image(theirs, 0))


def test_statistics_without_a_count_of_batches() -> None:
    theirs = trained(TheirSRGAN(5, 4))
    state = {k: x for k, x in theirs.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.testing.assert_close(image(built(state)), image(theirs, 0))


@pytest.mark.parametrize(
    "network",
    [
        SRResNet(2, filters=8, blocks=2, end_kernel=3),
        MSRResNet(4, filters=8, blocks=3),
        RRDBNet(4, filters=8, blocks=1, growth=4),
        CompactNet(4, filters=8, blocks=2),
    ],
    ids=lambda network: type(network).__name__,
)
def test_spandrel_reads_our_files_after_install(network: nn.Module) -> None:
    install()
    install()
    state = dict(sorted(trained(network).state_dict().items()))  # safetensors keeps no order
    model = ModelLoader().load_from_state_dict(state)
    assert model.scale == network.scale
    torch.testing.assert_close(image(model.model, 0), image(network))


def test_other_names_are_of_no_layout() -> None:
    assert from_layout({"layers.0.weight": torch.zeros(1)}) is None
    assert from_layout({}) is None


ESRGAN = to_layout(RRDBNet(4, filters=8, blocks=1, growth=4), "esrgan")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"conv_first.weight": torch.zeros(8, 12, 3, 3)},
            "conv_first.weight takes 12 channels, and the generators here take 3",
        ),
        ({"conv_hr.bias": None}, "has a tensor conv_hr.bias, which the file lacks"),
        ({"conv_first.weight": None}, "conv_first.weight or conv_last.weight is no convolution"),
        (
            {"body.0.rdb1.conv1x1.weight": torch.zeros(1)},
            "has no tensor body.0.rdb1.conv1x1.weight",
        ),
        (
            {"conv_up2.weight": None, "conv_up1.weight": None},
            "it enlarges by 1, the generators here",
        ),
    ],
)
def test_what_does_not_fit_is_named(changes: dict[str, Tensor | None], complaint: str) -> None:
    state = {name: x for name, x in (ESRGAN | changes).items() if x is not None}
    with pytest.raises(ValueError, match=complaint):
        from_layout(state)


def test_a_layout_is_for_one_network() -> None:
    for name in LAYOUTS.keys() - {"srgan"}:
        with pytest.raises(ValueError, match=rf"the layout {name} is for \w+, not for SRResNet"):
            to_layout(SRResNet(filters=8, blocks=1), name)
    with pytest.raises(ValueError, match="x2 and x4 with skip=bilinear"):
        to_layout(MSRResNet(filters=8, blocks=1, skip="nearest"), "msrresnet")
