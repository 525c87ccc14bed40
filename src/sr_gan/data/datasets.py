"""The photo collections to choose from: a folder, DIV2K, and scikit-image's bundled photos."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from sr_gan.arguments import PhotoFolder, checked
from sr_gan.data.datamodule import SRData
from sr_gan.data.div2k import ARCHIVES, URL, div2k_photos
from sr_gan.data.download.http import obtain
from sr_gan.data.photos import Photos
from sr_gan.data.sources import Collection, Source, folder_photos, hold_out
from sr_gan.files import user_path
from sr_gan.images.bundled import PHOTOS, bundled


class FolderData(SRData):
    """Any folder of photos, nested or not; DIV2K's own layout is recognised.

    Args:
        train_dir: the folder of photos, or one that holds ``DIV2K_train_HR`` and its companions.
        valid_dir: photos to validate on; ``None`` holds out every n-th photo of ``train_dir``.
        valid_fraction: the share that is held out if there is no ``valid_dir``.
        train_lr_dir: reduced photos with the same names; ``None`` computes them.
        valid_lr_dir: the reduced photos of ``valid_dir``.
        settings: the arguments of :class:`SRData`.
    """

    @checked
    def __init__(
        self,
        train_dir: PhotoFolder,
        valid_dir: PhotoFolder | None = None,
        valid_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1,
        train_lr_dir: PhotoFolder | None = None,
        valid_lr_dir: PhotoFolder | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(**settings)
        if valid_lr_dir is not None and valid_dir is None:
            raise ValueError("valid_lr_dir is set, but valid_dir is not: set both or neither")
        self.train_dir, self.valid_dir = user_path(train_dir), _folder(valid_dir)
        self.train_lr_dir, self.valid_lr_dir = _folder(train_lr_dir), _folder(valid_lr_dir)
        self.valid_fraction = valid_fraction

    def collections(self) -> tuple[Collection, Collection | None]:
        if (self.train_dir / "DIV2K_train_HR").is_dir():
            train = div2k_photos(self.train_dir, "train", self.scale)
        else:
            train = folder_photos(self.train_dir, self.train_lr_dir, self.scale)
        if self.valid_dir is not None:
            return train, folder_photos(self.valid_dir, self.valid_lr_dir, self.scale, "valid")
        if (self.train_dir / "DIV2K_valid_HR").is_dir():
            return train, div2k_photos(self.train_dir, "valid", self.scale)
        return train, None

    def split(self, photos: Photos) -> tuple[Photos, Photos]:
        held = hold_out(len(photos), self.valid_fraction)
        kept = [i for i in range(len(photos)) if i not in set(held)]
        return photos.pick(kept), photos.pick(held)


class Div2kData(SRData):
    """DIV2K: 800 photos to train on, 100 to validate on (Agustsson and Timofte 2017).

    Args:
        root: the folder that holds ``DIV2K_train_HR`` and ``DIV2K_valid_HR``.
        url: the http, https or file URL of the folder from which :meth:`obtain` takes the archives.
        settings: the arguments of :class:`SRData`.
    """

    def __init__(self, root: str, url: str = URL, **settings: Any) -> None:
        super().__init__(**settings)
        self.root, self.url = user_path(root), url

    def obtain(self) -> None:
        """Downloads and unpacks the photos that are not below ``root`` yet.

        Raises:
            UserError: the download or the unpacking failed for a reason that
                ``sr_gan.data.download.http.obtain`` describes.
        """
        obtain(ARCHIVES, self.root, self.url)

    def collections(self) -> tuple[Collection, Collection | None]:
        train = div2k_photos(self.root, "train", self.scale)
        return train, div2k_photos(self.root, "valid", self.scale)


class SkimageData(SRData):
    """The colour photos bundled with scikit-image, which need no download.

    Args:
        train: file names to train on.
        valid: file names to validate on.
        settings: the arguments of :class:`SRData`.
    """

    def __init__(self, train: list[str], valid: list[str], **settings: Any) -> None:
        super().__init__(**settings)
        self.train, self.valid = train, valid

    def collections(self) -> tuple[Collection, Collection | None]:
        folder = bundled(PHOTOS[0]).parent
        train, valid = (
            Collection(folder, [Source(bundled(name)) for name in names])
            for names in (self.train, self.valid)
        )
        return train, valid


def _folder(path: str | None) -> Path | None:
    return None if path is None else user_path(path)
