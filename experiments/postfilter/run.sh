#!/usr/bin/env bash
# Does a Gaussian filter on the output help? Measures PSNR, LPIPS and grain for several sigmas.
#
#   experiments/postfilter/run.sh BENCHMARK ALEXNET_FILE NAME=MODEL ... [-- KEY=VALUE ...]
#
# MODEL is a run, a weights file or a bundled model. The scores go to RESULTS/NAME/SIGMA/, beside a
# picture (default of RESULTS: results/ beside this script), and a table is printed.
set -euo pipefail
benchmark=$1 alexnet=$2
shift 2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
python=${PYTHON:-python}
models=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
  models+=("$1")
  shift
done
[ $# -gt 0 ] && shift

for model in "${models[@]}"; do
  for sigma in ${SIGMAS:-0.0 0.4 0.6 0.8 1.0 1.5}; do
    folder=$results/${model%%=*}/$sigma
    compgen -G "$folder/*.json" >/dev/null && continue
    "$python" -m sr_gan.evaluate model="${model#*=}" benchmark="$benchmark" lpips="$alexnet" \
      smooth_sigma="$sigma" output="$folder" "$@" >/dev/null
  done
done
"$python" "$here/picture.py" "$results/cat.png" "${models[@]}"
"$python" "$here/table.py" "$results" | tee "$results/table.md"
