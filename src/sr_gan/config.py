"""Where conf/ is, the typed top level of a training run, its checks, and build()."""

import difflib
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_type_hints

import hydra
import torch
from hydra.errors import InstantiationException
from hydra.utils import get_class
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from sr_gan.errors import UserError

Stage = Literal["pretrain", "gan"]


class TrainConfig(BaseModel):
    """The top level of ``conf/train.yaml``. Nodes with a ``_target_`` are checked against it."""

    model_config = ConfigDict(extra="forbid", strict=True)

    stages: list[Stage]
    stage: Stage
    scale: Literal[2, 4, 8]
    seed: int
    init_from: str | None
    ckpt_path: str | None
    run_dir: str
    generator: dict[str, Any]
    discriminator: dict[str, Any]
    pretrain: dict[str, Any]
    gan: dict[str, Any]
    data: dict[str, Any]
    trainer: dict[str, Any]
    callbacks: dict[str, dict[str, Any] | None]
    logger: dict[str, dict[str, Any] | None]


def conf_dir() -> Path:
    """The folder of the Hydra configuration: in the package, or beside src/ in a checkout."""
    here = Path(__file__).resolve().parent
    packaged = here / "conf"
    return packaged if packaged.is_dir() else here.parents[1] / "conf"


def build(node: DictConfig, **arguments: Any) -> Any:
    """Instantiates a node and everything inside it; ``arguments`` are objects made elsewhere.

    Raises:
        UserError: a constructor refused its settings; the message names the key.
    """
    key = node._get_full_key("")
    try:
        return hydra.utils.instantiate(node, _convert_="all", _partial_=True)(**arguments)
    except InstantiationException as error:
        cause = error.__cause__
        if not isinstance(cause, (ValueError, TypeError, UserError, MisconfigurationException)):
            raise
        inner = str(error).rsplit("full_key: ", 1)
        raise UserError(f"{inner[1].strip() if len(inner) > 1 else key}: {cause}") from error
    except (ValueError, TypeError, MisconfigurationException) as error:
        raise UserError(f"{key}: {error}") from error


def build_all(nodes: DictConfig) -> list[Any]:
    """Builds each node of a group of named ones; ``null`` switches one off."""
    return [build(node) for node in nodes.values() if node is not None]


def check(cfg: DictConfig) -> dict[str, Any]:
    """Checks a composed training configuration before anything is made: the plain, resolved dict.

    Raises:
        UserError: a value is missing, of a wrong type or not allowed, a key is unknown, or two
            settings contradict each other. The message is one line and names the key.
    """
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(_missing(error)) from error
    assert isinstance(plain, dict)
    try:
        TrainConfig.model_validate(plain)
    except ValidationError as error:
        raise UserError(_first(error)) from error
    _check_targets(plain, "")
    _check_contradictions(plain)
    return {str(key): value for key, value in plain.items()}


def _missing(error: OmegaConfBaseException) -> str:
    text = str(error).splitlines()[0]
    if "Missing mandatory value" in text:
        key = text.rsplit(": ", 1)[1]
        return f"{key} is not set: give it on the command line, {key}=VALUE"
    return text


def _first(error: ValidationError, key: str = "", expected: str = "") -> str:
    """The first complaint of pydantic as ``key=value: what is allowed``."""
    first = error.errors()[0]
    path = ".".join([*filter(None, [key]), *(str(part) for part in first["loc"] if not key)])
    if first["type"] == "extra_forbidden":
        return f"{path} is not a setting; the top level has {', '.join(TrainConfig.model_fields)}"
    if first["type"] == "literal_error":
        return f"{path}={first['input']}: allowed is {first['ctx']['expected']}"
    return f"{path}={first['input']}: {expected or first['msg'].removeprefix('Input ')}"


def _check_targets(node: Any, key: str) -> None:
    """Compares every node that has a ``_target_`` with the signature of what it names."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            _check_targets(item, f"{key}[{i}]")
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        _check_target(node, key)
    for name, value in node.items():
        _check_targets(value, f"{key}.{name}" if key else str(name))


def _check_target(node: dict[str, Any], key: str) -> None:
    try:
        target = get_class(node["_target_"])
    except Exception as error:
        raise UserError(f"{key}._target_={node['_target_']}: {error}") from error
    allowed = dict(_parameters(target))
    for name, value in node.items():
        if name.startswith("_") and name.endswith("_"):
            continue
        if name not in allowed:
            raise UserError(f"{key}.{name} is not a setting of {target.__name__}{suggest(name, allowed)}")
        if not _holds_target(value):
            _check_value(value, allowed[name], f"{key}.{name}")


def _parameters(target: type) -> Iterator[tuple[str, Any]]:
    """Names and annotations of a constructor, through ``**kwargs`` up to the base classes."""
    for owner in target.__mro__:
        if "__init__" not in vars(owner):
            continue
        init = inspect.unwrap(vars(owner)["__init__"])
        try:
            hints = get_type_hints(init)
        except NameError:
            hints = {}
        parameters = list(inspect.signature(init).parameters.values())[1:]
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                yield parameter.name, hints.get(parameter.name, Any)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            return


def _check_value(value: Any, annotation: Any, key: str) -> None:
    try:
        adapter = TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True, strict=True))
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError):
        return  # an annotation that only a type checker understands
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        names = getattr(annotation, "__name__", str(annotation)).replace("typing.", "")
        names = names if "[" not in str(annotation) or "|" in str(annotation) else str(annotation)
        raise UserError(_first(error, key, f"expected {names}")) from error


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(_holds_target(inner) for inner in value.values())
    return isinstance(value, list) and any(_holds_target(inner) for inner in value)


def _check_contradictions(plain: dict[str, Any]) -> None:
    stages, trainer = plain["stages"], plain["trainer"]
    if stages not in (["pretrain"], ["gan"], ["pretrain", "gan"]):
        raise UserError(f"stages={stages}: allowed are [pretrain], [gan] and [pretrain,gan]")
    if plain["init_from"] and plain["ckpt_path"]:
        raise UserError(
            "init_from and ckpt_path contradict: init_from starts a new run from a generator's "
            "weights, ckpt_path goes on with a run; set one of them"
        )
    for part in ("generator", "data"):
        if plain[part].get("scale", plain["scale"]) != plain["scale"]:
            raise UserError(
                f"{part}.scale={plain[part]['scale']} contradicts scale={plain['scale']}: "
                "set scale only, the others follow"
            )
    discriminator = plain["discriminator"]
    fixed = discriminator.get("crop") if discriminator.get("pooled_size") is None else None
    if "gan" in stages and fixed not in (None, plain["data"]["crop"]):
        raise UserError(
            f"discriminator.crop={fixed} contradicts data.crop={plain['data']['crop']}: set "
            "data.crop only, or use discriminator=vgg_pool, which takes any size"
        )
    if trainer["accelerator"] in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            f"trainer.accelerator={trainer['accelerator']}: PyTorch sees no GPU here; use trainer=cpu "
            "or trainer=auto"
        )
    on_cpu = trainer["accelerator"] == "cpu" or not torch.cuda.is_available()
    if on_cpu and str(trainer["precision"]).startswith("16"):
        raise UserError(
            f"trainer.precision={trainer['precision']} needs a GPU: on a CPU use 32-true or bf16-mixed"
        )


def suggest(name: str, allowed: Any) -> str:
    """``; did you mean x?`` where something is close, and the names that are allowed."""
    close = difflib.get_close_matches(str(name), [str(key) for key in allowed], 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{hint} (allowed: {', '.join(sorted(str(key) for key in allowed))})"
