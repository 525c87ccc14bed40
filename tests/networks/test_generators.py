import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sr_gan.networks import CompactNet, MSRResNet, RRDBNet, SRResNet
from sr_gan.networks.layers import icnr_


def srresnet_parameters(filters: int, blocks: int, kernel: int, stages: int) -> int:
    """Counts figure 4 of the paper: convolutions, BatchNorm (2 per channel), PReLU (1 each)."""
    head = 3 * filters * kernel**2 + filters + 1
    block = 2 * (filters**2 * 9 + 2 * filters) + 1
    long_skip = filters**2 * 9 + 2 * filters
    stage = filters * 4 * filters * 9 + 4 * filters + 1
    tail = filters * 3 * kernel**2 + 3
    return head + blocks * block + long_skip + stages * stage + tail


@pytest.mark.parametrize(("scale", "stages"), [(2, 1), (4, 2), (8, 3)])
@pytest.mark.parametrize("kernel", [3, 9])
def test_srresnet_has_the_papers_parameters(scale: int, stages: int, kernel: int) -> None:
    generator = SRResNet(scale, end_kernel=kernel)  # type: ignore[arg-type]
    count = sum(p.numel() for p in generator.parameters())
    assert count == srresnet_parameters(64, 16, kernel, stages)


def test_parameter_counts_at_x4() -> None:
    counts = {
        "paper": sum(p.numel() for p in SRResNet().parameters()),
        "student paper": sum(p.numel() for p in SRResNet(end_kernel=3).parameters()),
        "small": sum(p.numel() for p in MSRResNet(filters=32, blocks=6).parameters()),
        "msrresnet": sum(p.numel() for p in MSRResNet().parameters()),
        "rrdb": sum(p.numel() for p in RRDBNet().parameters()),
        "compact": sum(p.numel() for p in CompactNet().parameters()),
        "compact_large": sum(p.numel() for p in CompactNet(blocks=32).parameters()),
    }
    assert counts == {
        "paper": 1_547_350,
        "student paper": 1_519_702,
        "small": 195_971,
        "msrresnet": 1_517_571,
        "rrdb": 16_697_987,  # ESRGAN's
        "compact": 621_424,
        "compact_large": 1_213_296,  # realesr-general-x4v3's
    }


@pytest.mark.parametrize("scale", [2, 4, 8])
@pytest.mark.parametrize("blocks", [16, 32])
def test_compact_has_real_esrgans_parameters(scale: int, blocks: int) -> None:
    """The parameters are convolutions with biases, and one PReLU slope per channel."""
    first = 3 * 64 * 9 + 64 + 64
    hidden = 64 * 64 * 9 + 64 + 64
    last = 64 * 3 * scale**2 * 9 + 3 * scale**2
    generator = CompactNet(scale, blocks=blocks)  # type: ignore[arg-type]
    count = sum(p.numel() for p in generator.parameters())
    assert count == first + blocks * hidden + last


@pytest.mark.parametrize("network", [SRResNet, MSRResNet, RRDBNet, CompactNet])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_enlarges_any_size(network: type, scale: int) -> None:
    generator = network(scale, filters=8, blocks=1)
    sr = generator(torch.rand(2, 3, 7, 11))
    assert sr.shape == (2, 3, 7 * scale, 11 * scale)
    assert generator.scale == scale


def test_srresnet_ends_in_tanh() -> None:
    generator = SRResNet(filters=8, blocks=1)
    torch.nn.init.constant_(generator.get_parameter("tail.0.bias"), 50.0)
    assert torch.equal(generator(torch.rand(1, 3, 4, 4)), torch.ones(1, 3, 16, 16))


def test_msrresnet_starts_close_to_bilinear() -> None:
    lr = torch.rand(1, 3, 12, 12)
    bilinear = torch.nn.functional.interpolate(lr, scale_factor=4.0, mode="bilinear") * 2 - 1
    assert (MSRResNet(filters=16, blocks=2)(lr) - bilinear).abs().max() < 0.05


