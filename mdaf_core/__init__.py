"""MDAF Studio's library: data, models, training, jobs, evaluation, reporting."""

import os

__version__ = "0.2.0"

# OpenMP reads this once, when torch or numba loads it. Threads that wait by spinning slow everything several times over
# as soon as two processes share the cores: two training jobs, or one and the app.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
