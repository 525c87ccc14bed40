"""The LightningDataModule: crops for training, whole photos for validation."""

import signal
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from sr_gan.data.crops import EpochSampler, RandomCrops, WholePhotos
from sr_gan.data.images import Photo, load_photos
from sr_gan.data.sources import Source
from sr_gan.errors import UserError

_GRACE_SECONDS = 30


class SRData(L.LightningDataModule):
    """LR/HR pairs from photographs; a subclass says which files.

    Batches reach the module as ``lr`` (B, 3, h, w) in [0, 1] and ``hr`` (B, 3, scale * h,
    scale * w) in [-1, 1]; they travel as uint8 and are converted on the device. Validation
    batches hold one whole photo and its ``name``.

    Args:
        scale: factor between LR and HR.
        crop: side of a training crop in HR pixels, a multiple of ``scale``.
        batch_size: crops a step, on each device.
        crops_per_epoch: length of an epoch; ``None`` draws one crop of each photo.
        augment: flip and rotate training crops.
        workers: processes that cut crops; 0 cuts them in the main process.
        valid_crop: validate on the centre of this side in HR pixels; ``None`` on whole photos.
        valid_images: validate on the first so many photos; ``None`` on all.
        seed: of the crops drawn.

    Raises:
        ValueError: an argument is outside its allowed values, or the settings contradict.
        UserError: photos are missing or cannot be used (when the run begins).
    """

    def __init__(
        self,
        scale: int = 4,
        crop: int = 96,
        batch_size: int = 16,
        crops_per_epoch: int | None = None,
        augment: bool = True,
        workers: int = 2,
        valid_crop: int | None = None,
        valid_images: int | None = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        positive = {
            "scale": scale,
            "crop": crop,
            "batch_size": batch_size,
            "crops_per_epoch": crops_per_epoch,
            "valid_crop": valid_crop,
            "valid_images": valid_images,
        }
        for name, value in positive.items():
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name, side in {"crop": crop, "valid_crop": valid_crop}.items():
            if side is not None and side % scale:
                raise ValueError(f"{name} must be a multiple of the scale {scale}, got {side}")
        if workers < 0 or seed < 0:
            raise ValueError(f"workers and seed must be at least 0, got {workers} and {seed}")
        self.scale, self.crop, self.batch_size = scale, crop, batch_size
        self.crops_per_epoch, self.augment, self.workers = crops_per_epoch, augment, workers
        self.valid_crop, self.valid_images, self.seed = valid_crop, valid_images, seed
        self._resumed = {"epoch": 0, "batch": 0}
        self._train: list[Photo] = []
        self._valid: list[Photo] = []

    def sources(self) -> tuple[list[Source], list[Source]]:
        """The files to train on and to validate on."""
        raise NotImplementedError

    def setup(self, stage: str = "fit") -> None:
        """Reads the photos into memory; a second stage of the run finds them there."""
        self._resumed = {"epoch": 0, "batch": 0}  # until a checkpoint, restored next, says more
        if self._train:
            return
        train, valid = self.sources()
        valid = valid[: self.valid_images]
        self._train = load_photos(train, self.scale, least=self.crop)
        self._valid = load_photos(valid, self.scale, least=11 + 2 * self.scale)
        if self.epoch_length < self.batch_size:
            raise UserError(
                f"an epoch has {self.epoch_length} crops, fewer than data.batch_size="
                f"{self.batch_size}: set data.crops_per_epoch to {self.batch_size} or more"
            )

    @property
    def epoch_length(self) -> int:
        """Crops in an epoch."""
        return self.crops_per_epoch or len(self._train)

    def describe(self) -> str:
        """One line on what was read, after :meth:`setup`."""
        photos = self._train + self._valid
        pixels = sum(photo.hr.shape[0] * photo.hr.shape[1] for photo in photos)
        size = sum(photo.hr.nbytes + photo.lr.nbytes for photo in photos)
        names = ", ".join(photo.name for photo in self._valid[:3])
        more = ", ..." if len(self._valid) > 3 else ""
        return (
            f"{len(self._train)} photos to train on, {len(self._valid)} held out ({names}{more}); "
            f"{pixels / 1e6:.1f} megapixels, {size / 1e6:.0f} MB in memory; "
            f"{self.epoch_length} crops an epoch"
        )

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        dataset = RandomCrops(
            self._train, self.crop, self.scale, self.epoch_length, self.augment, self.seed
        )
        trainer = self.trainer
        rank, world = (trainer.global_rank, trainer.world_size) if trainer else (0, 1)
        epoch, batch = self._resumed["epoch"], self._resumed["batch"]
        sampler = EpochSampler(len(dataset), epoch, batch * self.batch_size, rank, world)
        return DataLoader(
            dataset,
            self.batch_size,
            sampler=sampler,
            drop_last=True,
            collate_fn=_as_is,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            worker_init_fn=_leave_signals_to_the_main_process,
            pin_memory=torch.cuda.is_available(),
        )

    def val_dataloader(self) -> DataLoader[dict[str, Any]]:
        return DataLoader(WholePhotos(self._valid, self.scale, self.valid_crop), batch_size=1)

    def on_after_batch_transfer(self, batch: dict[str, Any], dataloader_idx: int) -> dict[str, Any]:
        """From uint8 (B, H, W, 3) to float (B, 3, H, W) in the networks' ranges, on the device."""
        lr, hr = (batch[key].permute(0, 3, 1, 2).float() for key in ("lr", "hr"))
        return {**batch, "lr": lr / 255, "hr": hr / 127.5 - 1}

    def state_dict(self) -> dict[str, int]:
        """Where in the epochs the run stands, counted in batches that were trained on."""
        assert self.trainer is not None
        done = self.trainer.fit_loop.epoch_loop.batch_progress.total.processed  # type: ignore[attr-defined]
        epoch, batch = divmod(done, int(self.trainer.num_training_batches))
        return {"epoch": epoch, "batch": batch}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._resumed = dict(state_dict)


def _leave_signals_to_the_main_process(worker: int) -> None:
    """Ctrl-C, ``timeout`` and Slurm reach the workers too, and the run needs its last batches.

    A worker that is told to end does so half a minute later, should it still be there: the main
    process may be the one that told it, and waits for it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda signum, frame: signal.alarm(_GRACE_SECONDS))


def _as_is(batch: Any) -> Any:
    return batch
