"""Published x4 results on the usual test sets, to compare one's own with.

PSNR is on Y without 4 pixels at each border, with LR by MATLAB's bicubic. LPIPS is version 0.1 with
AlexNet.
"""

# epoch: (D loss, G loss) of the student run that this project reproduces: DIV2K, 400 epochs at 1e-4
ORIGINAL_RUN = {
    0: (0.0317, 1.34),
    99: (6.98e-5, 0.972),
    199: (2.09e-5, 0.887),
    299: (9.66e-6, 0.82),
    399: (4.05e-6, 0.79),
}

SETS = {  # name: (names of its folder, number of images)
    "Set5": (("set5",), 5),
    "Set14": (("set14",), 14),
    "BSD100": (("bsd100", "b100", "bsds100"), 100),
    "Urban100": (("urban100",), 100),
}

# who, with the source: {set: (PSNR-Y in dB or None, LPIPS or None)}
X4: dict[str, dict[str, tuple[float | None, float | None]]] = {
    "bicubic, published": {
        "Set5": (28.42, 0.3407),
        "Set14": (26.00, 0.4393),
        "BSD100": (25.96, 0.5249),
        "Urban100": (23.14, 0.4726),
    },
    "SRResNet (Ledig et al. 2017)": {
        "Set5": (32.05, None),
        "Set14": (28.49, None),
        "BSD100": (27.58, None),
    },
    "SRGAN-VGG54 (Ledig et al. 2017)": {
        "Set5": (29.40, None),
        "Set14": (26.02, None),
        "BSD100": (25.16, None),
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


def recognise(parts: tuple[str, ...], images: int) -> str | None:
    """Returns the test set that a folder's path and number of images stand for, or None."""
    for part in reversed(parts):
        for name, (aliases, count) in SETS.items():
            if part.lower() in aliases and images == count:
                return name
    return None
