"""A run's generators in half precision, small enough to carry: STAGE-best and STAGE-last.

python experiments/gpu/weights.py RUN FOLDER
"""

import sys
from pathlib import Path

from sr_gan.inference.pretrained import load_pretrained
from sr_gan.runs.folder import FINISHED
from sr_gan.runs.weights import read_weights, save_generator

if __name__ == "__main__":
    run, folder = map(Path, sys.argv[1:])
    for stage in sorted((run / "checkpoints").iterdir()):
        for name, files in {"best": ["best.ckpt"], "last": [FINISHED, "last.ckpt"]}.items():
            found = [stage / file for file in files if (stage / file).exists()]
            if found:
                generator = load_pretrained(str(found[0])).generator.half()
                config = read_weights(found[0], "model").config or {}
                save_generator(generator, config, folder / f"{stage.name}-{name}.safetensors")
