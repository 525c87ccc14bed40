"""From photographs to batches of low- and high-resolution crops."""

from sr_gan.data.photo_sets import Div2kData, FolderData, SkimageData

__all__ = ["Div2kData", "FolderData", "SkimageData"]
