"""``python -m sr_gan.bench PART``: measures a part, prints tables and writes a JSON file.

PyTorch takes seconds to import, so that each function below imports what measures its part once
the settings have been checked.
"""

import logging
import os
import sys
import tempfile
from pathlib import Path

from omegaconf import DictConfig

from sr_gan.bench.result import write_result
from sr_gan.cli import command, quieten
from sr_gan.files import check_writable, user_path
from sr_gan.runs.folder import find_weights
from sr_gan.settings.check import check
from sr_gan.settings.explain import memory_advice
from sr_gan.settings.schema import BenchDataConfig, BenchTrainConfig, BenchUpscaleConfig


def _train(cfg: DictConfig) -> None:
    """Measures the updates of a GAN stage, on photographs that it makes where none are given."""
    with tempfile.TemporaryDirectory(prefix="sr_gan-bench-") as scratch:
        cfg.run_dir, photos = scratch, Path(scratch) / "photos"
        given = cfg.data.train_dir is not None
        if not given:
            photos.mkdir()
            cfg.data.train_dir, cfg.data.cache_dir = str(photos), scratch
        check(cfg, BenchTrainConfig)
        check_writable([user_path(cfg.bench.output)], f"bench.output={cfg.bench.output}")
        from sr_gan.bench.make_photos import make_photos
        from sr_gan.bench.train import describe, measure

        quieten()
        first = os.environ.get("RANK", "0") == "0"  # of several processes, one speaks
        logging.getLogger("sr_gan.bench").setLevel(logging.INFO if first else logging.WARNING)
        if not given:
            make_photos(photos, cfg.bench.photos)
        with memory_advice(cfg):
            result = measure(cfg)
    if first:
        write_result(result, describe(result), cfg.bench.output)


def _data(cfg: DictConfig) -> None:
    """Measures crops per second, the building of the cache, and memory."""
    settings = check(cfg, BenchDataConfig)
    check_writable([user_path(settings["output"])], f"output={settings['output']}")
    from sr_gan.bench.data import describe, measure

    result = measure(settings)
    write_result(result, describe(result), settings["output"])


def _upscale(cfg: DictConfig) -> None:
    """Measures every way to enlarge a photograph that works on this machine."""
    settings = check(cfg, BenchUpscaleConfig)
    check_writable([user_path(settings["output"])], f"output={settings['output']}")
    if settings["model"] is not None:
        find_weights(settings["model"], "model", ("last.ckpt",))
    from sr_gan.bench.upscale import describe, measure

    result = measure(settings)
    write_result(result, describe(result), settings["output"])


BENCHES = {"train": _train, "data": _data, "upscale": _upscale}

if __name__ == "__main__":
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    if part not in BENCHES:
        usage = f"python -m sr_gan.bench PART [KEY=VALUE ...]: PART is one of {', '.join(BENCHES)}"
        if part in ("-h", "--help"):
            print(f"{usage}; PART --help describes the settings")
            sys.exit(0)
        sys.exit(f"error: {usage}")
    del sys.argv[1]
    command(BENCHES[part], f"bench_{part}")
