#!/usr/bin/env bash
# The benchmarks of updates and of enlarging, on a GPU where there is one, and how the cost of an update grows.
#
#   experiments/speed/run.sh [KEY=VALUE ...]        those of the updates; UPSCALE="KEY=VALUE ..." of enlarging
#
# Writes to RESULTS (default: results/ beside this script). About five minutes on two cores without the growth:
# bench.growth=null.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
mkdir -p "$results"
"${PYTHON:-python}" -m sr_gan.bench train --compare bench.output="$results/bench-train.json" \
  'bench.growth={data.crop: [96, 144, 192], data.batch_size: [4, 16, 32], generator.blocks: [8, 16, 32]}' "$@" |
  tee "$results/bench-train.txt"
# shellcheck disable=SC2086  # UPSCALE is several words
"${PYTHON:-python}" -m sr_gan.bench upscale model=psnr ${UPSCALE:-} \
  output="$results/bench-upscale.json" | tee "$results/bench-upscale.txt"
