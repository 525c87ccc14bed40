import pytest
import torch
from torch import Tensor, nn

from sr_gan.inference.prepare import prepare
from sr_gan.networks import CompactNet, MSRResNet, SRResNet
from sr_gan.networks.split import split


def trained(network: nn.Module) -> nn.Module:
    """Gives every BatchNorm averages and weights that differ from the initial ones."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean is not None
            assert layer.running_var is not None
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
            nn.init.normal_(layer.weight, 1, 0.2)
            nn.init.normal_(layer.bias, 0, 0.1)
    return network.eval()


@pytest.mark.parametrize("network", [SRResNet(filters=16, blocks=3), MSRResNet(2, 16, 2)])
def test_folding_keeps_the_result(network: nn.Module) -> None:
    network = trained(network)
    lr = torch.rand(1, 3, 19, 23)
    folded = prepare(network)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    torch.testing.assert_close(folded(lr), network(lr), atol=1e-6, rtol=0)
    before = sum(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    assert before == (7 if isinstance(network, SRResNet) else 0)  # the original is unchanged


def reach(lr: Tensor, output: Tensor) -> int:
    """Returns how far the centre of an output sees, by its gradient at the input."""
    centre = output.shape[-1] // 2
    output[..., centre : centre + 1, centre : centre + 1].sum().backward()
    assert lr.grad is not None
    columns = lr.grad.abs().sum((0, 1, 2)).nonzero()
    middle = lr.shape[-1] // 2
    return int(max(middle - columns.min(), columns.max() - middle))


@pytest.mark.parametrize(
    "network",
    [
        SRResNet(filters=8, blocks=2),
        SRResNet(filters=8, blocks=3, end_kernel=3),
        MSRResNet(filters=8, blocks=2),
        CompactNet(filters=8, blocks=3),
        SRResNet(2, 8, 1),
        SRResNet(8, 8, 1),
    ],
)
def test_the_halo_is_what_the_gradient_sees(network: nn.Module) -> None:
    network = prepare(network).double()
    lr = torch.rand(1, 3, 61, 61, dtype=torch.float64, requires_grad=True)
    seen = reach(lr, network(lr))
    trunk, reconstruction = split(network.float())
    assert seen <= trunk.halo + reconstruction.halo <= seen + 1
