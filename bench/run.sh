#!/bin/sh
# make bench: kernels beside the machine's limits, then whole training steps beside PyTorch.
# RAVINE_PEER_PYTHON names a Python that has torch (default: python3).
set -eu
build=$1
here=$(dirname "$0")
"$build/bench/bench_kernels"
"$build/bench/bench_layers"
python3 "$here/compare.py" "$build" --python "${RAVINE_PEER_PYTHON:-python3}" ${RAVINE_BENCH_OPTIONS:-}
