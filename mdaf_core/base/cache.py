"""Results that take seconds and never change for the same inputs, kept on disk."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ValidationError

from mdaf_core.base.files import write_bytes, write_text
from mdaf_core.base.settings import get_settings

VERSION = 8  # raise it when a cached computation changes

Result = TypeVar("Result", bound=BaseModel)


def cached(kind: str, key: Any, result: type[Result], compute: Callable[[], Result]) -> Result:
    """`compute()`, or what it returned for the same `key` before.

    Args:
        kind: folder under the cache directory.
        key: JSON-ready; everything the result depends on.
        result: the model that `compute` returns. An unreadable file counts as absent.
    """
    path = _path(kind, key, "json")
    try:
        return result.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        value = compute()
        with suppress(OSError):  # a folder that may only be read, a full disk: it is computed again
            write_text(path, value.model_dump_json())
        return value


def cached_array(kind: str, key: Any, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """As `cached`, for an array: read-only and mapped from its file."""
    path = _path(kind, key, "npy")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError):
        value = compute()
        out = io.BytesIO()
        np.save(out, value, allow_pickle=False)
        with suppress(OSError):
            write_bytes(path, out.getvalue())
        return value


def cached_bytes(kind: str, key: Any, suffix: str, compute: Callable[[], bytes]) -> bytes:
    """As `cached`, for the contents of a file."""
    path = _path(kind, key, suffix)
    try:
        return path.read_bytes()
    except OSError:
        content = compute()
        with suppress(OSError):
            write_bytes(path, content)
        return content


def _path(kind: str, key: Any, suffix: str) -> Path:
    digest = hashlib.sha256(json.dumps([VERSION, key], sort_keys=True).encode()).hexdigest()
    return get_settings().cache_dir / kind / f"{digest[:40]}.{suffix}"
