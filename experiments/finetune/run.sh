#!/usr/bin/env bash
# Fine-tunes a bundled model on photographs of one kind, and evaluates it before and after on others.
#
#   experiments/finetune/run.sh PHOTOS VALID SQUEEZENET_FILE ALEXNET_FILE [KEY=VALUE ...]
#
# Writes the tables to RESULTS (default: results/ beside this script). About 12 minutes on two cores.
set -euo pipefail
photos=$1 valid=$2 squeezenet=$3 alexnet=$4
shift 4
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
python=${PYTHON:-python}
run=runs/finetune/study
"$python" -m sr_gan.train experiment=finetune hydra.run.dir="$run" data.train_dir="$photos" \
  data.valid_dir="$valid" gan.loss.content.lpips.weights="$squeezenet" \
  callbacks.lpips.weights="$alexnet" logger=none "$@"
for model in gan "$run"; do
  "$python" -m sr_gan.evaluate model="$model" benchmark="$valid" lpips="$alexnet" \
    lpips_squeeze="$squeezenet" output="$results/$(basename "$model")"
done
