"""Small generators of every kind, whose weights are far from those of the start."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from sr_gan.inference.pretrained import Pretrained
from sr_gan.networks import CompactNet, MSRResNet, RRDBNet, SRResNet

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "srresnet": lambda: SRResNet(4, 8, 2),
    "msrresnet": lambda: MSRResNet(4, 8, 2),
    "nearest": lambda: MSRResNet(2, 8, 2, "nearest"),
    "compact": lambda: CompactNet(8, 8, 2),
    "rrdb": lambda: RRDBNet(4, 8, 1),
    "rrdb_growth_4": lambda: RRDBNet(4, 8, 1, 4),
    "rrdb_x2": lambda: RRDBNet(2, 8, 1),
    "rrdb_x8": lambda: RRDBNet(8, 8, 1),
}
Trained = Callable[[str], Pretrained]


@pytest.fixture
def trained() -> Trained:
    """Builds one of NETWORKS as if it had been trained."""

    def build(name: str) -> Pretrained:
        torch.manual_seed(1)
        return Pretrained(name, far_from_start(NETWORKS[name]()))

    return build


@torch.no_grad()
def far_from_start(generator: nn.Module) -> nn.Module:
    for layer in generator.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean = 0.3 * torch.randn(layer.num_features)
            layer.running_var = 0.5 + torch.rand(layer.num_features)
        elif isinstance(layer, nn.PReLU):
            layer.weight.add_(0.2 * torch.rand_like(layer.weight))
        elif isinstance(layer, nn.Conv2d):
            fan = layer.weight[0].numel()
            layer.weight.copy_(torch.randn_like(layer.weight) / fan**0.5)
    return generator.eval()
