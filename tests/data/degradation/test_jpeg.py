import io

import numpy as np
import pytest
import torch
from PIL import Image

from sr_gan.data.degradation.jpeg import jpeg
from tests.data.test_degradation import grey_levels, photo


def pillow(image: np.ndarray, quality: int, subsampling: str) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return np.array(Image.open(file))


def saved(image: np.ndarray, qualities: list[int], chroma_subsampling: bool) -> np.ndarray:
    """The same image under each quality: (len(qualities), H, W, 3)."""
    batch = torch.from_numpy(image).permute(2, 0, 1).float().expand(len(qualities), -1, -1, -1)
    result = jpeg(batch, torch.tensor(qualities), chroma_subsampling)
    return result.permute(0, 2, 3, 1).numpy()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.mark.parametrize("name", ["chelsea", "coffee", "astronaut"])
@pytest.mark.parametrize(("subsampling", "most"), [("4:4:4", 0.2), ("4:2:0", 0.25)])
@pytest.mark.parametrize("size", [(128, 192), (61, 83), (62, 84)])
def test_jpeg_is_pillows(name: str, subsampling: str, most: float, size: tuple[int, int]) -> None:
    image = grey_levels(photo(name, *size))
    qualities = [10, 30, 50, 75, 90]
    results = saved(image, qualities, chroma_subsampling=subsampling == "4:2:0")
    for quality, result in zip(qualities, results):
        reference = pillow(image, quality, subsampling)
        assert distance(result, reference) < most, quality  # grey levels
        assert distance(result, reference) < 0.1 * distance(image, reference), quality


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_jpeg_of_the_extremes_is_pillows(subsampling: str) -> None:
    image = np.zeros((5, 7, 3), np.uint8)  # smaller than a block
    image[::2] = (255, 0, 255)
    results = saved(image, [1, 49, 100], subsampling == "4:2:0")
    for quality, result in zip([1, 49, 100], results):
        assert distance(result, pillow(image, quality, subsampling)) < 1, quality
