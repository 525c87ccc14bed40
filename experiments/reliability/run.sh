#!/usr/bin/env bash
# Does a run lose anything to signals, kills and other faults? Interrupts small runs, resumes and compares them.
#
#   experiments/reliability/run.sh PHOTOS [WORD ...]
#
# PHOTOS is a folder of a few small photographs. Only the faults whose names contain a WORD are caused; all without
# any. KILLS is the number of random kills (default: 40), and SIGNALS="" leaves the signals out.
# Writes to RESULTS (default: results/ beside this script). Takes about an hour on two cores.
set -euo pipefail
photos=$1
shift
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
results=${RESULTS:-$here/results}
python=${PYTHON:-python}
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
status=0
"$python" -m experiments.reliability.trials "$results/trials" "$photos" ${SIGNALS---signals} \
  --kills "${KILLS:-40}" || status=1
"$python" -m experiments.reliability.faults "$results/faults" "$photos" "$@" || status=1
exit $status
