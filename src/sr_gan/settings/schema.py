"""The typed top level of every command's configuration.

The descriptions of the fields are the help texts of the commands, see :mod:`sr_gan.settings.help`.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

from sr_gan.arguments import Device, Format, LPIPSWeights, PhotoFolder, Scale, Written
from sr_gan.errors import UserError
from sr_gan.settings.contradictions import check_contradictions
from sr_gan.settings.extras import check_formats, check_loggers
from sr_gan.settings.measures import LPIPS, Measures
from sr_gan.settings.options import (
    PATH,
    About,
    Options,
    Settings,
    Size,
    as_list,
    option,
    path,
)


def _package(name: str) -> str:
    if not all(part.isidentifier() for part in name.split(".")):
        raise ValueError("must be the name of a package, such as my_networks")
    return name


Paths = Annotated[list[str], BeforeValidator(as_list), Field(min_length=1)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Folders = Annotated[list[PhotoFolder], BeforeValidator(as_list), Field(min_length=1)]

Packages = Annotated[list[Annotated[str, AfterValidator(_package)]], BeforeValidator(as_list)]


_ALLOW = option(
    "A package of your own, or a list of them, whose networks a model's file may be "
    "built from. It is imported.",
    "PACKAGE",
)
_DEVICE = option("Where to compute. auto takes a GPU if there is one.", "auto|cpu|cuda|cuda:N")


class Config(Settings):
    """The top level of a command's configuration.

    Each node that has a ``_target_`` is checked against the signature of the class that it names.
    The nodes in ``built`` must have one.
    """

    built: ClassVar[tuple[str, ...]] = ()

    @staticmethod
    def check_settings(settings: dict[str, Any]) -> None:
        """Refuses, with a UserError, settings that contradict each other."""


class HealthConfig(BaseModel):
    """How a GAN stage is watched, see :class:`sr_gan.callbacks.Health`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    every: PositiveInt
    intervene: bool


class TrainConfig(Config):
    """The top level of ``conf/train.yaml``."""

    built = ("generator", "discriminator", "adversarial", "pretrain", "gan", "data", "trainer")

    stages: list[Literal["pretrain", "gan"]]
    scale: Scale
    seed: Seed
    init_from: str | None = path(
        "Weights that the generator starts from.", "RUN|FILE|NAME|hf://OWNER/NAME"
    )
    ckpt_path: str | None = path("The run or the checkpoint to resume.", "last|RUN|FILE")
    other_photos: bool
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

    scale: Scale
    seed: Seed
    data: dict[str, Any]
    degradation: dict[str, Any]


class BenchDataConfig(Config):
    """The top level of ``conf/bench_data.yaml``."""

    photos: PhotoFolder | None = path(
        "The photographs that the test files are made of. Without it they are those bundled with "
        "scikit-image.",
        "FOLDER",
    )
    images: Annotated[int, Field(ge=2)] = option(
        "The number of test files, which are PNG of 2040x1356 pixels as DIV2K's.", "N"
    )
    scale: Scale = Field(description="The scale factor between LR and HR.")
    crop: PositiveInt = option("The side of a crop in HR pixels, a multiple of the scale.", "N")
    batch_size: PositiveInt = option("The number of crops in a batch.", "N")
    workers: list[NonNegativeInt] = option(
        "The loader is measured once with each of these numbers of processes; 0 is the "
        "main process. Default: [0,1,2].",
        "[N,N]",
    )
    seconds: PositiveFloat = option("The length of one measurement in seconds.", "3")
    rounds: PositiveInt = option(
        "How often everything is measured, in turn. The best result counts.", "N"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        description="The device that the device feed cuts crops on. auto takes a GPU if there "
        "is one."
    )
    output: str = path("The JSON file to write.", "FILE.json")

    @staticmethod
    def check_settings(settings: dict[str, Any]) -> None:
        crop, scale = settings["crop"], settings["scale"]
        if crop % scale or crop > 1356:  # the height of the test files
            raise UserError(f"crop={crop}: must be a multiple of scale={scale}, at most 1356")


class BenchUpscaleConfig(Config):
    """The top level of ``conf/bench_upscale.yaml``."""

    model: str | None = path(
        "The model, as in python -m sr_gan.upscale. Without it SRResNet with random weights is "
        "measured, and int8 is not.",
        "RUN|FILE|NAME",
    )
    allow: Packages = _ALLOW
    width: Annotated[int, Field(ge=16)] = option(
        "The width of the photograph that is enlarged, in pixels.", "N"
    )
    height: Annotated[int, Field(ge=16)] = option("The height of the photograph.", "N")
    rounds: PositiveInt = option(
        "How often each way enlarges the photograph. The best time counts.", "N"
    )
    device: Device = _DEVICE
    output: str = path("The JSON file to write.", "FILE.json")


class TrainBench(BaseModel):
    """How :mod:`sr_gan.bench.train` measures."""

    model_config = ConfigDict(extra="forbid", strict=True)

    updates: PositiveInt
    warm_up: PositiveInt
    rounds: PositiveInt
    photos: PositiveInt
    trace: str | None
    output: str


