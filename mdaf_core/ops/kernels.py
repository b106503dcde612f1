"""What the CPU kernels share: compiled code kept on disk, groups of sequences for the threads, views for numba."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path

import numba
import numpy as np
import torch
from numba import types
from numba.extending import intrinsic
from torch import Tensor

from mdaf_core.base.errors import StudioError
from mdaf_core.ops.compiled import compiled_folder
from mdaf_core.ops.products import rounded


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


@contextlib.contextmanager
def _torch_keeps_its_threads() -> Iterator[int]:
    """Numba starts its threads when it is first asked for their number, and then tells the OpenMP library, which torch
    shares (see above), to use all cores from now on: torch would go on with those."""
    threads = torch.get_num_threads()
    yield threads
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)


def use_torch_threads() -> None:
    """Let the next kernel run on as many threads as torch does."""
    with _torch_keeps_its_threads() as threads:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))


def set_threads(threads: int) -> dict[str, int]:
    """Compute on so many threads from here on; returns `threads_in_use`.

    Raises:
        StudioError: torch does not do so.
    """
    torch.set_num_threads(threads)
    use_torch_threads()
    found = threads_in_use()
    if found["torch"] != threads:
        raise StudioError(f"{threads} threads were asked for (MDAF_THREADS), and torch uses {found['torch']}.")
    return found


def threads_in_use() -> dict[str, int]:
    """Threads that torch and the kernels compute on, as they say themselves (kernels: at most one a core)."""
    with _torch_keeps_its_threads() as threads:
        return {"torch": threads, "numba": numba.get_num_threads()}


def addresses(tensors: Iterable[Tensor]) -> np.ndarray:
    """Where the numbers of contiguous tensors lie, int64: a kernel takes any number of them so, by `array_at`. The
    tensors must outlive the call."""
    return np.array([x.data_ptr() for x in tensors], np.int64)


def takes(x: Tensor) -> bool:
    """Whether a tensor is of a kind that the kernels compute with."""
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)


def multiplies(x: Tensor) -> bool:
    """Whether the kernels' products of a tensor are those asked for, which torch's may be told to round
    (`training.precision`)."""
    return takes(x) and not rounded()


@intrinsic
def _pointer(typingctx, address, like):  # type: ignore[no-untyped-def]
    kind = types.CPointer(like.dtype)
    return kind(address, like), lambda context, builder, sig, args: builder.inttoptr(
        args[0], context.get_value_type(kind)
    )


@numba.njit
def array_at(address, size, like):  # type: ignore[no-untyped-def]
    """The array of so many numbers at an address, of the type of `like`."""
    return numba.carray(_pointer(address, like), size)


def arrays(*tensors: Tensor) -> list[np.ndarray]:
    """Flat views of tensors for a kernel; copies only of those that are not contiguous."""
    return [x.detach().contiguous().view(-1).numpy() for x in tensors]
