#!/usr/bin/env bash
# Compares the ways to get crops, on a GPU where there is one; the GPU's tests of the data come first.
#
#   experiments/data_speed/run.sh PHOTOS [KEY=VALUE ...]
#
# PHOTOS is a folder of photographs of about 1600 pixels or more. Writes to RESULTS (default: results/ beside
# this script) and takes about seven minutes on two cores. GROWTH="" leaves out the longest part.
set -euo pipefail
photos=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
results=${RESULTS:-$here/results}
mkdir -p "$results"
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
"${PYTHON:-python}" -m pytest "$root/tests/data" -m gpu -rs | tee "$results/gpu-tests.txt"
"${PYTHON:-python}" -m experiments.data_speed.compare photos="$photos" images=100 \
  output="$results/bench-data.json" "$@" | tee "$results/bench-data.txt"
