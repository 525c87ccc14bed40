"""The network behind DISTS."""

from collections.abc import Iterator
from importlib import resources

import torch
from torch import Tensor, nn
from torchmetrics.functional.image.dists import L2pooling
from torchmetrics.functional.image.lpips import Vgg16

from sr_gan.networks.lpips import load_backbone

_CHANNELS = [3, 64, 128, 256, 512, 512]
_STRIDES = (1, 2, 4, 8, 16)


class DISTSNetwork(nn.Module):
    """The features and weights of DISTS, frozen: VGG16 whose pooling is a blurred L2 norm.

    Args:
        weights: the weights of VGG16, as :class:`sr_gan.networks.LPIPSNetwork` takes them.

    Raises:
        UserError: the weights are missing or belong to another network.

    Source: Ding et al. 2020, *Image quality assessment: unifying structure and texture similarity*;
    the weights of the similarities are those in torchmetrics.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, weights: str | None = None) -> None:
        super().__init__()
        self.net = Vgg16(pretrained=False)
        self.stages = [getattr(self.net, f"slice{i}") for i in range(1, 6)]
        for stage, channels in zip(self.stages[1:], _CHANNELS[1:]):
            stage[0] = L2pooling(channels=channels)
        load_backbone(self.net, "vgg", weights)
        file = resources.files("torchmetrics.functional.image") / "dists_models" / "weights.pt"
        with resources.as_file(file) as path:
            state = torch.load(path, map_location="cpu", weights_only=True)
        alpha, beta = (state[name].double().flatten() for name in ("alpha", "beta"))
        # (2, C) of every stage: for the similarity of the means, and of the structures
        self.weights = torch.split(torch.stack([alpha, beta]) / (alpha + beta).sum(), _CHANNELS, 1)
        self.register_buffer("mean", torch.tensor((0.485, 0.456, 0.406)).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor((0.229, 0.224, 0.225)).view(1, 3, 1, 1))
        self.requires_grad_(False).eval()

    def maps(self, a: Tensor, b: Tensor) -> Iterator[tuple[int, list[Tensor]]]:
        """Yields the stride and the features (B, C, h, w) of both images after every stage.

        The first features are the images in [0, 1]. Images are (B, 3, H, W) in [-1, 1].
        """
        a, b = (a + 1) / 2, (b + 1) / 2
        yield 1, [a, b]
        a, b = ((x - self.mean) / self.std for x in (a, b))
        for stage, stride in zip(self.stages, _STRIDES):
            a, b = stage(a), stage(b)
            yield stride, [a, b]
