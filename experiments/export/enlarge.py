"""Enlarges a photograph by exported files, each in its own runtime, beside upscale.

    python experiments/export/enlarge.py FOLDER PHOTO

FOLDER holds what export wrote of the model gan, in fp32 and fp16. PHOTO is reduced by 4 first. The
results lie in FOLDER/pictures. It prints the seconds, and by how many grey levels a result differs
from PyTorch's.
"""

import sys
from importlib import import_module
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image

from sr_gan import Upscaler
from sr_gan.images.resize import downscale

ENDS = {"onnx": [".onnx"], "ncnn": [".param", ".bin"], "openvino": ["-openvino.xml"]}


def main(folder: Path, photo: Path) -> None:
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    hr = torch.from_numpy(np.array(Image.open(photo).convert("RGB"))).permute(2, 0, 1)[None]
    height, width = (side // 4 * 4 for side in hr.shape[2:])
    lr = downscale(hr[..., :height, :width], 4).float() / 255
    print(f"{photo.name}, {lr.shape[3]}x{lr.shape[2]} pixels")
    upscaler = Upscaler.from_pretrained("gan", device="cpu", precision="fp32")
    began = perf_counter()
    expected = upscaler(lr[0]).numpy()
    print(f"{'upscale':9} {perf_counter() - began:5.1f} s")
    save(expected, pictures / "upscale.png")
    for form, ends in ENDS.items():
        for stem in ("gan-x4", "gan-x4-fp16"):
            files = [folder / f"{stem}{end}" for end in ends]
            run = import_module(f"sr_gan.exports.{form}").load(files)
            began = perf_counter()
            made = run(lr.numpy())[0].clip(0, 1)
            seconds = perf_counter() - began
            levels = 255 * np.abs(made - expected).max()
            print(f"{form:9} {seconds:5.1f} s, at most {levels:.4f} grey levels: {files[0].name}")
            save(made, pictures / f"{files[0].name}.png")


def save(image: np.ndarray, path: Path) -> None:
    pixels = (255 * image.transpose(1, 2, 0)).round().astype(np.uint8)
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
