"""What the CPU kernels share: compiled code kept on disk, groups of sequences for the threads, views for numba."""

from __future__ import annotations

import contextlib
import ctypes
from pathlib import Path

import numba
import numpy as np
import torch
from torch import Tensor

from mdaf_core.ops.compiled import compiled_folder


def _keep_compiled_code_by_content() -> None:
    folder = compiled_folder()
    with contextlib.suppress(OSError):  # installed where one cannot write: numba finds a place of its own
        folder.mkdir(parents=True, exist_ok=True)
        numba.config.CACHE_DIR = str(folder)


def _share_torchs_threads() -> None:
    """Let numba's kernels run on the threads of torch's OpenMP library, where torch brings its own.

    Numba would load the system's beside it: two pools, each of whose threads spins for a while after its work, on the
    cores that the other needs. Symbols made global before are found first.
    """
    library = Path(torch.__file__).parent / "lib" / "libgomp.so.1"
    with contextlib.suppress(OSError):
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


_keep_compiled_code_by_content()
_share_torchs_threads()

GROUPS = 16
"""Parts into which a batch is cut: fixed, so that sums are formed in the same order on every machine."""


def sequence_groups(cu: np.ndarray) -> np.ndarray:
    """First sequence of each of `GROUPS` groups with about equally many tokens, and the end; int64."""
    targets = np.linspace(0, cu[-1], GROUPS + 1)[1:-1]
    inner = np.searchsorted(cu, targets)
    return np.concatenate([[0], np.clip(inner, 0, len(cu) - 1), [len(cu) - 1]]).astype(np.int64)


def use_torch_threads() -> None:
    """Let the next kernel run on as many threads as torch does."""
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))


def arrays(*tensors: Tensor) -> list[np.ndarray]:
    """Flat views of tensors for a kernel; copies only of those that are not contiguous."""
    return [x.detach().contiguous().view(-1).numpy() for x in tensors]
