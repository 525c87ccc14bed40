#!/usr/bin/env bash
# Trains the small network on L1 and clean photographs: 30,000 updates, about three hours on two CPU
# cores where nothing else runs.
#
#   experiments/compact_cpu/run.sh PHOTOS VALID [KEY=VALUE ...]
#
# After an interruption, add ckpt_path=last to continue. To start from its result, add
# init_from=compact.
set -euo pipefail
photos=$1 valid=$2
shift 2
"${PYTHON:-python}" -m sr_gan.train experiment=srresnet generator=compact loss@pretrain.loss=l1 \
  data=folder data.train_dir="$photos" data.valid_dir="$valid" data.batch_size=16 data.crop=128 \
  data.crops_per_epoch=16000 data.valid_crop=240 pretrain.epochs=30 pretrain.lr=5e-4 pretrain.ema=0.999 \
  schedule@pretrain.schedule=cosine pretrain.schedule.warmup=0.01 trainer=cpu trainer.precision=32-true \
  trainer.check_val_every_n_epoch=1 logger=none "$@"
