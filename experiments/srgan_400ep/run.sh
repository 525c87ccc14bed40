#!/usr/bin/env bash
# Trains the original run in full, on one GPU, on any folder of photographs, with a VGG19 file that
# ends at conv3_4.
#
#   experiments/srgan_400ep/run.sh PHOTOS VALID VGG19_FILE [KEY=VALUE ...]
#
# When it is run again, it continues where it stopped. LIMIT=540 saves its state and stops it after
# 540 seconds. The small files are copied to RESULTS (default: results/ beside this script).
#
# feature_scale: relu3_4 of the Oxford weights is far larger than the features of the original loss.
# With 0.0017 the content loss of an untrained generator equals the original's first G loss, 1.3.
set -euo pipefail
photos=$1 valid=$2 vgg=$3
shift 3
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
run=runs/srgan_400ep/study
resume=()
if compgen -G "$run/checkpoints/gan/last.ckpt" >/dev/null; then
  resume=("ckpt_path=$run/checkpoints/gan/last.ckpt")
fi

code=0
timeout --foreground --signal=TERM "${LIMIT:-0}" "${PYTHON:-python}" -m sr_gan.train experiment=srgan_400ep \
  hydra.run.dir="$run" "${resume[@]}" \
  data=folder data.train_dir="$photos" data.valid_dir="$valid" data.crops_per_epoch=800 \
  loss@gan.loss=paper_oxford gan.loss.content.vgg.weights="$vgg" \
  'gan.loss.content.vgg.layers=[relu3_4]' gan.loss.content.vgg.feature_scale=0.0017 "$@" || code=$?

mkdir -p "$results"
cp "$run"/{config.yaml,environment.json,metrics.csv} "$results"
cp "$run/summary.json" "$run/checkpoints/gan/generator.safetensors" "$results" 2>/dev/null || true
for epoch in 0010 0100 0200 0300 0400; do
  cp "$run/samples/gan/epoch_$epoch.png" "$results" 2>/dev/null || true
done
last=$("${PYTHON:-python}" -c 'import glob, sys; print(*sorted(glob.glob(sys.argv[1]))[-1:])' "$run/samples/gan/*.png")
[ -z "$last" ] || cp "$last" "$results"
if [ "$code" = 124 ] || [ "$code" = 143 ]; then
  echo "stopped at the limit; run the same command again to go on"
  exit 0
fi
exit "$code"
