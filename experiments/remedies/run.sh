#!/usr/bin/env bash
# Trains a small fraction of the original run (srgan_400ep), with one remedy at a time and with the
# best ones together.
#
#   experiments/remedies/run.sh PHOTOS VALID VGG19_FILE ALEXNET_FILE [KEY=VALUE ...]
#
# The default, UPDATES=420 BATCH=8 CROP=64, takes about 70 minutes on one CPU core. On a GPU:
#   UPDATES=20000 BATCH=16 CROP=96 experiments/remedies/run.sh ...
# When it is run again, it skips the runs that have finished. ONLY='0*' runs only those whose names
# match. Prints the table and copies the results to RESULTS (default: results/ beside this script).
set -euo pipefail
photos=$1 valid=$2 vgg=$3 alexnet=$4
shift 4
extra=("$@")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
python=${PYTHON:-python}
updates=${UPDATES:-420} batch=${BATCH:-8} crop=${CROP:-64}
epochs=6

data=(data=folder data.train_dir="$photos" data.valid_dir="$valid" data.valid_crop=240
  data.batch_size="$batch" data.crop="$crop" data.crops_per_epoch=$((updates / epochs * batch))
  callbacks.lpips.weights="$alexnet" health.every=10 gan.epochs=$epochs logger=none
  trainer.check_val_every_n_epoch=3)
mission=(experiment=srgan_400ep loss@gan.loss=paper_oxford gan.loss.content.vgg.weights="$vgg"
  'gan.loss.content.vgg.layers=[relu3_4]' gan.loss.content.vgg.feature_scale=0.0017)
modern=(experiment=srgan_modern gan.loss.content.vgg.weights="$vgg" gan.ema=0.99)

run() {  # NAME KEY=VALUE ...
  local folder=runs/remedies/$1
  # shellcheck disable=SC2053  # ONLY is a pattern
  [[ $1 == ${ONLY:-*} && ! -f $folder/summary.json ]] || return 0
  shift
  rm -rf "$folder"
  "$python" -m sr_gan.train "${data[@]}" "$@" hydra.run.dir="$folder" "${extra[@]}"
}
remedy() {  # NAME KEY=VALUE ...: the original run with one change
  local name=$1
  shift
  run "$name" "${mission[@]}" "$@"
}

remedy 00_mission
remedy 01_pretrain 'stages=[pretrain,gan]' pretrain.epochs=$((epochs / 2)) gan.epochs=$((epochs / 2))
remedy 02_slow_discriminator gan.discriminator_lr=1e-5
remedy 03_smooth_labels adversarial=bce_smooth
remedy 04_spectral_norm discriminator=vgg_sn
remedy 05_instance_noise gan.instance_noise=0.2 gan.noise_until=1.0
remedy 06_r1 penalty=r1
remedy 07_hinge adversarial=hinge
remedy 08_least_squares adversarial=least_squares
remedy 09_relativistic adversarial=relativistic
remedy 10_wasserstein adversarial=wasserstein penalty=gradient
remedy 11_patch discriminator=patch
remedy 12_unet discriminator=unet discriminator.filters=32
remedy 13_icnr generator.icnr=true
remedy 14_ema gan.ema=0.99
remedy 15_image_skip generator=msrresnet
remedy 16_health_acts health.intervene=true
remedy 17_no_adversarial gan.loss.weights.adversarial=0  # a control: no GAN at all
remedy 18_l1_too +gan.loss.content.l1._target_=torch.nn.L1Loss +gan.loss.weights.l1=1.0
run 19_together "${modern[@]}" 'stages=[pretrain,gan]' pretrain.epochs=$((epochs / 2)) gan.epochs=$((epochs / 2)) pretrain.ema=0.99
run 20_together_from_psnr "${modern[@]}" 'stages=[gan]' init_from=psnr

for run in runs/remedies/*/summary.json; do
  run=$(dirname "$run")
  mkdir -p "$results/runs/$(basename "$run")"
  cp "$run"/{metrics.csv,config.yaml,summary.json} "$results/runs/$(basename "$run")"
done
"$python" -m sr_gan.report run=runs/remedies
cp runs/remedies/report/figures/runs-strip.png "$results"
"$python" "$here/table.py" runs/remedies | tee "$results/table.md"
