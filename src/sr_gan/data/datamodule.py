"""The LightningDataModule: crops for training, whole photos for validation."""

import logging
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

import lightning as L
import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor
from torch.utils.data import DataLoader

from sr_gan.arguments import Kind, checked
from sr_gan.data.cache import Cache
from sr_gan.data.crops import Draw, EpochSampler, RandomCrops, WholePhotos
from sr_gan.data.degradation import Degradation, Exact, Kinds
from sr_gan.data.feed import DeviceFeed, Feed, Resident, choose_feed, pack_batch, unpack_batch
from sr_gan.data.photos import Photos
from sr_gan.data.sources import Collection
from sr_gan.data.usable import usable, warn_of_leaks
from sr_gan.errors import UserError
from sr_gan.files import printable, readable, user_path
from sr_gan.images.decode import MAX_MEGAPIXELS
from sr_gan.machine import cores
from sr_gan.tables import counted

log = logging.getLogger(__name__)

_GRACE_SECONDS = 30


class SRData(L.LightningDataModule):
    """LR/HR pairs from photographs; subclasses choose the files.

    Batches reach the module as ``lr`` (B, 3, h, w) in [0, 1] and ``hr`` (B, 3, scale * h,
    scale * w) in [-1, 1]; until they are on the device they are uint8. Validation batches hold one
    whole photo, its ``name`` and its ``weight``; several processes share the photos.

    Args:
        scale: the scale factor between LR and HR.
        crop: the side of a training crop in HR pixels, a multiple of ``scale``.
        batch_size: the number of crops per step on each device.
        crops_per_epoch: the length of an epoch; ``None`` draws one crop of each photo.
        augment: flip and rotate training crops.
        feed: ``device`` keeps the photos in the GPU's memory (or the CPU's) and cuts crops there,
            ``loader`` lets workers cut them from the cache, ``auto`` decides by free memory.
        workers: the processes of the loader; 0 cuts crops in the main process.
        degradation: makes LR from HR on the device; ``None`` is the exact bicubic.
        valid_crop: validate on centres of this side in HR pixels; ``None`` takes whole photos.
        valid_images: validate on at most this many photos, the first; ``None`` takes all.
        valid_kinds: validate on each photo once per kind of
            :class:`sr_gan.data.degradation.Kinds`; ``None`` is once, with ``degradation``.
        cache_dir: the folder of decoded photos; ``None`` is ``$SR_GAN_CACHE`` or
            ``~/.cache/sr_gan``.
        on_bad: ``error`` stops at files that cannot be used, ``skip`` continues without them.
        max_megapixels: larger photos cannot be used.
        seed: the seed of crops and degradations.

    Raises:
        ValueError: an argument is outside its allowed values, or two contradict each other.
        UserError: photos are missing or cannot be used; raised when the run begins.
    """

    train_photos: Photos  # set by setup(), as is the next
    valid_photos: Photos

    @checked
    def __init__(
        self,
        scale: PositiveInt = 4,
        crop: PositiveInt = 96,
        batch_size: PositiveInt = 16,
        crops_per_epoch: PositiveInt | None = None,
        augment: bool = True,
        feed: Feed = "auto",
        workers: NonNegativeInt = 2,
        degradation: Degradation | Exact | None = None,
        valid_crop: PositiveInt | None = None,
        valid_images: PositiveInt | None = None,
        valid_kinds: Sequence[Kind] | None = None,
        cache_dir: str | None = None,
        on_bad: Literal["error", "skip"] = "error",
        max_megapixels: PositiveFloat = MAX_MEGAPIXELS,
        seed: NonNegativeInt = 0,
    ) -> None:
        super().__init__()
        for name, side in {"crop": crop, "valid_crop": valid_crop}.items():
            if side is not None and side % scale:
                raise ValueError(f"{name}={side} must be a multiple of scale={scale}")
        self.scale, self.crop, self.batch_size = scale, crop, batch_size
        self.crops_per_epoch, self.augment, self.seed = crops_per_epoch, augment, seed
        self.feed, self.workers = feed, workers
        self.degradation = degradation if isinstance(degradation, Degradation) else None
        self.valid_crop, self.valid_images = valid_crop, valid_images
        self.valid_kinds = Kinds(valid_kinds).names if valid_kinds is not None else []
        self.cache_dir = None if cache_dir is None else user_path(cache_dir)
        self.on_bad, self.max_megapixels = on_bad, max_megapixels
        self._resumed = {"epoch": 0, "batch": 0}
        self._resident: Resident | None = None
        self._feed: DataLoader[dict[str, Any]] | DeviceFeed | None = None
        self._draw: Draw = (0, 0)

    def obtain(self) -> None:
        """Downloads missing files; only :mod:`sr_gan.prepare` calls this."""

    def collections(self) -> tuple[Collection, Collection | None]:
        """Returns the files to train on and to validate on; or ``None`` to split the former."""
        raise NotImplementedError

    def caches(self) -> list[tuple[Cache, Collection]]:
        """Returns the caches of both collections, whether they are built or not."""
        return [
            (Cache.of(files, self.scale, self.cache_dir, self.max_megapixels), files)
            for files in self.collections()
            if files is not None
        ]

    def setup(self, stage: str = "fit") -> None:
        """Opens the caches and builds them if necessary; a later stage finds them open."""
        self._resumed = {"epoch": 0, "batch": 0}  # a checkpoint is restored after this
        if hasattr(self, "train_photos"):
            return
        least_valid = 11 + 2 * self.scale  # SSIM's window and the border that is left out
        (cache, files), *given = self.caches()
        least = max(self.cut_side, 0 if given else least_valid)
        train = usable(*cache.open(files), files, least, self.on_bad)
        if given:
            ((cache, files),) = given
            files = replace(files, sources=files.sources[: self.valid_images])
            valid = usable(*cache.open(files), files, least_valid, self.on_bad)
            warn_of_leaks(train, valid)
        else:
            train, valid = self.split(train)
        self.train_photos, self.valid_photos = train, valid[: self.valid_images]
        if self.epoch_length < self.batch_size:
            raise UserError(
                f"an epoch has {self.epoch_length} crops, fewer than data.batch_size="
                f"{self.batch_size}: set data.crops_per_epoch to {self.batch_size} or more"
            )

    def split(self, photos: Photos) -> tuple[Photos, Photos]:
        """Holds out validation photos of a single collection."""
        raise NotImplementedError

    @property
    def margin(self) -> int:
        """The number of LR pixels around a crop that the degradation depends on."""
        return self.degradation.margin(self.scale) if self.degradation else 0

    @property
    def cut_side(self) -> int:
        """The side in HR pixels of what is cut for a crop, including the margin."""
        return self.crop + 2 * self.margin * self.scale

    @property
    def digest(self) -> str:
        """What is trained on and validated on: numbers of photos, and a hash of their pixels."""
        train, valid = self.train_photos, self.valid_photos
        return f"{len(train)} to train on ({train.digest}), {len(valid)} held out ({valid.digest})"

    @property
    def valid_pixels(self) -> int:
        """The number of LR pixels of a validation, after :meth:`setup`."""
        most = self.valid_crop // self.scale if self.valid_crop else sys.maxsize
        sizes = [(entry.height, entry.width) for entry in self.valid_photos.entries]
        pixels = sum(min(height, most) * min(width, most) for height, width in sizes)
        return pixels * max(1, len(self.valid_kinds))

    @property
    def epoch_length(self) -> int:
        """The number of crops in an epoch."""
        return self.crops_per_epoch or len(self.train_photos)

    def describe(self) -> str:
        """Returns one line about the photos, after :meth:`setup`."""
        train, valid = self.train_photos, self.valid_photos
        names = ", ".join(printable(photo.name) for photo in valid[:3])
        more = ", ..." if len(valid) > 3 else ""
        return (
            f"{counted(len(train), 'photo')} to train on, {len(valid)} held out ({names}{more}); "
            f"{(train.pixels + valid.pixels) / 1e6:.1f} megapixels, "
            f"{readable(train.nbytes + valid.nbytes)} in {train.folder.parent}; "
            f"{self.epoch_length} crops per epoch"
        )

    def train_dataloader(self) -> DataLoader[dict[str, Any]] | DeviceFeed:
        crops = RandomCrops(
            self.train_photos, self.cut_side, self.scale, self.epoch_length, self.augment, self.seed
        )
        rank, world = self._place()
        device = self.trainer.strategy.root_device if self.trainer else torch.device("cpu")
        epoch, batch = self._resumed["epoch"], self._resumed["batch"]
        sampler = EpochSampler(len(crops), epoch, batch * self.batch_size, rank, world)
        if self._resident:  # as in the stage before; the photos are no free memory any more
            feed, why = "device", "the photos are there already"
        else:
            feed, why = choose_feed(self.feed, self.train_photos.nbytes, device)
        log.info("feed       %s (%s)", feed, why)
        if feed == "device":
            self._resident = self._resident or Resident(self.train_photos, device)
            self._feed = DeviceFeed(crops, self._resident, self.batch_size, sampler)
        else:
            self._feed = self._loader(crops, sampler)
        return self._feed

    def on_exception(self, exception: BaseException) -> None:
        """Ends the loader's processes, which Lightning forgets if a validation is interrupted."""
        iterator = getattr(self._feed, "_iterator", None)
        if iterator is not None:
            iterator._shutdown_workers()

    def _place(self) -> tuple[int, int]:
        """Returns the index of this process and the number of processes."""
        return (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)

    def _loader(self, crops: RandomCrops, sampler: EpochSampler) -> DataLoader[dict[str, Any]]:
        return DataLoader(
            crops,
            self.batch_size,
            sampler=sampler,
            drop_last=True,
            collate_fn=pack_batch if self.workers else lambda batch: batch,  # type: ignore[arg-type]
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            # a spawned process would import PyTorch again, which takes 0.5 GB
            multiprocessing_context="fork" if self.workers and sys.platform == "linux" else None,
            worker_init_fn=_leave_signals_to_the_main_process,
            pin_memory=torch.cuda.is_available(),
        )

    def advice(self) -> str:
        """Returns what to change if training waits for crops."""
        if isinstance(self._feed, DeviceFeed):
            return "another program may use the processor or the memory"
        if self.workers < cores():
            return f"set data.workers={min(cores(), max(4, 2 * self.workers))} (now {self.workers})"
        return "set data.feed=device if the photos fit there, or use fewer or smaller photos"

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        rank, world = self._place()
        every = self.valid_photos
        photos = WholePhotos(every, self.scale, self.valid_crop, rank, world, self.valid_kinds)
        return DataLoader(photos, batch_size=1)

    def on_before_batch_transfer(
        self, batch: dict[str, Any], dataloader_idx: int
    ) -> dict[str, Any]:
        """Unpacks the batch, and keeps its draw in the host's memory."""
        batch = unpack_batch(batch, self.cut_side, self.scale)
        self._draw = tuple(int(number) for number in batch["draw"])  # type: ignore[assignment]
        return {key: value for key, value in batch.items() if key != "draw"}

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """Converts uint8 to the networks' ranges on the device, and degrades LR if that is set."""
        lr, hr = batch["lr"] * (1 / 255), batch["hr"]
        if self.degradation is not None and "kind" not in batch:
            generator = torch.Generator(hr.device).manual_seed(self._batch_seed())
            lr = self.degradation(hr / 255, self.scale, generator)
            if "name" not in batch:
                lr, hr = _without(lr, self.margin), _without(hr, self.margin * self.scale)
        # hr / 127.5 - 1 in a single kernel, which also converts from uint8.
        minus_one = torch.full((), -1.0, device=hr.device)
        return {**batch, "lr": lr, "hr": torch.add(minus_one, hr, alpha=1 / 127.5)}

    def _batch_seed(self) -> int:
        sequence = np.random.SeedSequence((self.seed, *self._draw))
        return int(sequence.generate_state(1, np.uint64)[0] >> np.uint64(1))

    def state_dict(self) -> dict[str, int]:
        """Returns the epoch and the batch to resume at, counted in batches trained on."""
        assert self.trainer is not None
        done = self.trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
        epoch, batch = divmod(done, int(self.trainer.num_training_batches))
        return {"epoch": epoch, "batch": batch}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._resumed = dict(state_dict)


def _leave_signals_to_the_main_process(worker: int) -> None:
    """Keeps a worker running when Ctrl-C, ``timeout``, a lost terminal or Slurm signals all.

    The run still needs its last batches. A worker that gets SIGTERM and is not stopped otherwise
    ends 30 seconds later, because the main process may have sent the signal and wait for it.
    """
    for name in {"SIGINT", "SIGHUP", "SIGUSR1"} & vars(signal).keys():
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda signum, frame: signal.alarm(_GRACE_SECONDS))


def _without(images: Tensor, margin: int) -> Tensor:
    """Cuts ``margin`` pixels off every side of (B, C, H, W)."""
    return images[..., margin : images.shape[-2] - margin, margin : images.shape[-1] - margin]
