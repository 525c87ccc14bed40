"""Turns photographs into batches of low- and high-resolution crops."""

from sr_gan.data.datasets import Div2kData, FolderData, SkimageData

__all__ = ["Div2kData", "FolderData", "SkimageData"]
