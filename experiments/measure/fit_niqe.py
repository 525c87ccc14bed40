"""Fits the parameters of NIQE to photographs, as its authors did.

    python experiments/measure/fit_niqe.py FOLDER OUTPUT.npz

Of every photograph the blocks count whose sharpness is above 0.75 of the photograph's sharpest.
Source: Mittal, Soundararajan and Bovik 2013, section II-C.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from sr_gan.images.decode import decode
from sr_gan.metrics.niqe import features

_SHARP = 0.75


def main(folder: Path, output: Path) -> None:
    kept = []
    for path in sorted(folder.iterdir()):
        rows = list(features(torch.from_numpy(decode(path))[None]))
        if not rows:
            continue  # smaller than a block
        found, sharpness = (np.concatenate(part) for part in zip(*rows))
        kept.append(found[sharpness > _SHARP * sharpness.max()])
    blocks = np.concatenate(kept)
    usable = blocks[~np.isnan(blocks).any(axis=1)]
    np.savez(
        output,
        mu_pris_param=np.nanmean(blocks, axis=0)[None],
        cov_pris_param=np.cov(usable, rowvar=False),
    )
    print(f"{len(kept)} photographs, {len(blocks)} blocks")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
