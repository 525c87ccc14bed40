"""Any-size enlargement: models, tiles, what is done to the result, and image files."""

from sr_gan.inference.sizes import Size
from sr_gan.inference.upscaler import Options, Upscaler

__all__ = ["Options", "Size", "Upscaler"]
