#!/usr/bin/env bash
# Provokes the failures of docs/failures.md in small runs, trains the same runs with a cure, and draws
# the figures.
#
#   experiments/failures/run.sh VGG19_FILE ALEXNET_FILE [KEY=VALUE ...]
#
# All photographs are bundled with scikit-image. Takes about 20 minutes on one CPU core. When it is run
# again, it skips the runs that have finished. ONLY='rate*' runs only those whose names match. The
# results are copied to RESULTS (default: results/ beside this script).
set -euo pipefail
vgg=$1 alexnet=$2
shift 2
extra=("$@")
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
results=${RESULTS:-$here/results}
python=${PYTHON:-python}
runs=runs/failures

run() {  # NAME KEY=VALUE ...
  local folder=$runs/$1
  # shellcheck disable=SC2053  # ONLY is a pattern
  [[ $1 == ${ONLY:-*} && ! -f $folder/summary.json ]] || return 0
  shift
  rm -rf "$folder"
  "$python" -m sr_gan.train experiment=quickstart data.batch_size=8 data.crops_per_epoch=200 \
    pretrain.epochs=16 gan.epochs=16 trainer.check_val_every_n_epoch=1 health.every=5 \
    callbacks.lpips.weights="$alexnet" logger=none "$@" hydra.run.dir="$folder" "${extra[@]}"
}

run start 'stages=[pretrain]'
gan=('stages=[gan]' init_from=$runs/start)
run gan "${gan[@]}"
run heavy "${gan[@]}" gan.loss.weights.adversarial=3e-2
run collapse "${gan[@]}" gan.loss.weights.adversarial=1 gan.loss.weights.l1=0 gan.generator_lr=1e-3

scratch=('stages=[gan]' generator=srresnet generator.filters=32 generator.blocks=4
  generator.end_kernel=3 loss@gan.loss=paper_oxford gan.loss.content.vgg.weights="$vgg"
  'gan.loss.content.vgg.layers=[relu3_4]' gan.loss.content.vgg.feature_scale=0.0017
  gan.generator_lr=1e-3)
run vgg_only "${scratch[@]}"
run vgg_l1 "${scratch[@]}" +gan.loss.content.l1._target_=torch.nn.L1Loss +gan.loss.weights.l1=1.0

rate=('stages=[pretrain]' schedule@pretrain.schedule=constant)
run rate_high "${rate[@]}" pretrain.lr=1e-2
run diverged "${rate[@]}" pretrain.lr=3e-2 || echo "it should diverge"
run rate_low "${rate[@]}" pretrain.lr=1e-6

small=('stages=[pretrain]' generator.filters=32 generator.blocks=4 data.batch_size=2 data.crop=32)
run batchnorm "${small[@]}" generator=srresnet generator.end_kernel=3
run no_batchnorm "${small[@]}" generator=msrresnet

"$python" "$here/photos.py" $runs/photos
run overfit "${rate[@]}" data=folder data.train_dir=$runs/photos/train \
  data.valid_dir=$runs/photos/valid data.crops_per_epoch=400

for run in "$runs"/*/summary.json; do
  run=$(dirname "$run")
  mkdir -p "$results/runs/$(basename "$run")"
  cp "$run"/{metrics.csv,config.yaml,summary.json} "$results/runs/$(basename "$run")"
done
"$python" "$here/figures.py" "$runs" "$results/figures"
