"""Entries for OpenModelDB satisfy its rules once their blanks are filled in.

The rules are those of ``MODEL_PROPS`` in its ``src/lib/model-props.ts`` at commit 0530e76, in our
own words, with the type ``safetensors`` of its later entries.
"""

import hashlib
import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from sr_gan.exports import openmodeldb
from sr_gan.exports.facts import Facts
from sr_gan.exports.training import Stage, Training

IDENTIFIER = r"[a-zA-Z0-9]+(?:-[a-zA-Z0-9]+)*"
AT_LEAST_1 = ("trainingIterations", "trainingBatchSize", "trainingHRSize", "datasetSize")


def violations(entry: dict[str, Any]) -> list[str]:
    """Returns the fields that OpenModelDB would refuse."""
    rules = {
        "name": lambda x: isinstance(x, str) and x,
        "author": lambda x: re.fullmatch(IDENTIFIER, x),
        "license": lambda x: isinstance(x, str) and x,  # a null is allowed, and means none is given
        "tags": lambda x: x and all(re.fullmatch(IDENTIFIER, tag) for tag in x),
        "description": lambda x: x and x == x.strip(),
        "date": lambda x: date.fromisoformat(x),
        "architecture": lambda x: x in ("esrgan", "compact", "sr-res-net"),
        "size": lambda x: x is None or (x and all(x)),
        "scale": lambda x: type(x) is int and 1 <= x <= 16,
        "inputChannels": lambda x: type(x) is int and 1 <= x <= 4,
        "outputChannels": lambda x: type(x) is int and 1 <= x <= 4,
        "images": lambda x: isinstance(x, list),
    }
    wrong = [name for name, rule in rules.items() if not rule(entry[name])]
    wrong += [name for name in AT_LEAST_1 if name in entry and not entry[name] >= 1]
    if not entry["resources"] or not all(map(resource_fits, entry["resources"])):
        wrong.append("resources.urls")
    known = {*rules, *AT_LEAST_1, "resources", "trainingOTF", "dataset", "pretrainedModelG"}
    return wrong + sorted(entry.keys() - known)


def resource_fits(resource: dict[str, Any]) -> bool:
    return (
        resource["platform"] in ("pytorch", "onnx", "ncnn")
        and resource["type"] in ("pth", "safetensors", "onnx")
        and resource["size"] >= 1
        and bool(re.fullmatch("[0-9a-f]{64}", resource["sha256"]))
        and len(resource["urls"]) > 0
    )


def facts(**changed: Any) -> Facts:
    training = Training(
        dataset="Birds",
        photos=170,
        batch=8,
        crop=96,
        degradation={"_target_": "a.Degradation", "jpeg_quality": [30, 95], "noise_sigma": [0, 0]},
        init_from=changed.pop("init_from", "models/4x_Other.pth"),
        stages=(Stage("pretrain", 100, {}), Stage("gan", changed.pop("updates", 50), {})),
        torch=None,
        device=None,
        of_photographs=False,
    )
    known: dict[str, Any] = {
        "name": "My Net_2",
        "scale": 4,
        "network": "RRDBNet",
        "arguments": {"scale": 4, "filters": 64, "blocks": 16, "growth": 32},
        "parameters": 1,
        "reach": 1,
        "digest": "",
        "author": None,
        "license": None,
        "training": training,
        "scores": (),
    }
    return Facts(**{**known, **changed})


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("n.pth", "n.onnx", "n.safetensors", "n.param", "n.bin")]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def test_an_entry_fits_when_its_blanks_are_filled_in(files: list[Path]) -> None:
    entry = openmodeldb.entry(facts(), files)
    assert openmodeldb.blanks(entry) == ["author", "license", "description", "resources.urls"]
    assert violations(entry) == openmodeldb.blanks(entry)
    entry |= {"author": "jane", "license": "MIT", "description": "For birds."}
    for resource in entry["resources"]:
        resource["urls"] = ["https://example.org/n"]
    assert violations(entry) == openmodeldb.blanks(entry) == []
    assert openmodeldb.file_name(facts()) == "4x-My-Net-2.json"
    assert re.fullmatch(rf"\d+x-{IDENTIFIER}\.json", openmodeldb.file_name(facts(name="ü")))


def test_an_entry_says_what_is_known(files: list[Path]) -> None:
    entry = openmodeldb.entry(facts(author="Jane Doe", license="MIT"), files)
    expected = {
        "author": "Jane-Doe",
        "size": ["64nf", "16nb"],
        "architecture": "esrgan",
        "trainingIterations": 150,
        "trainingOTF": True,
        "datasetSize": 170,
        "tags": ["jpeg"],
    }
    assert expected.items() <= entry.items()
    assert "pretrainedModelG" not in entry  # 4x_Other is no identifier
    assert [each["type"] for each in entry["resources"]] == ["pth", "onnx", "safetensors"]
    first = entry["resources"][0]
    assert (first["size"], first["sha256"]) == (5, hashlib.sha256(b"n.pth").hexdigest())
    start = openmodeldb.entry(facts(init_from="x/4x-Other-2.pth"), files)
    assert start["pretrainedModelG"] == "4x-Other-2"


def test_what_is_not_known_is_not_there(files: list[Path]) -> None:
    assert "trainingIterations" not in openmodeldb.entry(facts(updates=None), files)
    entry = openmodeldb.entry(facts(training=None, network="Mine", arguments={}), [])
    assert not [name for name in entry if name.startswith("training") or "dataset" in name]
    assert entry["size"] is None
    assert {"tags", "architecture", "resources.urls"} <= set(openmodeldb.blanks(entry))
    assert set(violations(entry)) == set(openmodeldb.blanks(entry))
