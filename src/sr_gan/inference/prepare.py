"""Prepares a generator for inference by folding BatchNorm into the convolutions."""

from copy import deepcopy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval


def prepare(generator: nn.Module) -> nn.Module:
    """Returns a copy in eval mode and channels-last; BatchNorm is folded into the layer before it.

    Its results are those of the original within the rounding of float32.
    """
    network = deepcopy(generator).eval().requires_grad_(False)
    for layers in list(network.modules()):
        if not isinstance(layers, nn.Sequential):
            continue
        for i in range(1, len(layers)):
            convolution, norm = layers[i - 1], layers[i]
            if type(convolution) is nn.Conv2d and type(norm) is nn.BatchNorm2d:  # nothing derived
                layers[i - 1] = fuse_conv_bn_eval(convolution, norm)
                layers[i] = nn.Identity()  # the other layers keep their numbers
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
