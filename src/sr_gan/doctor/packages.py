"""Checks the installed packages against what they require of each other."""

import platform
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from packaging.requirements import Requirement

from sr_gan import __version__
from sr_gan.doctor.page import Line
from sr_gan.settings.explain import explain

_SHOWN = ("torch", "torchvision", "lightning", "hydra-core", "numpy")
_PINNED = "pip install -c constraints.txt -e . brings versions that are tested together"


def check_packages() -> Iterator[Line]:
    """Versions, those that are outside what this package requires, and the optional extras."""
    yield Line("python", f"{platform.python_version()} on {platform.platform()}")
    shown = [f"{name} {_installed(name) or 'missing'}" for name in _SHOWN]
    yield Line("packages", ", ".join([f"sr_gan {__version__}", *shown]))
    try:
        required = [Requirement(text) for text in requires("sr_gan") or []]
    except PackageNotFoundError:
        text = "sr_gan is not installed but only on the path: what it requires is not known"
        yield Line("requirements", text, "pip install -e .", "note")
        return
    wrong = [_fault(each) for each in required if _applies(each) and not _fits(each)]
    if wrong:
        yield Line("requirements", "; ".join(wrong), _PINNED, "FAIL")
    else:
        yield Line("requirements", "every package that is needed has a version that fits")
    yield from _extras(required)


def check_pair() -> Iterator[Line]:
    """Whether torch is the one that torchvision was built for."""
    needed = [Requirement(text) for text in requires("torchvision") or []]
    built_for = "".join(str(each.specifier) for each in needed if each.name == "torch")
    pair = f"torchvision {version('torchvision')} is built for torch{built_for}"
    advice = "install the two together: pip install --upgrade torch torchvision"
    if not _fits(Requirement(f"torch{built_for}")):
        yield Line("torchvision", f"{pair}, and torch is {version('torch')}", advice, "FAIL")
        return
    try:
        import torch
        from torchvision.ops import nms  # compiled for one version of torch

        nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    except Exception as error:  # a library that cannot be loaded raises anything
        yield Line("torchvision", f"the two cannot be used: {explain(error)}", advice, "FAIL")
    else:
        yield Line("torchvision", f"{pair}, which is installed")


def _extras(required: list[Requirement]) -> Iterator[Line]:
    found, missing = [], []
    for extra in sorted({_extra(each) for each in required} - {"", "dev"}):
        parts = [each for each in required if _extra(each) == extra]
        wrong = [_fault(each) for each in parts if _installed(each.name) and not _fits(each)]
        if wrong:
            advice = f"pip install 'sr_gan[{extra}]'"
            yield Line("extras", f"{extra}: {'; '.join(wrong)}", advice, "FAIL")
        elif all(_installed(each.name) for each in parts):
            found.append(extra)
        else:
            missing.append(extra)
    if found:
        yield Line("extras", f"installed: {', '.join(found)}")
    if missing:
        text = f"not installed, and needed only by choices that name them: {', '.join(missing)}"
        yield Line("extras", text, "pip install 'sr_gan[NAME]'", "note")


def _extra(requirement: Requirement) -> str:
    """The extra that brings a package; empty for one that is always needed."""
    _, quote, rest = str(requirement.marker or "").partition('extra == "')
    return rest.partition('"')[0] if quote else ""


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _fits(requirement: Requirement) -> bool:
    found = _installed(requirement.name)
    return found is not None and requirement.specifier.contains(found, prereleases=True)


def _fault(requirement: Requirement) -> str:
    found = _installed(requirement.name) or "missing"
    return f"{requirement.name} is {found}, and {requirement.specifier} is needed"