class BenchTrainConfig(TrainConfig):
    """The top level of ``conf/bench_train.yaml``: a run, and how to measure it."""

    bench: TrainBench


class EnlargingConfig(Config, Options):
    """The settings shared by the commands that enlarge images."""

    model: str | None = path(
        "The model: a run's folder (its newest weights), a .safetensors, .ckpt or .pth file, the "
        "name of a bundled model, hf://OWNER/NAME[@REVISION][/FILE] of the Hugging Face Hub, "
        "bicubic or lanczos. Without it the default model is used.",
        "RUN|FILE|NAME",
    )
    allow: Packages = _ALLOW


class EvaluateConfig(EnlargingConfig, Measures):
    """The top level of ``conf/evaluate.yaml``."""

    built = ("degradation",)

    model: Paths | None = path(  # type: ignore[assignment]
        "The model, or a list of models that are compared: each is a run's folder (its newest "
        "weights), a .safetensors, .ckpt or .pth file, a bundled model's name, hf://OWNER/NAME of "
        "the Hugging Face Hub, bicubic or lanczos. Without it the default model is used, or only "
        "the pictures of sr.",
        "RUN|FILE|NAME",
    )
    sr: Folders | None = path(
        "A folder of SR pictures that another program made, or a list of them: a/0001.png, "
        "a/0001x4.png or a/0001_SR.png belongs to a/0001.png.",
        "FOLDER",
    )
    benchmark: Folders = path("A folder of HR photographs, or a list of them.", "FOLDER")
    scale: PositiveInt = option("The scale factor of bicubic, lanczos and the pictures of sr.", "N")
    lr: PhotoFolder | None = path(
        "A folder of LR images: a/0001.png or a/0001x4.png belongs to a/0001.png. Without it the "
        "photographs are reduced by the exact bicubic.",
        "FOLDER",
    )
    degradation: dict[str, Any] = option(
        "How LR images are made. jpeg75,noise10 measures them with JPEG artefacts of quality 75, "
        "and with noise of 10 grey levels, in tables of their own; clean is no damage. kinds is "
        "short for clean,jpeg75,jpeg40,noise5,noise10.",
        "bicubic|KIND,KIND,...|kinds",
    )
    page: bool = Field(
        description="Writes a page for each benchmark, too. It shows each image where the results "
        "differ most, with a slider between any two of them and the photograph."
    )
    output: str | None = path(
        "The folder of the tables. Without it they go into the run that the model is from, or into "
        "evaluations/MODEL; those of several models go into evaluations/MODEL+MODEL.",
        "FOLDER",
    )


class UpscaleConfig(EnlargingConfig, Size):
    """The top level of ``conf/upscale.yaml``."""

    input: Paths = path(
        "An image, a folder, a pattern such as 'scans/*.tif', or a list of them.",
        "IMAGE|FOLDER|PATTERN",
    )
    output: str = path("A folder, or the file to write of a single image.", "FOLDER|FILE")
    scale: PositiveInt | None = option(
        "The scale factor, a whole number: any one for bicubic and lanczos, and at most its own "
        "for a model. Without it a model has its own factor, and bicubic and lanczos have 4, or "
        "outscale if that is larger.",
        "2",
    )
    format: Written | None = option(
        "The format of the results. Without it each result has the format of its file.",
        "png|jpg|webp|avif|tiff|bmp",
    )
    quality: Annotated[int, Field(ge=1, le=100)] = option(
        "The quality of JPEG, WebP and AVIF, 1 to 100.", "N"
    )
    overwrite: bool = Field(description="Overwrites results that exist already.")
    max_megapixels: PositiveInt | PositiveFloat = option(
        "Larger files are refused: a small file can claim to be a huge image.", "N"
    )


class InterpolateConfig(Config):
    """The top level of ``conf/interpolate.yaml``."""

    a: str = path("The generator at alpha=0, as a rule one trained for PSNR.", "RUN|FILE")
    b: str = path("The generator at alpha=1, as a rule a GAN of the same architecture.", "RUN|FILE")
    alpha: str | float | int | list[float | int] = option(
        "The mixtures: start:stop:step, a number, or a list of numbers from 0 to 1.",
        "0:1:0.1|0.5|[0.2,0.8]",
    )
    allow: Packages = _ALLOW
    benchmark: Folders | None = path(
        "A folder of HR photographs, or a list of them. Without it the mixtures are written and "
        "not measured.",
        "FOLDER",
    )
    lpips: LPIPSWeights | None = LPIPS
    photos: PhotoFolder | None = path(
        "The photographs on which the statistics of BatchNorm are measured. Without it they are "
        "those bundled with scikit-image.",
        "FOLDER",
    )
    device: Device = _DEVICE
    output: str = path("The folder of the models and of the tables.", "FOLDER")


