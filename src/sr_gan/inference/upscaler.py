"""Any image, any size: the generator on tiles, in the image's own colour mode and bit depth."""

import logging
from collections.abc import Callable, Iterator
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
    check_pixels,
    colour_channels,
    plain_mode,
    spread_colours,
    to_pixels,
    to_tensor,
)
from sr_gan.images.resize import upscale
from sr_gan.inference import refine
from sr_gan.inference.int8 import quantised
from sr_gan.inference.openvino import convert, run_by_openvino
from sr_gan.inference.prepare import prepare
from sr_gan.inference.pretrained import Pretrained, load_pretrained
from sr_gan.inference.sizes import reduced
from sr_gan.machine import cpu_computes_bf16
from sr_gan.networks import tiles
from sr_gan.networks.split import Part, enlarge, split
from sr_gan.settings.options import Options, Size

log = logging.getLogger(__name__)

T = TypeVar("T", Image.Image, NDArray[Any], Tensor)

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
        UserError: the device is not there.
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
        cls, model: str | None = None, scale: int = 4, **options: Any
    ) -> "Upscaler":
        """Of a run's folder, a weights file, a shipped model's name, ``bicubic`` or ``lanczos``.

        Args:
            model: see :func:`load_pretrained`.
            scale: factor of ``bicubic`` and ``lanczos``; a generator brings its own.
            options: fields of :class:`Options`.

        Raises:
            UserError: there is no such model or device.
            ValueError: an option is not allowed.
        """
        return cls(load_pretrained(str(model) if model else None, scale), Options(**options))

    def __call__(self, image: T, size: Size | None = None) -> T:
        """The enlarged image, of the type, mode, bit depth and range of what is given.

        Args:
            image: a PIL image; a NumPy array (H, W) or (H, W, C) of uint8, uint16, or float in
                [0, 1]; or a tensor (C, H, W) or (B, C, H, W), likewise. C is 1 (grey), 2 (grey
                and alpha), 3 (RGB) or 4 (RGB and alpha).
            size: of the result; without it the network's factor.

        Raises:
            ValueError: the type, shape or number of channels is none of these, or the result
                would be larger than what the network makes.
        """
        size = size or Size()
        if isinstance(image, Image.Image):
            return self._pil(image, size)
        if isinstance(image, Tensor):
            return self._tensor(image, size)
        array = np.asarray(image)
        flat = array.ndim == 2
        large = self._array(array[..., None] if flat else array, size)
        return large[..., 0] if flat else large

    def bands(
        self,
        pixels: Pixels,
        progress: Callable[[int], None] = lambda pixels: None,
        size: Size | None = None,
    ) -> Iterator[Pixels]:
        """The enlarged image from top to bottom, in bands (n, width, C) of the same type.

        Nothing but a few bands is held, so that an image of any size can be written as it comes.
        When memory runs out the tile is halved, and the band made again.

        Args:
            pixels: (H, W, C) as in :meth:`__call__`.
            progress: called with the number of pixels that the network made of each tile.
            size: of the result, as in :meth:`__call__`.

        Raises:
            ValueError: as :meth:`__call__`.
            UserError: not even the smallest tile fits into memory.
        """
        check_pixels(pixels)
        bands, whole = self._bands(pixels, progress), Size().of(pixels.shape, self.scale)
        result = size.of(pixels.shape, self.scale) if size else whole
        return bands if result == whole else reduced(bands, whole, result)

    def _bands(self, pixels: Pixels, progress: Callable[[int], None]) -> Iterator[Pixels]:
        """As :meth:`bands`, at the network's factor."""
        pixels = spread_colours(pixels)
        dtype = self._type(8 * pixels.dtype.itemsize)
        if dtype != self.dtype:  # whose pixels take another amount of memory
            self.dtype, self.tile = dtype, self.options.tile
        top, height = 0, pixels.shape[0]
        while top < height:
            size = self.tile = self.tile or self._largest_tile(pixels)
            span = tiles.span_from(top, height, size, self.halo)
            try:
                band = self._band(pixels, span, size, progress)
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                self._halve(size)
                continue
            top = span.stop
            yield band

    def _band(
        self, pixels: Pixels, row: tiles.Span, size: int, progress: Callable[[int], None]
    ) -> Pixels:
        scale = self.scale
        width, channels = pixels.shape[1:]
        band = np.empty(((row.stop - row.start) * scale, width * scale, channels), pixels.dtype)
        for column in tiles.spans(width, size, self.halo):
            lr = to_tensor(pixels[row.window, column.window], self.device)
            tile = self._enlarge(lr)[0, :, row.core(scale), column.core(scale)]
            band[:, column.start * scale : column.stop * scale] = to_pixels(tile, pixels.dtype)
            progress(tile.shape[-2] * tile.shape[-1])
        return band

    @torch.inference_mode()
    def _enlarge(self, image: Tensor) -> Tensor:
        """(1, C, h, w) float in [0, 1] -> (1, C, scale * h, scale * w), the colours by the network,
        alpha by the bicubic: it has no texture to invent, and its edges must meet the colours."""
        channels = image.shape[1]
        colours = colour_channels(channels)
        lr = image[:, :colours].expand(-1, 3, -1, -1)
        sr = self._refined(lr)
        if colours == 1:
            sr = sr.mean(1, keepdim=True)
        if colours < channels:
            sr = torch.cat([sr, upscale(image[:, colours:], self.scale)], dim=1)
        return sr.clamp(0, 1)

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
        with self._autocast():
            sr = enlarge(self.trunk, self.reconstruction, lr, self.scale, self.dtype)
        return sr.float().add_(1).div_(2)

    def _largest_tile(self, pixels: Pixels) -> int:
        """For half of the memory; the reconstruction of a part of it at a time has the other.

        Where the network sees so far that most of the work would be done on what neighbours share,
        the tile takes all of the memory that is free, until its overlap is half of it.
        """
        refining = self.options.consistency or self.options.smooth_sigma
        results = 4 * (16 if refining else 4) * 3 * self.scale**2
        each = self.trunk.bytes(self.dtype) + results
        usual, most = (
            tiles.tile_side(budget(self.device) / 2, each, self.halo)
            for budget in (tiles.memory_budget, tiles.free_memory)
        )
        size = max(usual, min(most, 2 * self.halo))
        if size < min(2 * self.halo, max(pixels.shape[:2])):
            log.warning(
                "the network sees %d pixels to each side, and memory is there for tiles of %d: "
                "%.0f times the work; free some memory, or take a smaller network",
                self.halo,
                size,
                tiles.work(size, self.halo),
            )
        return size

    def _type(self, bits: int) -> torch.dtype | None:
        """What PyTorch's convolutions compute in for images of so many bits; None is float32."""
        if self.options.backend != "torch":
            return None
        if self.options.precision != "auto":
            return _TYPES.get(self.options.precision)
        if self.device.type == "cuda":
            return torch.float16
        return torch.bfloat16 if bits == 8 and cpu_computes_bf16() else None

    def _autocast(self) -> Any:
        return torch.autocast(self.device.type, self.dtype) if self.dtype else nullcontext()

    def _halve(self, size: int) -> None:
        self.tile = tiles.smaller(size)
        if self.tile is None:
            raise UserError(
                f"memory is full even for tiles of {size} pixels: free some, or use device=cpu"
            )
        log.warning("memory is full: going on with tiles of %d instead of %d", self.tile, size)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _halo_of_refinement(self) -> int:
        chosen, halo = self.options, 0
        if chosen.smooth_sigma:
            times = 2 if chosen.smooth == "guided" else 1
            halo += -(-times * refine.gaussian_radius(chosen.smooth_sigma) // self.scale)
        if chosen.consistency:
            halo += refine.BACK_PROJECTIONS * refine.BACK_PROJECTION_HALO
        return halo

    def _array(self, pixels: Pixels, size: Size) -> Pixels:
        check_pixels(pixels)
        height, width = size.of(pixels.shape, self.scale)
        large = np.empty((height, width, pixels.shape[2]), pixels.dtype)
        top = 0
        for band in self.bands(pixels, size=size):
            large[top : top + len(band)] = band
            top += len(band)
        return large

    def _pil(self, image: Image.Image, size: Size) -> Image.Image:
        image = plain_mode(image)
        pixels = np.asarray(image)
        large = self._array(pixels if pixels.ndim == 3 else pixels[..., None], size)
        enlarged = Image.fromarray(large.squeeze(2) if large.shape[2] == 1 else large)
        if "icc_profile" in image.info:
            enlarged.info["icc_profile"] = image.info["icc_profile"]
        return enlarged

    def _tensor(self, image: Tensor, size: Size) -> Tensor:
        batch = image if image.ndim == 4 else image[None]
        if image.ndim not in (3, 4):
            raise ValueError(
                f"a tensor must be (C, H, W) or (B, C, H, W), got {tuple(image.shape)}"
            )
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
