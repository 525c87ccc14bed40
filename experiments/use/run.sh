#!/usr/bin/env bash
# Trains a sweep over the adversarial weight, evaluates each run on the test sets, and writes a report
# on all of them.
#
#   experiments/use/run.sh PHOTOS VALID ALEXNET_FILE BENCHMARK... [-- KEY=VALUE ...]
#
# Takes about 45 minutes on two CPU cores. The results are in runs/use/report and
# runs/use/*/evaluation.
set -euo pipefail
photos=$1 valid=$2 alexnet=$3
shift 3
benchmarks=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  benchmarks+=("$1")
  shift
done
[ $# -gt 0 ] && shift
python=${PYTHON:-python}

"$python" -m sr_gan.train -m data=folder data.train_dir="$photos" data.valid_dir="$valid" \
  data.valid_images=6 data.valid_crop=384 trainer.check_val_every_n_epoch=3 \
  callbacks.lpips.weights="$alexnet" pretrain.epochs=24 gan.epochs=24 \
  gan.loss.weights.adversarial=1e-4,1e-3,1e-2 hydra.sweep.dir=runs/use "$@"
for run in runs/use/[0-9]*/; do
  for benchmark in "${benchmarks[@]}"; do
    "$python" -m sr_gan.evaluate model="$run" benchmark="$benchmark" lpips="$alexnet"
  done
done
"$python" -m sr_gan.report run=runs/use
