"""Teaches spandrel to load this project's files, in programs such as ComfyUI and chaiNNer.

``install()`` in a custom node makes ``spandrel.ModelLoader`` recognise the ``.safetensors`` files
that a run writes. The programs show a loader the tensors alone, so MSRResNet must have the bilinear
skip, which is its default. CompactNet needs nothing: spandrel knows it already.
"""

from spandrel import MAIN_REGISTRY, Architecture, ArchSupport, ImageModelDescriptor, StateDict
from torch import Tensor, nn

from sr_gan import networks
from sr_gan.networks.layouts import OWN, from_layout


class SrGan(Architecture[nn.Module]):
    """The networks of sr_gan, recognised by the names of their tensors."""

    def __init__(self) -> None:
        super().__init__(id="sr_gan", detect=_is_own)

    def load(self, state_dict: StateDict) -> ImageModelDescriptor[nn.Module]:
        """Builds the network of a state dict; its images are in [0, 1].

        Raises:
            ValueError: a tensor is missing, unknown or of another shape.
        """
        translated = from_layout(state_dict, OWN)
        if translated is None:
            raise ValueError("the names of the tensors are of no network of sr_gan")
        config, state = translated
        kind = config.pop("_target_").rpartition(".")[2]
        network: nn.Module = getattr(networks, kind)(**config).eval()
        network.register_forward_hook(_to_unit_range)
        return ImageModelDescriptor(
            network,
            state,
            architecture=self,
            purpose="SR",
            tags=[kind, f"{config['filters']}nf", f"{config['blocks']}nb"],
            supports_half=True,
            supports_bfloat16=True,
            scale=config["scale"],
            input_channels=3,
            output_channels=3,
        )


def install() -> None:
    """Adds the networks to those that spandrel recognises, once."""
    support = ArchSupport.from_architecture(SrGan())
    MAIN_REGISTRY.add(support, ignore_duplicates=True)


def _is_own(state: StateDict) -> bool:
    try:
        return from_layout(state, OWN) is not None
    except ValueError:
        return False


def _to_unit_range(network: nn.Module, arguments: object, sr: Tensor) -> Tensor:
    return (sr + 1) / 2
