"""``python -m sr_gan.bench PART``: measures a part and writes a table and a JSON file."""

import sys

from sr_gan.bench.data import bench_data
from sr_gan.bench.train import bench_train
from sr_gan.bench.upscale import bench_upscale
from sr_gan.cli import command

BENCHES = {"train": bench_train, "data": bench_data, "upscale": bench_upscale}

if __name__ == "__main__":
    part = sys.argv[1] if len(sys.argv) > 1 else ""
    if part not in BENCHES:
        usage = f"python -m sr_gan.bench PART [KEY=VALUE ...]: PART is one of {', '.join(BENCHES)}"
        if part in ("-h", "--help"):
            print(f"{usage}; PART --help tells the settings")
            sys.exit(0)
        sys.exit(f"error: {usage}")
    arguments = ["bench.compare=true" if x == "--compare" else x for x in sys.argv[2:]]
    sys.argv[1:] = arguments
    command(BENCHES[part], f"bench_{part}", verbatim=("model",) if part == "upscale" else ())
