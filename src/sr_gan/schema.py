"""The typed top level of a training run, and the checks before anything is made."""

import difflib
import inspect
import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, ClassVar, Literal, get_type_hints

import torch
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    TypeAdapter,
    ValidationError,
)
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from sr_gan.errors import UserError
from sr_gan.machine import installed

Stage = Literal["pretrain", "gan"]
_EXTRAS = {"mlflow", "wandb"}  # loggers whose package is an extra of that name


class Config(BaseModel):
    """The top level of a command's configuration. Each node that has a ``_target_`` is checked
    against its signature; those in ``built`` must have one."""

    model_config = ConfigDict(extra="forbid", strict=True)
    built: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def check_settings(settings: dict[str, Any]) -> None:
        """Refuses, with a UserError, settings that contradict each other."""


class HealthConfig(BaseModel):
    """How a GAN stage is watched, see :class:`sr_gan.callbacks.Health`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    every: PositiveInt
    act: bool


class TrainConfig(Config):
    """The top level of ``conf/train.yaml``."""

    built = ("generator", "discriminator", "adversarial", "pretrain", "gan", "data", "trainer")

    stages: list[Stage]
    stage: Stage
    scale: Literal[2, 4, 8]
    seed: int
    init_from: str | None
    ckpt_path: str | None
    run_dir: str
    generator: dict[str, Any]
    discriminator: dict[str, Any]
    adversarial: dict[str, Any]
    penalty: dict[str, Any] | None
    pretrain: dict[str, Any]
    gan: dict[str, Any]
    data: dict[str, Any]
    degradation: dict[str, Any]
    health: HealthConfig
    trainer: dict[str, Any]
    callbacks: dict[str, dict[str, Any] | None]
    logger: dict[str, dict[str, Any] | None]

    @staticmethod
    def check_settings(settings: dict[str, Any]) -> None:
        _check_packages(settings["logger"])
        _check_contradictions(settings)


class PrepareConfig(Config):
    """The top level of ``conf/prepare.yaml``."""

    built = ("data",)

    scale: Literal[2, 4, 8]
    seed: int
    data: dict[str, Any]
    degradation: dict[str, Any]


class BenchDataConfig(Config):
    """The top level of ``conf/bench_data.yaml``."""

    photos: str | None
    images: PositiveInt
    width: PositiveInt
    height: PositiveInt
    scale: Literal[2, 4, 8]
    crop: PositiveInt
    batch_size: PositiveInt
    seconds: PositiveFloat
    rounds: PositiveInt
    workers: list[NonNegativeInt]
    growth: list[PositiveInt]
    device: Literal["auto", "cpu", "cuda"]
    folder: str | None
    output: str


class BenchUpscaleConfig(Config):
    """The top level of ``conf/bench_upscale.yaml``."""

    model: str | None
    width: Annotated[int, Field(ge=16)]
    height: Annotated[int, Field(ge=16)]
    rounds: PositiveInt
    device: str
    output: str


class TrainBench(BaseModel):
    """How :mod:`sr_gan.bench.train` measures."""

    model_config = ConfigDict(extra="forbid", strict=True)

    updates: PositiveInt
    warm_up: PositiveInt
    rounds: PositiveInt
    compare: bool
    photos: PositiveInt
    growth: dict[str, list[Any]] | None
    trace: str | None
    output: str


class BenchTrainConfig(TrainConfig):
    """The top level of ``conf/bench_train.yaml``: a run, and how to measure it."""

    bench: TrainBench


class EnlargingConfig(Config):
    """What commands are told that enlarge images."""

    model: str | None
    device: str
    backend: Literal["torch", "openvino"]
    precision: Literal["auto", "fp32", "fp16", "bf16", "int8"]
    tile: PositiveInt | None
    x8: bool
    smooth_sigma: NonNegativeFloat
    smooth: Literal["plain", "guided"]
    consistency: bool


class EvaluateConfig(EnlargingConfig):
    """The top level of ``conf/evaluate.yaml``."""

    built = ("degradation",)

    benchmark: str | list[str]
    scale: PositiveInt
    lr: str | None
    degradation: dict[str, Any]
    lpips: str | None
    lpips_squeeze: str | None
    output: str | None


class UpscaleConfig(EnlargingConfig):
    """The top level of ``conf/upscale.yaml``."""

    input: str | list[str]
    output: str
    scale: PositiveInt | None
    outscale: Annotated[float, Field(gt=0, strict=False, allow_inf_nan=False)] | None
    width: PositiveInt | None
    height: PositiveInt | None
    longest: PositiveInt | None
    format: str | None
    quality: Annotated[int, Field(ge=1, le=100)]
    overwrite: bool
    max_megapixels: PositiveInt | PositiveFloat


class InterpolateConfig(Config):
    """The top level of ``conf/interpolate.yaml``."""

    a: str
    b: str
    alpha: str | float | int | list[float | int]
    benchmark: str | list[str] | None
    lpips: str | None
    photos: str | None
    device: str
    output: str


class ReportConfig(Config):
    """The top level of ``conf/report.yaml``."""

    run: str | list[str] | None
    output: str | None
    epochs: list[NonNegativeInt] | None


def check(cfg: DictConfig, schema: type[Config] = TrainConfig) -> dict[str, Any]:
    """Checks a composed configuration before anything is made: the plain, resolved dict.

    Raises:
        UserError: a value is missing, of a wrong type or not allowed, a key is unknown, or two
            settings contradict each other. The message is one line and names the key.
    """
    if cfg.get("stages") == []:
        raise UserError("stages=[]: allowed are [pretrain], [gan] and [pretrain,gan]")
    try:
        plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        raise UserError(_missing(error)) from error
    settings = {str(key): value for key, value in dict(plain).items()}  # type: ignore[arg-type]
    try:
        schema.model_validate(settings)
    except ValidationError as error:
        raise UserError(_complaint(error, allowed=schema.model_fields)) from error
    for name in schema.built:
        if "_target_" not in settings[name]:
            raise UserError(f"{name} is a part of other choices, not one itself: see --help")
    _check_targets(settings, "")
    schema.check_settings(settings)
    return settings


def _missing(error: OmegaConfBaseException) -> str:
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} is not set: give it on the command line, {error.full_key}=VALUE"
    return str(error).splitlines()[0]


def _complaint(
    error: ValidationError, key: str = "", expected: str = "", allowed: Iterable[str] = ()
) -> str:
    """pydantic's first complaint as ``key=value: what is allowed``."""
    errors = error.errors()
    first = errors[0]
    key = key or ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{key} is not a setting{suggest(key, allowed)}"
    if first["type"] == "missing":
        return f"{key} is missing: choose {key}=CHOICE, see --help"
    literals = dict.fromkeys(e["ctx"]["expected"] for e in errors if e["type"] == "literal_error")
    if literals:
        return f"{key}={first['input']}: allowed is {', '.join(literals)}"
    return f"{key}={first['input']}: {expected or first['msg'].removeprefix('Input ')}"


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
            raise UserError(
                f"{key}.{name} is not a setting of {target.__name__}{suggest(name, allowed)}"
            )
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
        adapter = TypeAdapter(
            annotation, config=ConfigDict(arbitrary_types_allowed=True, strict=True)
        )
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation, TypeError):
        return  # an annotation that only a type checker understands
    try:
        adapter.validate_python(value)
    except ValidationError as error:
        names = annotation.__name__ if isinstance(annotation, type) else str(annotation)
        names = re.sub(r"\b(typing|collections\.abc)\.", "", names)
        names = re.sub(r"^Optional\[(.*)\]$", r"\1 | None", names)  # as Python 3.10 says it
        if isinstance(value, str) and getattr(annotation, "__module__", "").startswith("sr_gan"):
            names += f"; to choose a file of conf/ use GROUP@{key}={value}, see --help"
        raise UserError(_complaint(error, key, f"expected {names}")) from error


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(_holds_target(inner) for inner in value.values())
    return isinstance(value, list) and any(_holds_target(inner) for inner in value)


