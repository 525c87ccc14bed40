import io

import numpy as np
import pytest
import tifffile
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from sr_gan.images import tiff_writer as tiff
from tests.conftest import random_photo

ARTIST, MAKE, EXIF, GPS = 0x013B, 0x010F, 0x8769, 0x8825
EXPOSURE, LENS, LATITUDE = 0x829A, 0xA434, 0x0002


@pytest.fixture
def block() -> bytes:
    exif = Image.Exif()
    exif[ARTIST], exif[MAKE] = "Zoe", "Camera"
    exif.get_ifd(EXIF).update({EXPOSURE: IFDRational(1, 250), LENS: "a lens of 50 mm"})
    exif.get_ifd(GPS)[LATITUDE] = (47.0, 22.0, 30.5)
    return exif.tobytes()


def test_exif_with_its_directories(block: bytes) -> None:
    image = random_photo(130, 33)
    file = io.BytesIO()
    strips = (image[top : top + tiff.STRIP] for top in range(0, 130, tiff.STRIP))
    tiff.write_tiff(file, (130, 33, 3), 8, strips, exif=block)
    read = Image.open(file)
    np.testing.assert_array_equal(np.asarray(read), image)
    exif = read.getexif()
    assert (exif[ARTIST], exif[MAKE]) == ("Zoe", "Camera")
    inner = exif.get_ifd(EXIF)
    assert inner[LENS] == "a lens of 50 mm"
    assert float(inner[EXPOSURE]) == 1 / 250
    assert [float(part) for part in exif.get_ifd(GPS)[LATITUDE]] == [47.0, 22.0, 30.5]
    file.seek(0)
    theirs = tifffile.TiffFile(file).pages.first.tags  # a second reader
    assert theirs[EXIF].value["LensModel"] == "a lens of 50 mm"


def test_of_a_large_file_the_texts_are_kept(block: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiff, "_LARGE", 1000)
    image = random_photo(20, 33)
    file = io.BytesIO()
    tiff.write_tiff(file, (20, 33, 3), 8, [image], exif=block)
    file.seek(0)
    with tifffile.TiffFile(file) as read:
        assert read.is_bigtiff
        assert read.pages.first.tags[MAKE].value == "Camera"
        assert EXIF not in read.pages.first.tags
        np.testing.assert_array_equal(read.asarray(), image)
