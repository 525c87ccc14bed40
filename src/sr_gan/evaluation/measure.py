"""Scores models, and pictures of other programs, on the photographs of a folder."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from hashlib import sha1

import torch
from torch import Tensor
from tqdm import tqdm

from sr_gan.data.degradation.kinds import spoiled
from sr_gan.data.sources import Collection, Source, folder_photos
from sr_gan.errors import UserError
from sr_gan.evaluation.contestants import Contestant, in_channels, read_image, stamp
from sr_gan.evaluation.crops import SIDE, Crop, cut
from sr_gan.evaluation.journal import Journal
from sr_gan.evaluation.scores import Evaluation
from sr_gan.evaluation.suite import Suite
from sr_gan.files import bar_interval, printable, real, user_path
from sr_gan.images.decode import BadImage
from sr_gan.images.resize import downscale
from sr_gan.machine import cores
from sr_gan.runs.published import recognise
from sr_gan.tables import counted

log = logging.getLogger(__name__)

_VERSION = 1  # increase it if the same settings give other scores
_MOST_THREADS = 8
_MOST_NAMED = 3


@dataclass(frozen=True)
class Benchmark:
    """Photographs on which models are measured.

    Args:
        photos: the photographs, with LR images if these are given.
        scale: the scale factor.
        kind: the degradation of LR images that are reduced here; None reduces exactly.
        number: tells benchmarks of the same name apart.
    """

    photos: Collection
    scale: int
    kind: str | None = None
    number: int = 1

    @property
    def test_set(self) -> str | None:
        """The name of the test set that the folder holds, or None."""
        return recognise(real(self.photos.root).parts, len(self.photos.sources))

    @property
    def name(self) -> str:
        """The name of the test set or the folder, the kind, and the number if it is not 1."""
        name = self.test_set or real(self.photos.root).name
        name = f"{name}-{self.kind}" if self.kind else name
        return name if self.number == 1 else f"{name}_{self.number}"

    @property
    def is_published(self) -> bool:
        """Whether published numbers are for the same images."""
        reduced = self.photos.lr_root is None and self.kind is None
        return self.scale == 4 and self.test_set is not None and reduced

    def pair(self, source: Source) -> tuple[Tensor, Tensor]:
        """Reads HR, cropped to a multiple of the scale factor, and LR: uint8 (1, 1 or 3, H, W).

        Raises:
            BadImage: an image cannot be read or is smaller than the scale factor, or LR has another
                size than HR divided by it.
        """
        hr = read_image(source.hr)
        height, width = (side // self.scale * self.scale for side in hr.shape[-2:])
        if not height or not width:
            raise BadImage(f"it has fewer pixels than the scale factor {self.scale}")
        hr = hr[..., :height, :width].contiguous()
        if source.lr is None:
            lr = downscale(hr, self.scale)
            return hr, spoiled(lr, self.kind, self.name_of(source)) if self.kind else lr
        try:
            lr = in_channels(read_image(source.lr), hr.shape[1])
        except BadImage as error:
            raise BadImage(f"{printable(source.lr)}: {error}") from error
        if lr.shape[-2] * self.scale != height or lr.shape[-1] * self.scale != width:
            raise BadImage(
                f"{printable(source.lr)} has {lr.shape[-1]}x{lr.shape[-2]} pixels, but reduced by "
                f"{self.scale} it would have {width // self.scale}x{height // self.scale}"
            )
        return hr, lr

    def name_of(self, source: Source) -> str:
        """Returns the name of a photograph in tables."""
        return source.hr.relative_to(self.photos.root).as_posix()


def benchmarks(
    folders: Sequence[str],
    scale: int,
    kinds: Sequence[str | None] = (None,),
    lr_folder: str | None = None,
) -> list[Benchmark]:
    """Finds the photographs of each folder, for each kind, under names that differ.

    Args:
        folders: the folders.
        scale: the scale factor.
        kinds: the degradations of LR images; None reduces exactly.
        lr_folder: the folder of LR images that are given.

    Raises:
        UserError: a folder is missing, cannot be read, or contains no images.
    """
    found: dict[str, Benchmark] = {}
    lr = user_path(lr_folder) if lr_folder else None
    for folder in folders:
        photos = folder_photos(user_path(folder), lr, scale, key="benchmark")
        for kind in kinds:
            each = Benchmark(photos, scale, kind)
            while each.name.casefold() in found:  # some disks do not tell Set from set
                each = replace(each, number=each.number + 1)
            found[each.name.casefold()] = each
    return list(found.values())


def measure(
    contestants: Sequence[Contestant],
    suite: Suite,
    benchmark: Benchmark,
    journal: Journal | None = None,
    crops: bool = False,
) -> tuple[Evaluation, list[str]]:
    """Scores every contestant on every photograph.

    Images are enlarged one after the other, and scored several at once.

    Args:
        contestants: the models and pictures.
        suite: the measures.
        benchmark: the photographs.
        journal: takes the results as they come; what it has already is not measured again.
        crops: whether to cut out where results differ most. All results of an image are then in
            memory at once, and a contestant enlarges again an image of which only the crop is
            missing.

    Returns:
        the scores, and a line on each photograph that was left out as it cannot be used.

    Raises:
        UserError: a picture of another program cannot be used.
    """
    journal = journal or Journal()
    results = journal.results
    facts = [_VERSION, benchmark.scale, benchmark.kind, suite.facts()]
    sources = benchmark.photos.sources
    keys = {s: [_key(each, s, facts) for each in contestants] for s in sources}
    crop_keys = {s: _digest(["crop", SIDE, keys[s]]) for s in sources} if crops else {}
    journal.asked.update(*keys.values(), crop_keys.values())
    if before := sum(key in results for each in keys.values() for key in each):
        log.info("continued  %s measured before", counted(before, "result"))
    left_out: list[str] = []
    with (
        tqdm(sources, printable(benchmark.name), mininterval=bar_interval()) as bar,
        _scoring(suite, journal) as score,
    ):
        for source in bar:
            crop_key = crop_keys.get(source, "")
            missing = {key for key in (*keys[source], crop_key) if key and key not in results}
            if not missing:
                continue
            try:
                hr, lr = benchmark.pair(source)
            except BadImage as error:
                left_out.append(f"{printable(source.hr)}: {error}")
                bar.write(f"left out  {left_out[-1]}", file=sys.stderr)
                continue
            compared: dict[str, Tensor] = {}
            for key, contestant in zip(keys[source], contestants):
                if not missing & {key, crop_key}:
                    continue
                sr = contestant.enlarge(source.hr, lr, hr.shape[-2:])
                if key in missing:
                    score(key, sr, hr, lr)
                if crop_key in missing:
                    compared[contestant.name] = sr
            if crop_key in missing:
                journal.put(crop_key, asdict(cut(compared, hr)))
    names = {source: benchmark.name_of(source) for source in sources}
    evaluation = Evaluation(
        benchmark.name,
        benchmark.scale,
        {
            contestant.name: {
                names[s]: dict(results[key]) for s in sources if (key := keys[s][i]) in results
            }
            for i, contestant in enumerate(contestants)
        },
        suite.describe(),
        benchmark.is_published and suite.border == benchmark.scale and not left_out,
        {names[s]: Crop(**results[key]) for s, key in crop_keys.items() if key in results},
    )
    return evaluation, left_out


@contextmanager
def _scoring(
    suite: Suite, journal: Journal
) -> Iterator[Callable[[str, Tensor, Tensor, Tensor], None]]:
    """Yields a function that scores SR, HR and LR, and keeps the scores under a key.

    As many images as there are threads are scored at once, when they are together: networks that
    enlarge meanwhile would only take the cores away. At the end all scores are in the journal, also
    after an error.
    """
    waiting: list[tuple[str, Tensor, Tensor, Tensor]] = []
    # The feature maps of VGG16 are large, so its images are scored one after the other.
    threads = 1 if suite.has_vgg else min(cores(), _MOST_THREADS)

    def settle() -> None:
        keys, *images = zip(*waiting)
        for key, scores in zip(keys, pool.map(suite.score, *images)):
            journal.put(key, scores)
        waiting.clear()

    def score(key: str, sr: Tensor, hr: Tensor, lr: Tensor) -> None:
        waiting.append((key, sr, hr, lr))
        if len(waiting) == threads:
            settle()

    each = (cores() // threads,)
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=each) as pool:
        try:
            yield score
        finally:
            if waiting:
                settle()


def refuse_left_out(lines: Sequence[str]) -> None:
    """Ends a command whose tables lack photographs.

    Args:
        lines: a line on each of them, as :func:`measure` returns it. One of several kinds counts
            once.

    Raises:
        UserError: there is one.
    """
    if lines:
        named = list(dict.fromkeys(lines))
        more = ["..."] if len(named) > _MOST_NAMED else []
        raise UserError(
            f"{counted(len(named), 'photograph')} left out: {'; '.join(named[:_MOST_NAMED] + more)}"
        )


def _key(contestant: Contestant, source: Source, facts: object) -> str:
    """Returns what is equal only for the same scores."""
    files = [stamp(path) for path in (source.hr, source.lr) if path]
    return _digest([contestant.name, contestant.origin(source.hr), *files, facts])


def _digest(origin: object) -> str:
    return sha1(json.dumps(origin).encode()).hexdigest()
