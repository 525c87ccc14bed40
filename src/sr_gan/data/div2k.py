"""The archives and folders of the data set DIV2K (Agustsson and Timofte 2017)."""

import logging
from pathlib import Path

from sr_gan.data.download.archive import Archive
from sr_gan.data.sources import Collection, folder_photos
from sr_gan.errors import UserError

log = logging.getLogger(__name__)

URL = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"
PHOTOS = {"train": 800, "valid": 100}
ARCHIVES = (
    Archive(
        "DIV2K_train_HR.zip",
        folder="DIV2K_train_HR",
        count=800,
        size=3_530_603_713,
        sha256="9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    ),
    Archive(
        "DIV2K_valid_HR.zip",
        folder="DIV2K_valid_HR",
        count=100,
        size=448_993_893,
        sha256="20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    ),
)


def div2k_photos(root: Path, split: str, scale: int) -> Collection:
    """Lists the photos of one split of DIV2K, ``train`` or ``valid``, below the folder ``root``.

    DIV2K's own LR images are used where their folder, such as ``DIV2K_train_LR_bicubic/X4``, lies
    there. Otherwise the LR images are computed, which gives the same pixels.

    Raises:
        UserError: the folder of the split is not below ``root``.
    """
    folder = root / f"DIV2K_{split}_HR"
    if not folder.is_dir():
        raise UserError(
            f"DIV2K is not in {root}: expected the folder {folder}. Get it with python -m "
            "sr_gan.prepare data=div2k, or name another place with data.root=FOLDER (other "
            "photos: data=folder data.train_dir=FOLDER)"
        )
    lr_folder = root / f"DIV2K_{split}_LR_bicubic" / f"X{scale}"
    photos = folder_photos(folder, lr_folder if lr_folder.is_dir() else None, scale)
    if len(photos.sources) < PHOTOS[split]:
        log.warning("%s holds %d of DIV2K's %d photos", folder, len(photos.sources), PHOTOS[split])
    return photos
