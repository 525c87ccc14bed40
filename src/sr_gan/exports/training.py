"""How a model was trained, as far as its run says."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sr_gan.files import relative
from sr_gan.models import bundled_models
from sr_gan.runs.folder import STAGES, checkpoints
from sr_gan.runs.history import read_run
from sr_gan.runs.hub import SCHEME
from sr_gan.tensor_files import load_tensors


@dataclass(frozen=True)
class Stage:
    """A stage of a training.

    Args:
        name: ``pretrain`` or ``gan``.
        updates: how often the generator's weights were updated; None if it is not known.
        losses: the weights of the terms of the loss, by name.
    """

    name: str
    updates: int | None
    losses: Mapping[str, float]


@dataclass(frozen=True)
class Training:
    """How a model was trained, as far as its run says; None and empty values are not known.

    Args:
        dataset: the name of the folder of photographs.
        photos: the number of photographs that it was trained on.
        batch: the number of crops in an update.
        crop: the side of a crop in HR pixels.
        degradation: the class that made LR images, and its settings.
        init_from: the name of the model whose weights it started from.
        stages: the stages, up to the one that the weights are from.
        torch: the version of PyTorch.
        device: the GPU, or else the CPU.
    """

    dataset: str | None
    photos: int | None
    batch: int | None
    crop: int | None
    degradation: Mapping[str, Any]
    init_from: str | None
    stages: tuple[Stage, ...]
    torch: str | None
    device: str | None
    of_photographs: bool  # which is not known of a folder

    @property
    def degrades(self) -> bool | None:
        """Whether LR images were damaged anew for each update; None if that is not known."""
        kind = str(self.degradation.get("_target_", "")).rpartition(".")[2]
        return kind != "Exact" if kind else None


def run_of(path: Path) -> Path | None:
    """Returns the folder of the run that a file of weights lies in; None if it lies elsewhere."""
    return path.parents[2] if path.parent.parent.name == "checkpoints" else None


def training_of(path: Path) -> Training | None:
    """Reads how the model in a file was trained; None if the file does not lie in a run.

    Raises:
        UserError: a file of the run is damaged.
    """
    folder = run_of(path)
    if folder is None:
        return None
    run = read_run(folder)
    data, environment = run.config.get("data", {}), run.environment
    states = {file.parent.name: load_tensors(file) for file in checkpoints(folder)}
    stages = [stage for stage in STAGES if stage in run.config.get("stages", [])]
    last = stages.index(path.parent.name) + 1 if path.parent.name in stages else len(stages)
    return Training(
        dataset=_dataset(data),
        of_photographs=str(data.get("_target_")).endswith(("Div2kData", "SkimageData")),
        photos=_photos(states.values()),
        batch=data.get("batch_size"),
        crop=data.get("crop"),
        degradation=run.config.get("degradation") or {},
        init_from=_origin(run.config.get("init_from")),
        stages=tuple(
            Stage(
                stage,
                _updates(states.get(stage, {})),
                (run.config.get(stage, {}).get("loss") or {}).get("weights") or {},
            )
            for stage in stages[:last]
        ),
        torch=environment.get("packages", {}).get("torch"),
        device=environment.get("gpu") or environment.get("cpu"),
    )


def _dataset(data: Mapping[str, Any]) -> str | None:
    """Returns the name of the folder of photographs, without where it was."""
    kind = str(data.get("_target_", "")).rpartition(".")[2]
    if kind == "Div2kData":
        return "DIV2K"
    if kind == "SkimageData":
        return "photographs bundled with scikit-image"
    return Path(data["train_dir"]).name if data.get("train_dir") else None


def _photos(states: Iterable[Mapping[str, Any]]) -> int | None:
    for state in states:
        about = state.get("sr_gan")
        found = re.match(r"(\d+) to train on", str((about or {}).get("photos")))
        if found:
            return int(found[1])
    return None


def _updates(state: Mapping[str, Any]) -> int | None:
    """Reads the number of updates from a checkpoint, where Lightning counts batches."""
    try:
        progress = state["loops"]["fit_loop"]["epoch_loop.batch_progress"]
        return int(progress["total"]["processed"])
    except (KeyError, TypeError, ValueError):
        return None


def _origin(init_from: Any) -> str | None:
    """Returns what a training started from, without the folders of a machine."""
    if not init_from:
        return None
    text = str(init_from)
    if text.startswith(SCHEME) or text in bundled_models():
        return text
    path = relative(Path(text))
    return path.name if path.is_absolute() or ".." in path.parts else path.as_posix()
