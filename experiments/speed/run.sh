#!/usr/bin/env bash
# Compares updates with those of a plain loop, and enlarging with the plain forward, on a GPU where there is one.
#
#   experiments/speed/run.sh [KEY=VALUE ...]
#
#   KEY=VALUE   settings of the updates, as of python -m sr_gan.bench train
#   UPSCALE     settings of enlarging, as of python -m sr_gan.bench upscale: "width=64 rounds=1"
#   GROWTH      settings whose values the cost of an update is measured for; "" leaves this out
#
# Writes to RESULTS (default: results/ beside this script). Takes about five minutes on two cores with GROWTH="".
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
results=${RESULTS:-$here/results}
mkdir -p "$results"
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
export GROWTH=${GROWTH-data.crop=96,144,192 data.batch_size=4,16,32 generator.blocks=8,16,32}
"${PYTHON:-python}" -m experiments.speed.compare bench.output="$results/bench-train.json" "$@" |
  tee "$results/bench-train.txt"
# shellcheck disable=SC2086  # UPSCALE is several words
"${PYTHON:-python}" -m experiments.speed.plain_forward model=psnr ${UPSCALE:-} \
  output="$results/bench-upscale.json" | tee "$results/bench-upscale.txt"
