"""The bundled models: their weights are beside this file."""

from pathlib import Path

FOLDER = Path(__file__).parent  # of NAME.safetensors and the model cards
DEFAULT = "photo"  # the model that is used if none is named

PURPOSES = {
    "compact": "for clean downscaled photographs: four times as fast as psnr, nearly as close",
    "gan": "for clean downscaled photographs: sharp, but invents texture",
    "photo": "for photographs as people have them: removes noise and JPEG blocks",
    "psnr": "for clean downscaled photographs: closest to the original on average, but smooth",
}


def bundled_models() -> dict[str, Path]:
    """Returns the files of the bundled models by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.safetensors"))}
