#!/usr/bin/env bash
# Study 3: the run this project reproduces, in full: 20,000 updates of srgan_400ep in one command.
#
#   experiments/gpu/study_3.sh OUT [KEY=VALUE ...]           at most 9 minutes; needs train/, valid/, vgg19, alexnet
#
# Ends in OUT/study_3.tar.gz, also when it is stopped: the loss table beside the original's, samples
# at epochs 10, 100, 200, 300 and 400, LPIPS and grain every 10 epochs, the report.
set -uo pipefail
out=$1
shift
study=study_3
limit=${LIMIT:-560}
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
gather
cd "$place"
runs=(srgan_400ep/study)
seconds=$(left)  # the report needs 20; a run that is stopped saves its state and copies its files
PYTHON=$python RESULTS=$results/run LIMIT=$((seconds > 60 ? seconds - 40 : 20)) step run $((seconds - 20)) \
  "$root/experiments/srgan_400ep/run.sh" "$place/train" "$place/valid" "$place/vgg19.safetensors" \
  callbacks.lpips.weights="$place/alexnet.safetensors" callbacks.compile.when=never health.every=200 \
  logger=none callbacks.every_n=null "$@"
run=$place/runs/srgan_400ep/study
rm -f "$results/run/generator.safetensors"  # once more, in full precision
step report $(($(left) - 3)) "$python" -m sr_gan.report run="$run" output="$results/report"
