"""Any-size enlargement: models, tiles, what is done to the result, and image files."""

from sr_gan.inference.upscaler import Upscaler
from sr_gan.settings.options import Options, Size

__all__ = ["Options", "Size", "Upscaler"]
