"""Looks for photographs and for the weights of other networks, which are absent at first."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from omegaconf import DictConfig

from sr_gan.doctor.page import Line
from sr_gan.errors import UserError
from sr_gan.files import default_cache_dir, readable


def check_photos(cfg: DictConfig) -> Iterator[Line]:
    """The bundled photographs, DIV2K and the cache; ``cfg`` is a training run's with DIV2K."""
    from sr_gan.data.div2k import PHOTOS, div2k_photos
    from sr_gan.images.bundled import bundled_pixels

    yield Line("photos", f"{len(bundled_pixels())} are bundled with scikit-image")
    for split, count in PHOTOS.items():
        try:
            found = len(div2k_photos(Path(cfg.data.root), split, cfg.scale).sources)
        except UserError as error:
            yield Line("DIV2K", str(error), verdict="note")
            break
        text = f"{found} of {count} photos in {cfg.data.root}, {split}"
        advice = "python -m sr_gan.prepare data=div2k"
        yield Line("DIV2K", text, advice, "note" if found < count else "ok")
    files = list(default_cache_dir().glob("*/*.safetensors"))
    size = readable(sum(file.stat().st_size for file in files))
    yield Line("decoded", f"{len(files):,} photos in the cache, {size}")


def check_weights(lpips: str | None) -> Iterator[Line]:
    """The weights of VGG19 for the content loss, and of AlexNet for LPIPS.

    ``lpips`` is a file of AlexNet's weights; None for torch's cache.
    """
    from sr_gan.networks.features import cached_vgg19, fetch_by_hand
    from sr_gan.networks.lpips import cached_backbone, no_backbone

    vgg, alexnet = cached_vgg19(), cached_backbone("alex")
    if vgg.is_file():
        yield _intact("VGG19", vgg)
    else:
        text = "not in torch's cache: the first run that needs it downloads 548 MB"
        yield Line("VGG19", text, f"or {fetch_by_hand()}", "note")
    if lpips is None and alexnet.is_file():
        yield _intact("AlexNet", alexnet)
    elif lpips is None:
        yield Line("AlexNet", no_backbone("alex", alexnet), "", "note")


def _intact(subject: str, file: Path) -> Line:
    """Compares a file with the hash in its name, as torchvision's are named."""
    digest = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(1 << 24):
            digest.update(part)
    found = digest.hexdigest()
    if found.startswith(file.stem.rpartition("-")[2]):
        return Line(subject, f"{file} is intact")
    return Line(subject, f"{file} is damaged: its hash is {found[:8]}", "delete it", "FAIL")
