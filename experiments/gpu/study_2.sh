#!/usr/bin/env bash
# Study 2: the GAN stage, from study 1's generator or from the shipped `psnr`.
#
#   experiments/gpu/study_2.sh OUT [KEY=VALUE ...]           9.5 minutes; needs train/, valid/, vgg19, alexnet
#
#   RECIPES   which of the functions below run, each for its share of the time: "modern unet";
#             one alone has all of it. "ldl unit bands" compares ways to a better GAN at equal time;
#             unit, bands and photo need squeezenet, too. "photo" validates on five kinds: EVERY=10
#   EVERY     epochs, of 20, from one validation to the next: 1
#   START     the generator: a file, or psnr; if not given, the newest *psnr*/pretrain-last.safetensors
#             in PLACE, or psnr
#
# Ends in OUT/study_2.tar.gz, also when it is stopped: of each recipe the weights that are best by
# LPIPS on the held-out crops among those above the floor of PSNR, and the last ones.
set -uo pipefail
out=$1
shift
study=study_2
limit=${LIMIT:-570}
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
gather
recipes=${RECIPES:-modern unet}
count=$(wc -w <<<"$recipes")
newest=$(find "$place/results" -path '*psnr*' -name pretrain-last.safetensors -printf '%T@ %p\n' | sort -n | tail -n 1)
start=${START:-${newest#* }}
echo "from ${start:-psnr}" | tee -a "$results/steps.txt"

vgg=gan.loss.content.vgg.weights="$place/vgg19.safetensors"
lpips=gan.loss.content.lpips.weights="$place/squeezenet.safetensors"
modern() { chosen=(experiment=srgan_modern "$vgg"); }  # PatchGAN with BN, BCE
unet() {
  chosen=(experiment=srgan_modern "$vgg" discriminator=unet '~discriminator.norm' '~discriminator.layers'
    adversarial=relativistic)
}
ldl() { chosen=(experiment=gan_ldl "$vgg"); }
unit() { chosen=(experiment=gan_unit "$vgg" "$lpips"); }
bands() { chosen=(experiment=gan_bands "$lpips"); }
photo() { chosen=(experiment=photo "$lpips"); }  # on damaged photographs

for recipe in $recipes; do
  until=$((SECONDS + ($(left) - 15) / count))
  count=$((count - 1))
  $recipe
  common=("${chosen[@]}" 'stages=[gan]' init_from="${start:-psnr}" data=folder
    data.train_dir="$place/train" data.valid_dir="$place/valid" data.valid_crop=384
    logger=none callbacks.every_n=null
    callbacks.compile.when=never callbacks.lpips.weights="$place/alexnet.safetensors"
    trainer.check_val_every_n_epoch="${EVERY:-1}" "$@")
  rm -rf "$place/runs/trial_2_$recipe" "$place/runs/$recipe"
  step "trial-$recipe" 100 "$python" -m sr_gan.train "${common[@]}" gan.epochs=2 \
    data.crops_per_epoch=$((${UPDATES:-100} * 16)) trainer.limit_val_batches=1 \
    hydra.run.dir="$place/runs/trial_2_$recipe"
  [ -e "$place/runs/trial_2_$recipe/metrics.csv" ] || continue
  seconds=$(((until - SECONDS - 35) * 90 / 100))  # starting and keeping, and a tenth to validate
  read -r -a lengths < <(length "$place/runs/trial_2_$recipe" "${TRAIN_SECONDS:-$seconds}" "${EPOCHS:-20}")
  runs+=("$recipe")
  step "$recipe" $((until - SECONDS - 10)) "$python" -m sr_gan.train "${common[@]}" \
    hydra.run.dir="$place/runs/$recipe" "${lengths[@]}"
done
