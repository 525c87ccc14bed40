"""Compares NIQE with BasicSR's, on BasicSR's parameters.

    python experiments/measure/check_niqe.py BASICSR IMAGE...

BASICSR is the unpacked source package of basicsr 1.4.2. Its niqe.py is imported alone, as the
package itself does not import with today's torchvision. It needs opencv-python-headless.
"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import scipy.ndimage
import torch
from PIL import Image

from sr_gan.metrics import NIQE


def main(source: Path, images: list[Path]) -> None:
    reference = basicsr_niqe(source)
    ours = NIQE(str(source / "basicsr/metrics/niqe_pris_params.npz"))
    fitted = NIQE()
    print("image  BasicSR  ours  difference  with our parameters")
    for path in images:
        with Image.open(path) as opened:
            pixels = np.array(opened.convert("RGB"))
        theirs = reference.calculate_niqe(pixels[..., ::-1], 4)  # it takes BGR
        image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())[None]
        value = ours(image, 4).item()
        own = fitted(image, 4).item()
        print(f"{path.name}  {theirs:.4f}  {value:.4f}  {value - theirs:+.5f}  {own:.4f}")


def basicsr_niqe(source: Path) -> ModuleType:
    """Imports BasicSR's module of NIQE without the rest of the package."""
    for name in ("basicsr", "basicsr.utils", "basicsr.metrics"):
        package = ModuleType(name)
        package.__path__ = [str(source / name.replace(".", "/"))]
        sys.modules[name] = package
    sys.modules["scipy.ndimage.filters"] = scipy.ndimage  # removed from SciPy
    color = importlib.import_module("basicsr.utils.color_util")
    sys.modules["basicsr.utils"].bgr2ycbcr = color.bgr2ycbcr  # type: ignore[attr-defined]
    return importlib.import_module("basicsr.metrics.niqe")


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
