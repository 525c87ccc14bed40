"""The file of one photograph in the cache, in the format safetensors.

It has the tensors ``hr`` and ``lr``, uint8 (3, scale * height, scale * width) and
(3, height, width). The metadata ``photo`` has the other fields of :class:`Entry` as JSON. The file
of a photo that cannot be used has no tensors.
"""

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from sr_gan.data.photos import Entry, Stamp
from sr_gan.data.sources import Source
from sr_gan.files import atomic_write
from sr_gan.images.decode import BadImage, Pixels, decode
from sr_gan.images.resize import downscale


def fingerprint(source: Source) -> Stamp:
    """Returns the sizes in bytes and the modification times of a photo's files that exist."""
    stamp: list[int] = []
    for path in filter(None, (source.hr, source.lr)):
        with suppress(OSError):
            status = path.stat()
            stamp += [status.st_size, status.st_mtime_ns]
    return tuple(stamp)


def file_name(name: str, stamp: Stamp) -> str:
    """Returns the name of a photo's file, which is another one once the photo has changed."""
    return hashlib.sha1(json.dumps([name, *stamp]).encode()).hexdigest()[:20] + ".safetensors"


def read_pair(source: Source, scale: int, max_megapixels: float) -> tuple[Pixels, Pixels]:
    """Returns HR (3, H, W), cropped at the right and bottom to a multiple of ``scale``, and LR.

    Raises:
        BadImage: one of the files cannot be used, or their sizes do not match.
    """
    hr = decode(source.hr, max_megapixels)
    height, width = (side // scale for side in hr.shape[1:])
    if not height or not width:
        raise BadImage(f"{hr.shape[2]}x{hr.shape[1]} pixels, smaller than the scale {scale}")
    whole = torch.from_numpy(hr)[:, : height * scale, : width * scale].contiguous()
    if source.lr is None:
        return whole.numpy(), downscale(whole[None], scale)[0].numpy()
    try:
        lr = decode(source.lr, max_megapixels)
    except BadImage as error:
        raise BadImage(f"its reduced image {source.lr}: {error}", error.lasting) from error
    # MATLAB rounds the size of a reduction up, so LR may have one more row or column.
    if lr.shape[1] - height not in (0, 1) or lr.shape[2] - width not in (0, 1):
        raise BadImage(
            f"its reduced image {source.lr} has {lr.shape[2]}x{lr.shape[1]} pixels, "
            f"a x{scale} reduction has {width}x{height}"
        )
    return whole.numpy(), torch.from_numpy(lr)[:, :height, :width].contiguous().numpy()


def write(file: Path, fields: dict[str, Any], **images: Pixels) -> None:
    """Writes a file, which is complete when it appears.

    ``fields`` are those of its :class:`Entry`, without ``file`` and ``offset``. ``images`` are
    ``hr`` and ``lr`` in this order, or none.

    Raises:
        OSError: the disk is full, or the folder cannot be written.
    """
    header: dict[str, Any] = {"__metadata__": {"photo": json.dumps(fields)}}
    end = 0
    for name, image in images.items():
        start, end = end, end + image.nbytes
        header[name] = {"dtype": "U8", "shape": image.shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with atomic_write(file, "wb") as output:  # the package safetensors would copy pixels twice
        output.write(len(text).to_bytes(8, "little") + text)
        for image in images.values():
            output.write(image.data)
        output.flush()
        os.fsync(output.fileno())


def read(file: Path, scale: int) -> Entry | None:
    """Returns the entry of a file, or None if it is missing, cut off or has a damaged header."""
    try:
        with file.open("rb", buffering=0) as content:
            length = int.from_bytes(content.read(8), "little")
            header = json.loads(content.read(min(length, 1 << 20)))
            size = os.fstat(content.fileno()).st_size
        fields = json.loads(header["__metadata__"]["photo"])
        entry = Entry(file, 8 + length, **{**fields, "stamp": tuple(fields["stamp"])})
        pixels = 3 * entry.height * entry.width * (scale**2 + 1)
    except (OSError, KeyError, TypeError, ValueError):
        return None
    return entry if size == entry.offset + pixels else None
