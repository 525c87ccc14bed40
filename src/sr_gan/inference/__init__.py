"""Enlarges images and image files of any size: loads models, runs them on tiles, refines results.

This room may import ``images``, ``settings``, ``models``, ``networks``, ``runs``, ``metrics`` and
the ground floor.
"""

from sr_gan.inference.upscaler import Upscaler
from sr_gan.settings.options import Options, Size

__all__ = ["Options", "Size", "Upscaler"]
