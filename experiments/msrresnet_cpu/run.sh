#!/usr/bin/env bash
# Trains a full-size PSNR generator on two CPU cores.
#
#   experiments/msrresnet_cpu/run.sh PHOTOS VALID [KEY=VALUE ...]
#
# Takes about 80 minutes. After an interruption, add ckpt_path=last to continue.
set -euo pipefail
photos=$1 valid=$2
shift 2
"${PYTHON:-python}" -m sr_gan.train experiment=srresnet generator=msrresnet loss@pretrain.loss=l1 \
  data=folder data.train_dir="$photos" data.valid_dir="$valid" data.batch_size=8 data.crops_per_epoch=4000 \
  data.valid_crop=240 pretrain.epochs=36 pretrain.lr=4e-4 schedule@pretrain.schedule=cosine \
  pretrain.schedule.warmup=0.02 trainer.precision=bf16-mixed trainer.accelerator=cpu "$@"
