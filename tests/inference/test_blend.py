import pytest
import torch
from torch import Tensor, nn

from sr_gan.errors import UserError
from sr_gan.inference.blend import blend
from sr_gan.networks import MSRResNet, SRResNet


def pair(network: type) -> tuple[nn.Module, nn.Module]:
    networks = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        generator = network(filters=4, blocks=1)
        for _ in range(20):  # fills BatchNorm's statistics
            generator.train()(lr())
        networks.append(generator.eval())
    return networks[0], networks[1]


def lr() -> Tensor:
    return torch.rand(4, 3, 8, 8)


@pytest.mark.parametrize("network", [MSRResNet, SRResNet])
def test_ends_are_the_two_generators(network: type) -> None:
    a, b = pair(network)
    image = lr()
    for alpha, expected in ((0.0, a), (1.0, b)):
        assert torch.equal(blend(a, b, alpha, [])(image), expected(image))


def test_weights_lie_between() -> None:
    a, b = pair(MSRResNet)
    mixed = blend(a, b, 0.25, [])
    for own, first, second in zip(mixed.parameters(), a.parameters(), b.parameters()):
        torch.testing.assert_close(own, 0.75 * first + 0.25 * second)


def test_statistics_are_those_of_the_new_weights() -> None:
    """With these statistics, eval mode equals training mode on the same images."""
    a, b = pair(SRResNet)
    image = lr()
    before = {key: value.clone() for key, value in a.state_dict().items()}
    mixed = blend(a, b, 0.5, [image])
    norm = mixed.get_submodule("body.0.layers.1")
    assert isinstance(norm, nn.BatchNorm2d)
    seen: list[Tensor] = []
    norm.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    mixed(image)
    torch.testing.assert_close(norm.running_mean, seen[0].mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, seen[0].var((0, 2, 3)), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[key], value) for key, value in a.state_dict().items())


def test_refuses_what_does_not_fit() -> None:
    a = MSRResNet(filters=4, blocks=1)
    with pytest.raises(UserError, match="different generators"):
        blend(a, SRResNet(filters=4, blocks=1), 0.5, [])
    with pytest.raises(UserError, match="tensors differ"):
        blend(a, MSRResNet(filters=8, blocks=1), 0.5, [])
    with pytest.raises(ValueError, match="alpha must be between 0 and 1, got 2"):
        blend(a, a, 2.0, [])
