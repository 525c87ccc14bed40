#!/usr/bin/env bash
# Trains twelve small GANs from one pretrain, with four adversarial weights for each of three content
# losses, and writes their report.
#
#   experiments/loss_weights/run.sh ALEXNET_FILE [KEY=VALUE ...]
#
# This is `make sweep` with LPIPS. When it is run again, it skips the jobs that have finished. The
# results are copied to RESULTS (default: results/ beside this script).
set -euo pipefail
alexnet=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
python=${PYTHON:-python}
start=runs/sweep_cpu_start
[ -f "$start/summary.json" ] ||
  "$python" -m sr_gan.train experiment=quickstart 'stages=[pretrain]' hydra.run.dir="$start" "$@"
"$python" -m sr_gan.train -m experiment=sweep_cpu callbacks.lpips.weights="$alexnet" "$@"
for job in runs/sweep_cpu/*/summary.json; do
  job=$(dirname "$job")
  mkdir -p "$results/jobs/$(basename "$job")"
  cp "$job"/{metrics.csv,config.yaml,summary.json} "$results/jobs/$(basename "$job")"
done
cp runs/sweep_cpu/report/figures/runs-strip.png "$results"
