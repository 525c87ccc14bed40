import io

import numpy as np
import pytest
from PIL import Image
from skimage import data

from sr_gan.images.jpeg_writer import STRIP, write_jpeg


@pytest.mark.parametrize("height", [1, 7, 8, 64, 65, 128, 200])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_strips_read_as_what_pillow_writes_in_one_go(height: int, channels: int) -> None:
    image = data.chelsea()[:height, :177, :channels]
    file, theirs = io.BytesIO(), io.BytesIO()
    strips = (image[top : top + STRIP] for top in range(0, height, STRIP))
    write_jpeg(file, height, strips, quality=90, subsampling=0)
    whole = Image.fromarray(image[..., 0] if channels == 1 else image)
    whole.save(theirs, "JPEG", quality=90, subsampling=0)
    ours = Image.open(file)
    assert ours.size == (177, height)
    np.testing.assert_array_equal(np.asarray(ours), np.asarray(Image.open(theirs)))
    assert len(file.getvalue()) < 1.1 * len(theirs.getvalue()) + 100
