"""SRGAN single-image super-resolution: train, measure and use it (PyTorch Lightning + Hydra)."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sr_gan.inference.upscaler import Upscaler as Upscaler

__version__ = "0.2.0"
__all__ = ["Upscaler", "__version__"]


def __getattr__(name: str) -> Any:
    """``sr_gan.Upscaler``, imported when it is asked for: PyTorch takes seconds."""
    if name == "Upscaler":
        from sr_gan.inference.upscaler import Upscaler

        return Upscaler
    raise AttributeError(f"module {__name__} has no attribute {name}")