def test_msrresnet_with_the_nearest_skip_starts_close_to_it() -> None:
    lr = torch.rand(1, 3, 12, 12)
    nearest = lr.repeat_interleave(4, 2).repeat_interleave(4, 3) * 2 - 1
    assert (MSRResNet(filters=16, blocks=2, skip="nearest")(lr) - nearest).abs().max() < 0.05


def test_compact_starts_close_to_nearest() -> None:
    torch.manual_seed(0)
    lr = torch.rand(1, 3, 12, 12)
    nearest = lr.repeat_interleave(4, 2).repeat_interleave(4, 3) * 2 - 1
    generator = CompactNet()
    sr = generator(lr)
    assert (sr - nearest).abs().mean() < 0.1  # 0.6 without the small last weights
    sr.square().mean().backward()
    first = generator.get_parameter("body.0.weight").grad
    assert first is not None
    assert first.abs().max() > 1e-4  # the whole stack learns from the first update


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_compact_is_real_esrgans(scale: int) -> None:
    """Computes the output layer by layer, by the names and shapes that other programs expect."""
    generator = CompactNet(scale, filters=8, blocks=3)  # type: ignore[arg-type]
    state = generator.state_dict()
    convolutions, slopes = range(0, 9, 2), range(1, 9, 2)
    assert set(state) == (
        {f"body.{i}.{kind}" for i in convolutions for kind in ("weight", "bias")}
        | {f"body.{i}.weight" for i in slopes}
    )
    for i in slopes:
        state[f"body.{i}.weight"].uniform_(-0.5, 0.5)  # not all the same
    lr = torch.rand(1, 3, 6, 7)
    x = lr
    for i in range(9):
        weight = state[f"body.{i}.weight"]
        if i % 2:
            x = x.clamp(min=0) + weight[:, None, None] * x.clamp(max=0)
        else:
            x = F.conv2d(x, weight, state[f"body.{i}.bias"], padding=1)
    blocks = x.view(1, 3, scale, scale, 6, 7).permute(0, 1, 4, 2, 5, 3)
    sr = blocks.reshape(1, 3, 6 * scale, 7 * scale)
    sr += lr.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    torch.testing.assert_close(generator(lr), 2 * sr - 1)  # theirs is in [0, 1]


@pytest.mark.parametrize("network", [SRResNet, MSRResNet])
def test_icnr_starts_without_a_checkerboard(network: type) -> None:
    """Before the first activation the shuffled map is a nearest-neighbour enlargement."""
    for icnr in (True, False):
        torch.manual_seed(0)
        stage = network(filters=8, blocks=1, icnr=icnr).upsample[:2]
        enlarged = stage(torch.rand(1, 8, 6, 6))
        blocks = enlarged.unfold(2, 2, 2).unfold(3, 2, 2)
        spread = (blocks - blocks.mean((-1, -2), keepdim=True)).abs().max()
        assert (spread < 1e-6) == icnr


def test_icnr_copies_the_first_filter_of_each_group() -> None:
    weight = torch.rand(8, 2, 3, 3)
    first = weight[0].clone(), weight[4].clone()
    icnr_(weight, 2)
    assert all(torch.equal(weight[i], first[i // 4]) for i in range(8))


@pytest.mark.parametrize("network", [SRResNet, MSRResNet, RRDBNet, CompactNet])
def test_the_last_convolution_stays_in_fp32_under_autocast(network: type[nn.Module]) -> None:
    """In bfloat16 every value near 1 is a multiple of 1/256, half a grey level."""
    torch.manual_seed(0)
    generator = network(filters=8, blocks=1).eval()
    last = [layer for layer in generator.modules() if isinstance(layer, nn.Conv2d)][-1]
    seen: list[torch.Tensor] = []
    last.register_forward_hook(lambda module, inputs, output: seen.extend([*inputs, output]))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        sr = generator(torch.rand(1, 3, 8, 8))
    features, output = seen
    assert features.dtype == torch.bfloat16  # the layers before it compute in bfloat16
    assert sr.dtype == output.dtype == torch.float32
    assert isinstance(last.padding, tuple)
    exact = F.conv2d(features.float(), last.weight, last.bias, padding=last.padding)
    assert torch.equal(output, exact)
    assert not torch.equal(sr, sr.bfloat16().float())