def _check_packages(loggers: dict[str, Any]) -> None:
    for name in _EXTRAS & {name for name, node in loggers.items() if node}:
        if not installed(name):
            raise UserError(f"logger={name} needs {name}: pip install 'sr_gan[{name}]'")


def _check_contradictions(plain: dict[str, Any]) -> None:
    stages, trainer = plain["stages"], plain["trainer"]
    if stages not in (["pretrain"], ["gan"], ["pretrain", "gan"]):
        raise UserError(f"stages={stages}: allowed are [pretrain], [gan] and [pretrain,gan]")
    for part in ("generator", "data"):
        if plain[part].get("scale", plain["scale"]) != plain["scale"]:
            raise UserError(
                f"{part}.scale={plain[part]['scale']} contradicts scale={plain['scale']}: "
                "set scale only, the others follow"
            )
    batch, parts = plain["data"].get("batch_size"), plain["gan"].get("accumulate", 1)
    if batch is not None and batch % max(parts, 1):
        raise UserError(f"gan.accumulate={parts} does not divide data.batch_size={batch}")
    discriminator = plain["discriminator"]
    fixed = discriminator.get("crop") if discriminator.get("pooled_size") is None else None
    if "gan" in stages and fixed not in (None, plain["data"]["crop"]):
        raise UserError(
            f"discriminator.crop={fixed} contradicts data.crop={plain['data']['crop']}: set "
            "data.crop only, or use discriminator=vgg_pool, which takes any size"
        )
    if trainer["accelerator"] in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(
            f"trainer.accelerator={trainer['accelerator']}: PyTorch sees no GPU here; "
            "use trainer=cpu or trainer=auto"
        )
    on_cpu = trainer["accelerator"] == "cpu" or not torch.cuda.is_available()
    if on_cpu and str(trainer["precision"]).startswith("16"):
        raise UserError(
            f"trainer.precision={trainer['precision']} needs a GPU: "
            "on a CPU use 32-true or bf16-mixed"
        )


def suggest(name: str, allowed: Iterable[Any]) -> str:
    """``; did you mean x?`` where something is close, and the names that are allowed."""
    names = sorted(str(key) for key in allowed if str(key) != "_target_")
    close = difflib.get_close_matches(name, names, 1)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"{hint} (allowed: {', '.join(names)})"
