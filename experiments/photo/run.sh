#!/usr/bin/env bash
# Trains the model for damaged photographs, and evaluates it beside bicubic and the model gan.
#
#   experiments/photo/run.sh PHOTOS VALID SQUEEZENET_FILE ALEXNET_FILE BENCHMARKS [KEY=VALUE ...]
#
# BENCHMARKS is a folder with Set5 and Set14. Writes the tables to RESULTS (default: results/ beside
# this script). The measurements take about ten minutes on two cores.
set -euo pipefail
photos=$1 valid=$2 squeezenet=$3 alexnet=$4 benchmarks=$5
shift 5
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
python=${PYTHON:-python}
run=runs/photo/study
"$python" -m sr_gan.train experiment=photo init_from=psnr hydra.run.dir="$run" \
  data.train_dir="$photos" data.valid_dir="$valid" gan.loss.content.lpips.weights="$squeezenet" \
  callbacks.lpips.weights="$alexnet" "$@"
"$python" "$here/windows.py" "$valid" "$results/windows"
"$python" -m sr_gan.evaluate model="[gan,$run]" degradation=kinds lpips="$alexnet" \
  lpips_squeeze="$squeezenet" output="$results" \
  benchmark="[$results/windows,$benchmarks/Set14,$benchmarks/Set5]"
