"""Enlarges images of any size on tiles, in their own colour mode and bit depth."""

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from sr_gan.devices import out_of_memory
from sr_gan.errors import UserError
from sr_gan.images.pixels import (
    Pixels,
    alpha_varies,
    as_array,
    check_pixels,
    check_tensor,
    colour_channels,
    plain_mode,
    to_pixels,
    to_tensor,
)
from sr_gan.inference import refine, transparency
from sr_gan.inference.int8 import quantised
from sr_gan.inference.openvino import convert, run_by_openvino
from sr_gan.inference.prepare import prepare
from sr_gan.inference.pretrained import Pretrained, load_pretrained
from sr_gan.inference.sizes import reduced
from sr_gan.machine import cpu_computes_bf16
from sr_gan.networks import tiles
from sr_gan.networks.split import Part, enlarge, split
from sr_gan.runs import hub
from sr_gan.settings.options import Options, Size

log = logging.getLogger(__name__)

T = TypeVar("T", Image.Image, NDArray[Any], Tensor)

_KEPT = ("icc_profile", "exif", "xmp", "dpi")  # of what a PIL image says
_TYPES = {"fp16": torch.float16, "bf16": torch.bfloat16}


class Upscaler:
    """Enlarges images with a generator.

    ::

        upscaler = Upscaler.from_pretrained("runs/quickstart")
        large = upscaler(Image.open("small.png"))
        wide = upscaler(Image.open("small.png"), Size(width=1920))

    Args:
        model: the generator, see :func:`load_pretrained`.
        options: how to enlarge.

    Raises:
        UserError: the device does not exist, or the backend cannot run the generator.
    """

    def __init__(self, model: Pretrained, options: Options | None = None) -> None:
        self.model = model
        self.options = options or Options()
        self.device = _device(self.options)
        self.scale = model.scale
        network = prepare(model.generator).to(self.device)
        self.trunk, self.reconstruction = _parts(network, self.scale, self.options)
        self.halo = self.trunk.halo + self.reconstruction.halo + self._halo_of_refinement()
        self.tile = self.options.tile
        self.dtype = self._type(8)

    @classmethod
    def from_pretrained(
        cls,
        model: str | None = None,
        scale: int = 4,
        allow: str | Sequence[str] = (),
        revision: str | None = None,
        **options: Any,
    ) -> "Upscaler":
        """Loads a run, a weights file, a shipped model, one of the Hub, or an interpolation.

        Args:
            model: see :func:`load_pretrained`.
            scale: the scale factor of ``bicubic`` and ``lanczos``; a generator has its own.
            allow: packages of your own whose networks a model's file may be built from.
            revision: the branch, tag or commit of a model of the Hub (``hf://OWNER/NAME``).
            options: the fields of :class:`Options`.

        Raises:
            UserError: there is no such model or device.
            ValueError: an option is not allowed.
        """
        name = str(model) if model else None
        if revision is not None:
            name = hub.at_revision(str(name), revision)
        loaded = load_pretrained(name, scale, allow=allow)
        return cls(loaded, Options(**options))

    def __call__(self, image: T, size: Size | None = None) -> T:
        """Returns the enlarged image in the type, mode, bit depth and range of ``image``.

        Args:
            image: a PIL image; a NumPy array (H, W) or (H, W, C) of uint8, uint16, or float in
                [0, 1]; or a tensor (C, H, W) or (B, C, H, W), likewise. C is 1 (grey), 2 (grey
                and alpha), 3 (RGB) or 4 (RGB and alpha). Floats from -0.25 to 1.25, which a resize
                can leave behind, are clamped.
            size: the size of the result; the default is what the network makes.

        Raises:
            TypeError: ``image`` is no image, its numbers are of another type, or ``size`` is no
                :class:`Size`.
            ValueError: the shape, the number of channels or a float is none of these, or the
                result would be larger than what the network makes.
        """
        if not isinstance(size, Size | None):
            raise TypeError(f"size must be a Size, such as Size(width=1920), got {size!r}")
        size = size or Size()
        if isinstance(image, Image.Image):
            return self._pil(image, size)
        if isinstance(image, Tensor):
            return self._tensor(image, size)
        array = as_array(image)
        flat = array.ndim == 2
        large = self._array(array[..., None] if flat else array, size)
        return large[..., 0] if flat else large

    def bands(
        self,
        pixels: Pixels,
        progress: Callable[[int], None] = lambda pixels: None,
        size: Size | None = None,
    ) -> Iterator[Pixels]:
        """Returns the enlarged image from top to bottom, in bands (n, width, C) of the same type.

        Only a few bands are held at a time, so that an image of any size can be written as it
        comes. If memory runs out, the tile is halved and the band is made again.

        Args:
            pixels: (H, W, C) as in :meth:`__call__`.
            progress: called after each tile with the number of pixels that the network made.
            size: the size of the result, as in :meth:`__call__`.

        Raises:
            TypeError, ValueError: an argument is not allowed, as in :meth:`__call__`.
            UserError: not even the smallest tile fits into memory.
        """
        check_pixels(pixels)
        bands, whole = self._bands(pixels, progress), Size().of(pixels.shape, self.scale)
        result = size.of(pixels.shape, self.scale) if size else whole
        return bands if result == whole else reduced(bands, whole, result)

    def _bands(self, pixels: Pixels, progress: Callable[[int], None]) -> Iterator[Pixels]:
        """Does what :meth:`bands` does, at the network's scale factor."""
        dtype = self._type(8 * pixels.dtype.itemsize)
        if dtype != self.dtype:  # a tile of this type takes another amount of memory
            self.dtype, self.tile = dtype, self.options.tile
        # A band is a row of tiles. Each tile is read with a halo as wide as the network and the
        # refinements reach. Only its core is kept, so that tiles meet without seams.
        top, height = 0, pixels.shape[0]
        halo = self.halo + (transparency.HALO if alpha_varies(pixels) else 0)
        while top < height:
            size = self.tile = self.tile or self._largest_tile(pixels)
            span = tiles.span_from(top, height, size, halo)
            band = None
            try:
                band = self._band(pixels, span, size, halo, progress)
            except RuntimeError as error:  # which holds the tile until it has been dealt with
                if not out_of_memory(error):
                    raise
            if band is None:
                self._halve(size)
                continue
            top = span.stop
            yield band

    def _band(
        self,
        pixels: Pixels,
        row: tiles.Span,
        size: int,
        halo: int,
        progress: Callable[[int], None],
    ) -> Pixels:
        scale = self.scale
        width, channels = pixels.shape[1:]
        band = np.empty(((row.stop - row.start) * scale, width * scale, channels), pixels.dtype)
        for column in tiles.spans(width, size, halo):
            lr = to_tensor(pixels[row.window, column.window], self.device)
            tile = self._enlarge(lr)[0, :, row.core(scale), column.core(scale)]
            band[:, column.start * scale : column.stop * scale] = to_pixels(tile, pixels.dtype)
            progress(tile.shape[-2] * tile.shape[-1])
        return band

    @torch.inference_mode()
    def _enlarge(self, image: Tensor) -> Tensor:
        """Enlarges (1, C, h, w) float in [0, 1] to (1, C, scale * h, scale * w)."""
        colours = colour_channels(image.shape[1])
        if colours == image.shape[1]:
            return self._colours(image).clamp(0, 1)
        colour, alpha = image[:, :colours], image[:, colours:]
        return transparency.enlarge(self._colours, colour, alpha, self.scale).clamp(0, 1)

    def _colours(self, image: Tensor) -> Tensor:
        """Enlarges colours by the network: (1, 1 or 3, h, w) in [0, 1], grey as RGB's mean."""
        sr = self._refined(image.expand(-1, 3, -1, -1))
        return sr if image.shape[1] == 3 else sr.mean(1, keepdim=True)

    def _refined(self, lr: Tensor) -> Tensor:
        chosen = self.options
        sr = refine.self_ensemble(self._network, lr) if chosen.x8 else self._network(lr)
        if chosen.smooth_sigma:
            smooth = refine.guided if chosen.smooth == "guided" else refine.gaussian
            sr = smooth(sr, chosen.smooth_sigma)
        return refine.back_project(sr, lr, self.scale) if chosen.consistency else sr

    def _network(self, lr: Tensor) -> Tensor:
        """(1, 3, h, w) in [0, 1] -> (1, 3, scale * h, scale * w), nominally in [0, 1]."""
        lr = lr.contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext():
            sr = enlarge(self.trunk, self.reconstruction, lr, self.scale, self.dtype)
        return sr.float().add_(1).div_(2)

    def _largest_tile(self, pixels: Pixels) -> int:
        """Returns the side of a tile that fits into half of the memory budget.

        The other half is for the reconstruction, which runs on a part of the tile at a time. If the
        halo is so wide that most of the work would go into it, the tile may take half of the free
        memory instead, but no more than a side of two halos needs.
        """
        refining = self.options.consistency or self.options.smooth_sigma
        # Bytes per LR pixel of the float32 results: 4 are alive at once, or 16 when refining.
        results = 4 * (16 if refining else 4) * 3 * self.scale**2
        each = self.trunk.bytes(self.dtype) + results
        usual, most = (
            tiles.tile_side(budget(self.device) / 2, each, self.halo)
            for budget in (tiles.memory_budget, tiles.most_memory)
        )
        size = max(usual, min(most, 2 * self.halo))
        if size < min(2 * self.halo, max(pixels.shape[:2])):
            log.warning(
                "the network sees %d pixels to each side, but memory only allows tiles of %d: "
                "%.0f times the work; free some memory, or use a smaller network",
                self.halo,
                size,
                tiles.work(size, self.halo),
            )
        return size

    def _type(self, bits: int) -> torch.dtype | None:
        """Returns the type that PyTorch computes in for samples of ``bits``; None is float32."""
        if self.options.backend != "torch":
            return None
        if self.options.precision != "auto":
            return _TYPES.get(self.options.precision)
        if self.device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if bits == 8 and cpu_computes_bf16() else None

    def _halve(self, size: int) -> None:
        self.tile = tiles.smaller(size)
        if self.tile is None:
            raise UserError(
                f"memory is full even for tiles of {size} pixels: free some, or use device=cpu"
            )
        log.warning("memory is full: continuing with tiles of %d instead of %d", self.tile, size)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _halo_of_refinement(self) -> int:
        chosen, halo = self.options, 0
        if chosen.smooth_sigma:
            times = 2 if chosen.smooth == "guided" else 1
            halo += math.ceil(times * refine.gaussian_radius(chosen.smooth_sigma) / self.scale)
        if chosen.consistency:
            halo += refine.BACK_PROJECTIONS * refine.BACK_PROJECTION_HALO
        return halo

    def _array(self, pixels: Pixels, size: Size) -> Pixels:
        bands = self.bands(pixels, size=size)
        height, width = size.of(pixels.shape, self.scale)
        large = np.empty((height, width, pixels.shape[2]), pixels.dtype)
        top = 0
        for band in bands:
            large[top : top + len(band)] = band
            top += len(band)
        return large

    def _pil(self, image: Image.Image, size: Size) -> Image.Image:
        image = plain_mode(image)
        enlarged = Image.fromarray(self(np.asarray(image), size))
        enlarged.info = {key: image.info[key] for key in _KEPT if key in image.info}
        return enlarged

    def _tensor(self, image: Tensor, size: Size) -> Tensor:
        check_tensor(image)
        batch = image.detach() if image.ndim == 4 else image.detach()[None]
        arrays = [self._array(one.permute(1, 2, 0).cpu().numpy(), size) for one in batch]
        large = torch.stack([torch.from_numpy(array).permute(2, 0, 1) for array in arrays])
        return (large if image.ndim == 4 else large[0]).to(image.device)


def _parts(network: nn.Module, scale: int, chosen: Options) -> tuple[Part, Part]:
    if chosen.backend == "torch":
        return split(network)
    models = quantised(network, scale) if chosen.precision == "int8" else convert(network)
    return run_by_openvino(network, models, chosen.precision)


def _device(chosen: Options) -> torch.device:
    name = chosen.device
    if chosen.backend == "openvino":
        return torch.device("cpu")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, number = name.partition(":")
    count = torch.cuda.device_count()
    if kind == "cuda" and int(number or 0) >= count:
        raise UserError(f"device={name}: PyTorch sees {count or 'no'} GPUs here; use device=auto")
    return torch.device(name)
