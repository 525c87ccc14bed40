"""What is read from the source of a class is what importing it shows."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Union

import pytest
import yaml
from hydra.utils import get_class

from sr_gan.settings import signatures
from sr_gan.settings.conf import conf_dir


def targets(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if "_target_" in node:
            yield node["_target_"]
        for value in node.values():
            yield from targets(value)


def own_targets() -> list[str]:
    files: list[Path] = sorted(conf_dir().rglob("*.yaml"))
    found = {target for file in files for target in targets(yaml.safe_load(file.read_text()))}
    return sorted(filter(signatures.is_own, found))


def as_text(annotation: Any) -> str:
    """Writes X | None in one way; Python 3.10 has several."""
    return str(Union[annotation, Path])  # noqa: UP007  it is a value


@pytest.mark.parametrize("target", own_targets())
def test_the_source_shows_what_the_class_shows(target: str) -> None:
    read, imported = signatures.parameters(target), dict(signatures._imported(get_class(target)))
    assert list(read) == list(imported)
    differing = {name for name in read if as_text(read[name]) != as_text(imported[name])}
    assert all("torch.nn" in str(imported[name]) for name in differing)  # it is not imported


def test_classes_of_others_are_imported() -> None:
    assert signatures.parameters("torch.nn.L1Loss")["reduction"] is str
    with pytest.raises(ImportError, match=r"sr_gan\.losses has no class L3Loss"):
        signatures.parameters("sr_gan.losses.L3Loss")
    with pytest.raises(ImportError, match=r"there is no module sr_gan\.lozzes"):
        signatures.parameters("sr_gan.lozzes.L1Loss")
