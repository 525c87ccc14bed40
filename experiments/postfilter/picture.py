"""Draws the cat after Gaussian filters of several sigmas.

python experiments/postfilter/picture.py FILE NAME=MODEL ...
"""

import sys

import matplotlib.pyplot as plt
import torch
from skimage import data

from sr_gan import Upscaler
from sr_gan.images.resize import downscale

SIGMAS = (0.0, 0.4, 0.6, 0.8, 1.0, 1.5)
TOP, LEFT, SIDE = 60, 130, 120  # the crop that is shown, in pixels


def main(file: str, *models: str) -> None:
    photo = torch.from_numpy(data.chelsea()[:300, :448].copy()).permute(2, 0, 1)
    small = downscale(photo[None], 4)[0]
    figure, rows = plt.subplots(
        len(models), len(SIGMAS) + 1, figsize=(14, 2.3 * len(models)), squeeze=False
    )
    for row, (name, _, model) in zip(rows, (entry.partition("=") for entry in models)):
        for axes, sigma in zip(row, SIGMAS):
            large = Upscaler.from_pretrained(model, smooth_sigma=sigma)(small)
            axes.imshow(_crop(large), interpolation="nearest")
            axes.set_title(f"{name}, sigma {sigma:g}" if sigma else f"{name}, as it is", fontsize=9)
        row[-1].imshow(_crop(photo), interpolation="nearest")
        row[-1].set_title("photograph", fontsize=9)
    for axes in rows.flat:
        axes.axis("off")
    figure.tight_layout(pad=0.3)
    figure.savefig(file, dpi=110)


def _crop(image: torch.Tensor) -> torch.Tensor:
    return image[:, TOP : TOP + SIDE, LEFT : LEFT + SIDE].permute(1, 2, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
