#!/usr/bin/env bash
# numba 0.68.1 (OpenMP threading layer), beside threadpoolctl 3.8.0 and lightgbm 4.7.0, which use the same OpenMP library.
#
# Seen: the first parallel function that numba runs, and even numba.get_num_threads(), calls omp_set_num_threads(all cores)
# in the calling thread, and leaves it so. Whatever limit stood before, from threadpool_limits(1) or from another library
# that shares the libgomp, is gone without a word, inside the `with` block that set it. A limit set after that holds.
#
# One would guess otherwise: threadpool_limits is there to bound every OpenMP pool while its block lasts; numba has its own
# NUMBA_NUM_THREADS and set_num_threads, whose documentation speaks of a mask of numba's own threads alone; and a question
# (get_num_threads) should change nothing. Results then differ in the last bits between the first and the second training
# of one process, since sums are split over another number of threads.
#
# What to do: ask numba for its number of threads once, before any limit is set.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet numba==0.68.1 numpy==2.4.6 threadpoolctl==3.8.0 lightgbm==4.7.0
cat > "$work/look.py" <<'PY'
import sys

import lightgbm  # loads the system's libgomp
import numba
import numpy as np
from threadpoolctl import threadpool_info, threadpool_limits


@numba.njit(parallel=True)
def total(x):
    s = 0.0
    for i in numba.prange(len(x)):
        s += x[i]
    return s


def openmp():
    return max(pool["num_threads"] for pool in threadpool_info() if pool["filepath"].split("/")[-1].startswith("libgomp.so"))


first = {"run": lambda: total(np.ones(1000)), "ask": numba.get_num_threads}[sys.argv[1]]
with threadpool_limits(1):
    before = openmp()
    first()
    after = openmp()
with threadpool_limits(1):
    total(np.ones(1000))
    again = openmp()
what = {"run": "a parallel call", "ask": "get_num_threads()"}[sys.argv[1]]
print(f"layer {numba.threading_layer()}: limited to {before}, after {what} {after}, limited again {again}")
raise SystemExit(0 if (numba.threading_layer(), before, after, again) == ("omp", 1, 2, 1) else 1)
PY
for first in run ask; do
  env -u OMP_NUM_THREADS NUMBA_NUM_THREADS=2 NUMBA_THREADING_LAYER=omp "$work/venv/bin/python" "$work/look.py" "$first"
done
