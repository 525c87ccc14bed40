"""Published x4 results on the usual test sets, to compare one's own with.

PSNR is on Y without 4 pixels at each border, with LR by MATLAB's bicubic. The papers differ in how
they take Y: the SRGAN paper reports 28.43 and 25.99 dB for bicubic on Set5 and Set14, so it neither
rounds Y nor turns grey images into RGB. LPIPS is version 0.1 with AlexNet.
"""

from collections.abc import Mapping
from typing import Any

# epoch: (D loss, G loss) of the student run that this project reproduces, whose own table counts
# them from 0: DIV2K, 400 epochs at 1e-4
ORIGINAL_RUN = {
    1: (0.0317, 1.34),
    100: (6.98e-5, 0.972),
    200: (2.09e-5, 0.887),
    300: (9.66e-6, 0.82),
    400: (4.05e-6, 0.79),
}

_ORIGINAL = {  # what its losses depend on, besides the photographs and the source of VGG19
    "stages": ["gan"],
    "init_from": None,
    "generator._target_": "sr_gan.networks.SRResNet",
    "generator.filters": 64,
    "generator.blocks": 16,
    "generator.end_kernel": 3,
    "generator.icnr": False,
    "discriminator._target_": "sr_gan.networks.VGGDiscriminator",
    "discriminator.norm": "batch",
    "gan.loss.weights": {"vgg": 1.0, "adversarial": 0.001},
    "gan.loss.adversarial._target_": "sr_gan.losses.BCEAdversarialLoss",
    "gan.loss.adversarial.real_label": 1.0,
    "gan.loss.adversarial.fake_label": 0.0,
    "gan.penalty": None,
    "gan.generator_lr": 1e-4,
    "gan.discriminator_lr": 1e-4,
    "gan.ema": 0.0,
    "gan.adversarial_ramp": 0.0,
    "gan.instance_noise": 0.0,
    "gan.discriminator_every": 1,
}
_INTERVENING = ("health.intervene", "health.act")  # the second is the name in older runs

SETS = {  # name: (names of its folder, number of images)
    "Set5": (("set5",), 5),
    "Set14": (("set14",), 14),
    "BSD100": (("bsd100", "b100", "bsds100"), 100),
    "Urban100": (("urban100",), 100),
}

# who, with the convention of PSNR (see sr_gan.metrics.fidelity): {set: (PSNR-Y in dB, LPIPS)}
X4: dict[str, dict[str, tuple[float | None, float | None]]] = {
    "bicubic, published [matlab]": {
        "Set5": (28.42, 0.3407),
        "Set14": (26.00, 0.4393),
        "BSD100": (25.96, 0.5249),
        "Urban100": (23.14, 0.4726),
    },
    "SRResNet (Ledig et al. 2017) [srgan]": {
        "Set5": (32.05, None),
        "Set14": (28.49, None),
        "BSD100": (27.58, None),
    },
    "SRGAN-VGG54 (Ledig et al. 2017) [srgan]": {
        "Set5": (29.40, None),
        "Set14": (26.02, None),
        "BSD100": (25.16, None),
    },
    "IMDN (Hui et al. 2019) [pytorch]": {
        "Set5": (32.21, None),
        "Set14": (28.58, None),
        "BSD100": (27.56, None),
        "Urban100": (26.04, None),
    },
    "SRGAN, re-implemented": {
        "Set5": (None, 0.0882),
        "Set14": (None, 0.1663),
        "BSD100": (None, 0.1980),
        "Urban100": (None, 0.1551),
    },
    "ESRGAN (Wang et al. 2018)": {
        "Set5": (None, 0.0748),
        "Set14": (None, 0.1329),
        "BSD100": (None, 0.1614),
        "Urban100": (None, 0.1229),
    },
}


def reproduces_original(config: Mapping[str, Any]) -> bool:
    """Whether a run has the recipe of :data:`ORIGINAL_RUN`, so that their losses can be compared.

    It has the original's stages, networks, loss and learning rates. The photographs may be others,
    and so may the number of epochs.

    Args:
        config: the resolved configuration of the run.
    """

    def value(key: str) -> Any:
        node: Any = config
        for name in key.split("."):
            node = node.get(name) if isinstance(node, Mapping) else None
        return node

    intervenes = any(value(key) is True for key in _INTERVENING)
    return not intervenes and all(value(key) == wanted for key, wanted in _ORIGINAL.items())


def published(benchmark: str) -> dict[str, dict[str, float | None]]:
    """Returns the published PSNR-Y and LPIPS on a test set, by who measured them.

    The convention of PSNR is part of the name, in brackets.
    """
    rows = ((who, results[benchmark]) for who, results in X4.items() if benchmark in results)
    return {who: {"psnr_y": psnr_y, "lpips": lpips} for who, (psnr_y, lpips) in rows}


def recognise(parts: tuple[str, ...], images: int) -> str | None:
    """Returns the test set that a folder's path and number of images stand for, or None."""
    for part in reversed(parts):
        for name, (aliases, count) in SETS.items():
            if part.lower() in aliases and images == count:
                return name
    return None
