"""Settings of what an evaluation measures."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, NonNegativeInt

from sr_gan.arguments import LPIPSWeights, NIQEParameters
from sr_gan.settings.options import Settings, as_list, option, path

LPIPS = path(
    "The weights of AlexNet for LPIPS. Without it they are looked for in torch's cache.",
    "FILE|download",
    None,
)


class Measures(Settings):
    """What to measure of every image, and by which convention.

    Raises:
        ValueError: a value is not allowed; the message names it.
    """

    convention: Literal["srgan", "matlab", "pytorch"] = option(
        "How papers take luma for PSNR-Y and SSIM-Y. srgan keeps grey images, and does not round "
        "Y; matlab rounds Y (0.01 to 0.02 dB less); pytorch takes grey images as RGB (0.09 dB more "
        "on Set14).",
        "srgan|matlab|pytorch",
        "srgan",
    )
    border: NonNegativeInt | None = option(
        "The pixels that are cut from each side for PSNR, SSIM, grain, grid and NIQE. Without it "
        "as many as the scale factor.",
        "N",
        None,
    )
    lpips: LPIPSWeights | None = LPIPS
    lpips_squeeze: LPIPSWeights | None = path(
        "The weights of SqueezeNet. LPIPS is then measured with SqueezeNet, too, for models that "
        "were trained on LPIPS with AlexNet.",
        "FILE|download",
        None,
    )
    lpips_vgg: LPIPSWeights | None = path(
        "The weights of VGG16. LPIPS is then measured with VGG16, too.", "FILE|download", None
    )
    dists: LPIPSWeights | None = path(
        "The weights of VGG16. DISTS is then measured, which tolerates texture that is resampled.",
        "FILE|download",
        None,
    )
    niqe: NIQEParameters | None = path(
        "NIQE is measured, which needs no photograph. fitted takes the parameters that we fitted "
        "to photographs; papers report values by niqe_pris_params.npz of BasicSR.",
        "fitted|FILE",
        None,
    )
    pyiqa: Annotated[list[str], BeforeValidator(as_list)] = option(
        "A measure of the package pyiqa, or a list of them, such as [musiq,topiq_fr]. It needs the "
        "extra sr_gan[pyiqa].",
        "NAME",
        [],
    )
