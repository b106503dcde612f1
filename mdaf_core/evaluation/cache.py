"""Results that take seconds and never change for the same inputs, kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from mdaf_core.files import write_text
from mdaf_core.settings import get_settings

VERSION = 2  # raise it when a cached computation changes

Result = TypeVar("Result", bound=BaseModel)


def cached(kind: str, key: Any, result: type[Result], compute: Callable[[], Result]) -> Result:
    """`compute()`, or what it returned for the same `key` before.

    Args:
        kind: folder under the cache directory.
        key: JSON-ready; everything the result depends on.
        result: the model that `compute` returns. An unreadable file counts as absent.
    """
    digest = hashlib.sha256(json.dumps([VERSION, key], sort_keys=True).encode()).hexdigest()
    path = get_settings().cache_dir / kind / f"{digest[:40]}.json"
    try:
        return result.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        value = compute()
        write_text(path, value.model_dump_json())
        return value