class ExportConfig(Config, About):
    """The top level of ``conf/export.yaml``."""

    model: str | None = path(
        "The model: a run's folder (its newest weights), a .safetensors, .ckpt or .pth file, the "
        "name of a bundled model, or hf://OWNER/NAME. Without it the default model is exported.",
        "RUN|FILE|NAME",
    )
    allow: Packages = _ALLOW
    format: Annotated[list[Format], BeforeValidator(as_list), Field(min_length=1)] = option(
        "The format, or a list of formats.", "onnx|ncnn|spandrel|basicsr|pt2|openvino|web"
    )
    precision: Literal["fp32", "fp16"] = Field(
        description="The type of the weights in the files. Files in fp16 are half as large and end "
        "in -fp16. pt2 and web have fp32 only."
    )
    web: bool = Field(
        description="Leaves the clipping to [0, 1] out of the ONNX file, for a page that clips "
        "itself."
    )
    runtime: str | None = path(
        "The archive of onnxruntime-web for format=web, where npm cannot fetch it.", "FILE.tgz"
    )
    output: str = path(
        "The folder of the files. Files of the same names and the same model are replaced.",
        "FOLDER",
    )
    overwrite: bool = Field(
        description="Also replaces files of other weights that have the same name, and a page."
    )

    @staticmethod
    def check_settings(settings: dict[str, Any]) -> None:
        check_formats(settings["format"])
        if settings["web"] and settings["format"] != ["onnx"]:
            raise UserError("web=true is for format=onnx: export the other formats without it")
        for name in ("pt2", "web"):
            if settings["precision"] == "fp16" and name in settings["format"]:
                raise UserError(f"precision=fp16: {name} is exported in fp32 only; leave it out")
        if settings["runtime"] and "web" not in settings["format"]:
            raise UserError("runtime is for format=web: leave it out")


class ServeConfig(Config):
    """The top level of ``conf/serve.yaml``."""

    folder: str = path("The folder of the page.", "FOLDER")
    port: Annotated[int, Field(ge=0, le=65535)] = option(
        "The port of the address. 0 takes any free one.", "N"
    )
    host: str = option(
        "The address to listen on. 0.0.0.0 lets other machines of the network see the page.",
        "ADDRESS",
    )


class PublishConfig(Config, About):
    """The top level of ``conf/publish.yaml``."""

    model: str | None = path(
        "The model: the folder of a run (its newest weights), a file of weights, or the name of a "
        "bundled model. Without it the default model is published.",
        "RUN|FILE|NAME",
    )
    repo: str = option("The repository. It is made if it does not exist.", "OWNER/NAME")
    private: bool = Field(description="Makes a new repository private.")
    samples: bool = Field(
        description="Uploads the newest sample picture of the run, too. It shows photographs that "
        "the run was validated on."
    )
    card: str | None = path(
        "A card of your own, such as that of dry_run=true with its blanks filled in. Without it "
        "one is written, and replaces that of an earlier upload.",
        "FILE",
    )
    allow: Packages = _ALLOW
    dry_run: bool = Field(description="Only writes what would be uploaded, into output.")
    output: str = path("The folder that dry_run=true writes.", "FOLDER")


class ReportConfig(Config):
    """The top level of ``conf/report.yaml``."""

    run: Paths | None = path(
        "A run, a folder of runs, a pattern, or a list of them. Without it the newest run is "
        "reported.",
        "RUN|FOLDER|PATTERN",
    )
    output: str | None = path(
        "The folder of the report. Without it the report of one run goes into the run, and that of "
        "several runs beside them.",
        "FOLDER",
    )
    epochs: list[PositiveInt] | None = option(
        "The epochs whose pictures are shown, or the nearest ones that were drawn. "
        "Without it they are those of the original run's table, and the last one.",
        "[1,100,400]",
    )


class DoctorConfig(Config):
    """The top level of ``conf/doctor.yaml``."""

    device: Literal["auto", "cpu", "cuda"] = Field(
        description="Where metrics and training are tried. auto tries the CPU, and a GPU if there "
        "is one."
    )
    lpips: LPIPSWeights | None = LPIPS
    output: str | None = path("A file to which the page is written, too.", "FILE")


SCHEMAS: dict[str, type[Config]] = {  # by the name of the file in conf/
    "train": TrainConfig,
    "prepare": PrepareConfig,
    "evaluate": EvaluateConfig,
    "upscale": UpscaleConfig,
    "interpolate": InterpolateConfig,
    "export": ExportConfig,
    "serve": ServeConfig,
    "publish": PublishConfig,
    "report": ReportConfig,
    "doctor": DoctorConfig,
    "bench_train": BenchTrainConfig,
    "bench_data": BenchDataConfig,
    "bench_upscale": BenchUpscaleConfig,
}


def paths(schema: type[Config]) -> dict[str, bool]:
    """Returns a command's settings that are paths, and whether they can be a list of paths."""
    return {
        name: "list[" in str(field.annotation)
        for name, field in schema.model_fields.items()
        if field.json_schema_extra == PATH
    }
