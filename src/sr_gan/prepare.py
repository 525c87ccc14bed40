"""``python -m sr_gan.prepare``: gets a photo collection and decodes it once, before training."""

import logging
from time import perf_counter

from omegaconf import DictConfig

from sr_gan.cli import command
from sr_gan.files import readable
from sr_gan.settings.build import build
from sr_gan.settings.check import check
from sr_gan.settings.schema import PrepareConfig
from sr_gan.tables import counted

log = logging.getLogger(__name__)


def prepare(cfg: DictConfig) -> None:
    """Downloads what is to be downloaded, then builds, or checks, the cache of each collection.

    Raises:
        UserError: a setting, a file, the server or the disk is not usable; the message says which.
    """
    check(cfg, PrepareConfig)
    from sr_gan.data.usable import usable  # imports NumPy and, with its room, PyTorch

    data = build(cfg.data)
    data.obtain()
    for cache, files in data.caches():
        began = perf_counter()
        found, problems = cache.open(files, verify=True)
        photos = usable(found, problems, files, least=1, on_bad=data.on_bad)
        log.info(
            "%s: %s, %.1f megapixels, %s in %s, ready after %.1f s",
            files.root,
            counted(len(photos), "photo"),
            photos.pixels / 1e6,
            readable(photos.nbytes),
            cache.folder,
            perf_counter() - began,
        )


if __name__ == "__main__":
    command(prepare, "prepare")
