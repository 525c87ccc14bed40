"""The bundled models: their weights are beside this file.

This room may import only the ground floor; ``__main__``, a command, may import every room.
"""

PURPOSES = {
    "gan": "for clean downscaled photographs: sharp, but invents texture",
    "psnr": "for clean downscaled photographs: closest to the original on average, but smooth",
}
