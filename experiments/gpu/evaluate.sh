#!/usr/bin/env bash
# What a study's generators reach on Set5 and Set14.
#
#   experiments/gpu/evaluate.sh TAR BENCHMARKS ALEXNET_FILE [FOLDER]
#
# BENCHMARKS: a folder with Set5/HR and Set14/HR. Unpacks TAR into FOLDER (default: beside TAR) and
# writes table.md there: a row each for every weights file, the shipped models and bicubic.
set -euo pipefail
tar=$1 benchmarks=$2 alexnet=$3
folder=${4:-$(dirname "$tar")}
python=${PYTHON:-python3}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export PYTHONPATH=$root/src${PYTHONPATH:+:$PYTHONPATH}
mkdir -p "$folder"
tar -xzf "$tar" -C "$folder"
study=$folder/$(basename "$tar" .tar.gz)
models=(bicubic psnr gan)
while read -r file; do models+=("$file"); done < <(find "$study" -name '*.safetensors' | sort)
for model in "${models[@]}"; do
  name=$(realpath -m --relative-to="$study" "$model")
  [ -e "$model" ] || name=$model
  for set in ${SETS:-Set5 Set14}; do
    "$python" -m sr_gan.evaluate model="$model" benchmark="$benchmarks/$set/HR" lpips="$alexnet" \
      output="$study/evaluation/${name%.safetensors}" >/dev/null
  done
  echo "measured $name"
done
"$python" - "$study" <<'P'
import json, sys
from pathlib import Path

study = Path(sys.argv[1])
rows: dict[str, dict[str, dict]] = {}
for file in sorted((study / "evaluation").rglob("*.json")):
    name = str(file.parent.relative_to(study / "evaluation"))
    rows.setdefault(name, {})[file.stem] = json.loads(file.read_text())
sets = sorted({name for row in rows.values() for name in row}, key=lambda name: (len(name), name))
titles = [f"{name} {title}" for name in sets for title in ("PSNR-Y", "LPIPS", "grain")]
lines = [f"| generator | {' | '.join(titles)} |", "| --- |" + " --: |" * len(titles)]
for name, row in rows.items():
    cells = []
    for each in sets:
        means = row[each]["mean"] if each in row else {}
        for key, form in (("psnr_y", ".2f"), ("lpips", ".4f"), ("grain", ".2f")):
            value = means.get(key)
            cells.append("" if value is None else format(value, form))
    lines.append(f"| {name} | {' | '.join(cells)} |")
(study / "table.md").write_text("\n".join(lines) + "\n")
print("\n".join(lines), f"\nwritten to {study / 'table.md'}")
P
