"""The typed top level of every command's configuration."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from sr_gan.settings.contradictions import check_contradictions
from sr_gan.settings.extras import check_loggers


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

    stages: list[Literal["pretrain", "gan"]]
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
        check_loggers(settings["logger"])
        check_contradictions(settings)


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
