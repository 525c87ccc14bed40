#!/usr/bin/env bash
# Trains srgan_modern on any folder of photographs, and evaluates it on the test sets.
#
#   experiments/srgan_modern/run.sh PHOTOS VALID VGG19_FILE ALEXNET_FILE SQUEEZENET_FILE BENCHMARKS [KEY=VALUE ...]
#
# BENCHMARKS is a folder with Set5/HR and Set14/HR. Both stages are trained, which needs a GPU. When it
# is run again, it continues where it stopped. LIMIT=540 saves its state and stops it after 540
# seconds. On a CPU these settings were used:
#   stages=[gan] init_from=psnr data.batch_size=12
#   data.crop=64 data.crops_per_epoch=3000 data.valid_crop=240 gan.epochs=32 gan.generator_lr=2e-4
#   gan.discriminator_lr=2e-4 trainer.check_val_every_n_epoch=4
set -euo pipefail
photos=$1 valid=$2 vgg=$3 alexnet=$4 squeezenet=$5 benchmarks=$6
shift 6
python=${PYTHON:-python}
run=${RUN:-runs/srgan_modern/study}
resume=()
last=$(ls -t "$run"/checkpoints/*/last.ckpt 2>/dev/null | head -n 1 || true)
[ -z "$last" ] || resume=("ckpt_path=$last")

code=0
timeout --foreground --signal=TERM "${LIMIT:-0}" "$python" -m sr_gan.train experiment=srgan_modern \
  hydra.run.dir="$run" "${resume[@]}" data=folder data.train_dir="$photos" data.valid_dir="$valid" \
  gan.loss.content.vgg.weights="$vgg" callbacks.lpips.weights="$alexnet" "$@" || code=$?
if [ "$code" = 124 ] || [ "$code" = 143 ]; then
  echo "stopped at the limit; run the same command again to go on"
  exit 0
fi
[ "$code" = 0 ] || exit "$code"
for stage in "$run"/checkpoints/*/; do
  for set in Set5 Set14; do
    "$python" -m sr_gan.evaluate model="$stage/generator.safetensors" benchmark="$benchmarks/$set/HR" \
      lpips="$alexnet" lpips_squeeze="$squeezenet" output="$run/evaluation/$(basename "$stage")"
  done
done
"$python" -m sr_gan.report run="$run"
