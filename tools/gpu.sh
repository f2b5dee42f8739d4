#!/usr/bin/env bash
# For a machine with a GPU, at most eight minutes: CUDA tests, speed, then the training of an entry
# of the zoo, which the next call continues. Needs no internet. Results go to $OUT, default runs/gpu.
#
#   FESTKIT_DATA=data OUT=results tools/gpu.sh nuaa-sirst/msda-net-512-eedm [RESULTS_BEFORE]
#
# RESULTS_BEFORE is the folder of results of the call before; its parts hold the unfinished run.
set -uo pipefail
cd "$(dirname "$0")/.."

ENTRY=${1:?"usage: tools/gpu.sh ENTRY [RESULTS_BEFORE]; festkit zoo list prints the entries"}
BEFORE=${2:-}
OUT=${OUT:-runs/gpu}
PYTHON=${PYTHON:-python3}
RUN=runs/zoo/$ENTRY
LIMIT=480 # seconds in all
export PYTHONPATH=$PWD FESTKIT_WEIGHTS=$OUT/weights
mkdir -p "$OUT" "$RUN"

"$PYTHON" -c 'import torch; assert torch.cuda.is_available(), "no CUDA device"; print(torch.cuda.get_device_name())' || exit 1

echo "== CUDA tests"
timeout 120 "$PYTHON" -m pytest -q --device cuda -p no:cacheprovider tests/training/test_augment.py \
    tests/ops/test_components.py tests/ops/test_selection.py tests/test_losses.py 2>&1 | tee "$OUT/tests.txt" | tail -5

echo "== speed"
timeout 120 "$PYTHON" -m benchmarks --device cuda --rounds 5 > "$OUT/speed.md" 2>&1
tail -30 "$OUT/speed.md"

echo "== training of $ENTRY"
if [ -n "$BEFORE" ]; then cat "$BEFORE"/run.tar.* | tar -x -C "$RUN"; fi
left=$((LIMIT - SECONDS))
timeout --signal INT $((left - 20)) "$PYTHON" -m festkit zoo train "$ENTRY" --out "$RUN" --device cuda \
    --max-minutes $(((left - 60) / 60)) 2>&1 | tee "$OUT/training.txt" | tail -5

# Parts below 16 MiB: machines that are lent often limit the size of a file.
tar -c -C "$RUN" --exclude='*_maps*' . | split -b 15M - "$OUT/run.tar."
echo "done after $SECONDS s; results in $OUT"
