#!/usr/bin/env bash
# Study 1: what works on CUDA and how fast an update is, then the PSNR generator. Two commands.
#
#   experiments/gpu/study_1.sh measure OUT [KEY=VALUE ...]   7 minutes; needs photos in train/
#   experiments/gpu/study_1.sh train OUT [KEY=VALUE ...]     8 minutes; needs vgg19, alexnet, valid/ too
#
# Each ends in OUT/study_1_PART.tar.gz, also when it is stopped. See README.md beside this script.
set -uo pipefail
part=$1 out=$2
shift 2
study=study_1_$part
case $part in
  measure) limit=${LIMIT:-420} ;;
  train) limit=${LIMIT:-480} ;;
  *) echo "study_1.sh measure|train OUT [KEY=VALUE ...]" >&2; exit 2 ;;
esac
. "$(dirname "${BASH_SOURCE[0]}")/common.sh"
gather
export PYTHONPATH=$root:$PYTHONPATH  # of the studies in experiments/
updates=${UPDATES:-150}

bench() {  # NAME SECONDS "MODULE [PART]" SETTINGS...
  local name=$1 seconds=$2 module=$3
  shift 3
  # shellcheck disable=SC2086  # a module and its part are two words
  TAIL=30 step "bench-$name" "$seconds" "$python" -m $module data.train_dir="$place/train" \
    bench.updates="$updates" bench.warm_up=20 bench.rounds=1 bench.output="$results/bench-$name.json" \
    "${settings[@]}" "$@"
}

settings=("$@")
if [ "$part" = measure ]; then
  step device 20 "$python" -c 'import torch; print(torch.__version__, torch.cuda.get_device_properties(0) if torch.cuda.is_available() else "no GPU")'
  gpu_tests() {  # NAME SECONDS WORDS FILES...
    local name=$1 seconds=$2 words=$3
    shift 3
    step "$name" "$seconds" "$python" -m pytest "${@/#/$root/tests/}" -p no:cacheprovider -m gpu -k "$words" --durations=8 -o faulthandler_timeout=30
  }
  gpu_tests tests-graphs 90 graphs callbacks/test_replay.py
  ours="sr_gan.bench train"
  bench bf16 70 "$ours" trainer.precision=bf16-mixed callbacks.compile.when=never bench.trace="$results/trace.json.gz"
  bench bf16-compiled 110 "$ours" trainer.precision=bf16-mixed callbacks.compile.when=always
  bench plain 90 experiments.speed.compare trainer.precision=32-true callbacks.compile.when=never bench.updates=30
  for precision in ${PRECISIONS-16-mixed}; do
    bench "$precision" 60 "$ours" trainer.precision="$precision" callbacks.compile.when=never
  done
  gpu_tests tests 90 "not graphs and not compiled and not measures" ""
  gpu_tests tests-compiled 60 compiled callbacks/test_compiled.py
  exit 0
fi

common=(experiment=srresnet generator=msrresnet loss@pretrain.loss=l1 data=folder
  data.train_dir="$place/train" data.valid_dir="$place/valid" data.batch_size=32 data.crop=192
  data.valid_crop=384 pretrain.lr=4e-4 pretrain.ema=0.999 schedule@pretrain.schedule=cosine
  pretrain.schedule.warmup=0.01 trainer.check_val_every_n_epoch=10 logger=none callbacks.every_n=null
  callbacks.compile.when=always callbacks.lpips.weights="$place/alexnet.safetensors" "${settings[@]}")
step vgg-half 40 "$python" "$root/experiments/speed/half_precision.py" "$place/valid" \
  "$place/vgg19.safetensors" "$results/half-precision.json"
step prepare 60 "$python" -m sr_gan.prepare data=folder data.train_dir="$place/train" \
  data.valid_dir="$place/valid"
rm -rf "$place/runs/trial_1" "$place/runs/psnr"
# the second epoch is without the compiling; the network is kept in the compiler's cache
step trial 120 "$python" -m sr_gan.train "${common[@]}" hydra.run.dir="$place/runs/trial_1" \
  pretrain.epochs=2 data.crops_per_epoch=$((updates * 32)) trainer.limit_val_batches=0
cp "$place/runs/trial_1/metrics.csv" "$results/trial.csv" || exit 1
read -r -a lengths < <(length "$place/runs/trial_1" "${TRAIN_SECONDS:-$(($(left) - 55))}" \
  "${EPOCHS:-100}")  # 55 s: starting, ten validations, packing
runs=(psnr)
step psnr $(($(left) - 15)) "$python" -m sr_gan.train "${common[@]}" \
  hydra.run.dir="$place/runs/psnr" "${lengths[@]}"
