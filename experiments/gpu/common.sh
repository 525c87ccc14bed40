# What the studies of this folder share; they source it after they have set `study` and `limit`.
#
#   place    a folder that outlives a command: photos, weights, caches, runs
#   results  what comes back, packed by `pack` when the script ends, however it ends
#   step     runs one command within its own time and the script's, and goes on if it fails

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
place=${PLACE:-${TMPDIR:-/tmp}/sr_gan-gpu}
results=$place/results/$study
python=${PYTHON:-python3}
rm -rf "$results"
mkdir -p "$results" "$out"
results=$(cd "$results" && pwd) out=$(cd "$out" && pwd) place=$(cd "$place" && pwd)
export SR_GAN_CACHE=$place/cache TORCHINDUCTOR_CACHE_DIR=$place/inductor PYTHONUNBUFFERED=1

# Brings what travelled beside the tree to its place, and puts the tree on Python's path.
# PARTS: folders of photos (train/, valid/), weights (vgg19 and alexnet .safetensors), or wheels.
gather() {
  local part
  for part in ${PARTS-"$root"/.gpu/*/}; do
    [ -d "$part" ] || continue
    if compgen -G "$part/*.whl" >/dev/null; then
      "$python" -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade \
        --target "$place/site" "$part"/*.whl
    else
      cp -r "$part/." "$place/"
    fi
  done
  export PYTHONPATH=$root/src:$place/site${PYTHONPATH:+:$PYTHONPATH}
}

left() { echo $((limit - SECONDS)); }

# step NAME SECONDS COMMAND...   prints the end of what it printed; the rest is in NAME.log
step() {
  local name=$1 seconds=$(($2 * ${PATIENCE:-1})) code=0 began=$SECONDS
  shift 2
  [ "$seconds" -lt "$(left)" ] || seconds=$(left)
  if [ "$seconds" -lt 5 ]; then
    echo "$name: left out, no time" | tee -a "$results/steps.txt"
    return 0
  fi
  timeout --signal=TERM --kill-after=15 "$seconds" "$@" >"$results/$name.log" 2>&1 &
  child=$!  # in the background, as a trap would wait for the end of a command
  wait "$child" || code=$?
  child=
  tr '\r' '\n' <"$results/$name.log" | tail -n "${TAIL:-12}"
  echo "$name: exit $code after $((SECONDS - began)) s" | tee -a "$results/steps.txt"
}

# Ends the step that runs, which saves its state, and then the script, which packs.
stopped() {
  trap '' TERM INT
  if [ -n "${child:-}" ]; then
    kill -TERM "$child" 2>/dev/null
    wait "$child"
    echo "stopped in the step whose log ends last" >>"$results/steps.txt"
  fi
  exit 143
}

# length RUN SECONDS EPOCHS   settings of a stage that fills so many seconds in so many epochs, from
# what an update took in the last epoch of a short run of it
length() {
  "$python" - "$@" <<'P'
import csv, sys
import yaml
run, seconds, epochs = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
rows = list(csv.DictReader(open(f"{run}/metrics.csv")))
config = yaml.safe_load(open(f"{run}/config.yaml"))
batch, stage, update = config["data"]["batch_size"], rows[-1]["stage"], float(rows[-1]["speed/step_time"])
updates = max(1, int(seconds / update / epochs))
print(f"{stage}.epochs={epochs} data.crops_per_epoch={updates * batch}")
print(f"{1e3 * update:.2f} ms an update: {epochs} epochs of {updates} updates", file=sys.stderr)
P
}

# What of a run is small enough to keep: tables, settings, weights in fp16, the last picture. `runs`
# names the folders in PLACE/runs that a study has begun; they are kept when it ends.
runs=()
keep_run() {
  local run=$place/runs/$1 to=$results/$(basename "$1") file
  [ -d "$run/checkpoints" ] || return 0
  mkdir -p "$to"
  for file in config.yaml environment.json metrics.csv summary.json train.log; do
    cp "$run/$file" "$to" 2>/dev/null || true
  done
  cp "$(find "$run/samples" -name '*.png' | sort | tail -n 1)" "$to" 2>/dev/null || true
  "$python" "$root/experiments/gpu/weights.py" "$run" "$to" || true
}

# One tar of at most 15 MB: where it would be larger pictures go first, then the longest logs, then
# the last weights where there are best ones.
pack() {
  local tar=$out/$study.tar.gz run smaller
  for run in ${runs[@]+"${runs[@]}"}; do keep_run "$run"; done
  for smaller in 'true' "find $results -name *.png -delete" \
    "find $results -name *.log -size +200k -exec truncate -s 200k {} +" \
    "find $results -name *-last.safetensors -delete"; do
    [ "$smaller" = true ] || [ "$(stat -c %s "$tar")" -gt 15000000 ] || break
    (set -f; $smaller)
    tar -czf "$tar" -C "$(dirname "$results")" "$study"
  done
  echo "packed $tar, $(stat -c %s "$tar") bytes, after $SECONDS s"
}
trap pack EXIT
trap stopped TERM INT
