"""The entry of a model for OpenModelDB, the catalogue of community models.

Source: ``src/lib/schema.ts`` and ``src/lib/model-props.ts`` of OpenModelDB/open-model-database at
commit 0530e76, which has the types and limits of all fields, and its entries in ``data/models`` at
commit 7c74e9f, which also have resources of the type ``safetensors``.
"""

import hashlib
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from sr_gan.exports.facts import Facts
from sr_gan.exports.training import Training

_ARCHITECTURES = {  # its identifiers; another architecture has to be added to it first
    "SRResNet": "sr-res-net",
    "MSRResNet": "sr-res-net",
    "RRDBNet": "esrgan",
    "CompactNet": "compact",
}
_RESOURCES = {  # by the suffix of a file: platform and type
    ".pth": ("pytorch", "pth"),
    ".safetensors": ("pytorch", "safetensors"),
    ".onnx": ("onnx", "onnx"),
}
_SIZES = {"filters": "nf", "blocks": "nb"}
_SIZES_OF_COMPACT = {"filters": "nf", "blocks": "nc"}
_MODEL = re.compile(r"\d+x(-[A-Za-z0-9]+)+")  # an identifier of its entries
_REQUIRED = ("author", "license", "tags", "description", "architecture")


def entry(facts: Facts, files: Sequence[Path]) -> dict[str, Any]:
    """Returns the entry of a model; fields that only its author knows are empty.

    Args:
        facts: what is known about the model.
        files: its files; those of other formats than OpenModelDB's are left out.
    """
    units = _SIZES_OF_COMPACT if facts.network == "CompactNet" else _SIZES
    sizes = [
        f"{facts.arguments[key]}{unit}" for key, unit in units.items() if key in facts.arguments
    ]
    return {
        "name": facts.name,
        "author": _identifier(facts.author or ""),
        "license": facts.license,
        "tags": _tags(facts),
        "description": "",
        "date": date.today().isoformat(),
        "architecture": _ARCHITECTURES.get(facts.network, ""),
        "size": sizes or None,
        "scale": facts.scale,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [_resource(path) for path in files if path.suffix in _RESOURCES],
        **(_training(facts.training) if facts.training else {}),
        "images": [],
    }


def blanks(entry: dict[str, Any]) -> list[str]:
    """Returns the names of the fields that an entry needs and that are empty."""
    names = [name for name in _REQUIRED if not entry[name]]
    if not entry["resources"] or any(not each["urls"] for each in entry["resources"]):
        names.append("resources.urls")
    return names


def file_name(facts: Facts) -> str:
    """Returns the name of the entry's file, which is the identifier of the model: ``4x-My-Net``."""
    return f"{facts.scale}x-{_identifier(facts.name) or 'model'}.json"


def _identifier(text: str) -> str:
    """Returns a text in the form that OpenModelDB's identifiers have."""
    return "-".join(re.findall(r"[A-Za-z0-9]+", text))


def _resource(path: Path) -> dict[str, Any]:
    platform, kind = _RESOURCES[path.suffix]
    content = path.read_bytes()
    return {
        "platform": platform,
        "type": kind,
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "urls": [],
    }


def _tags(facts: Facts) -> list[str]:
    """Returns the tags that follow from the training; others are the author's choice."""
    degradation = facts.training.degradation if facts.training else {}
    of_photographs = facts.bundled_card or (facts.training and facts.training.of_photographs)
    tags = {
        "photo": of_photographs,
        "jpeg": degradation.get("jpeg_quality"),
        "denoise": any(degradation.get("noise_sigma") or []),
        "deblur": any(degradation.get("blur_sigma") or []),
    }
    return [tag for tag, applies in tags.items() if applies]


def _training(training: Training) -> dict[str, Any]:
    """Returns what is known of a training under OpenModelDB's names."""
    origin = Path(training.init_from or "").stem
    updates = [stage.updates for stage in training.stages]
    known = {
        "trainingIterations": sum(n for n in updates if n) if all(updates) else None,
        "trainingBatchSize": training.batch,
        "trainingHRSize": training.crop,
        "trainingOTF": training.degrades,
        "dataset": training.dataset,
        "datasetSize": training.photos,
        "pretrainedModelG": origin if _MODEL.fullmatch(origin) else None,
    }
    return {name: value for name, value in known.items() if value is not None}
