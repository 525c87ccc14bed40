#!/usr/bin/env bash
# The data benchmark, on a GPU where there is one: the feeder's indexed read, the GPU's tests, a table.
#
#   experiments/data_speed/run.sh PHOTOS [KEY=VALUE ...]
#
# PHOTOS is a folder of photographs of about 1600 pixels or more. Writes to RESULTS (default: results/ beside
# this script) and takes about seven minutes on two cores; growth=[] leaves out the longest part.
set -euo pipefail
photos=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
mkdir -p "$results"
"${PYTHON:-python}" -m pytest "$here/../../tests/data" -m gpu -rs | tee "$results/gpu-tests.txt"
"${PYTHON:-python}" -m sr_gan.bench data photos="$photos" images=100 output="$results/bench-data.json" "$@" |
  tee "$results/bench-data.txt"
