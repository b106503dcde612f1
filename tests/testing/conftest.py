"""One thread, as in an examination: tiny tensors, and threads that wait for each other are slow on a busy machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numba
import pytest
import torch

from mdaf_core.testing.examine import examine
from mdaf_core.testing.files import models_of_file
from mdaf_core.testing.report import Finding


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads(), numba.get_num_threads()
    torch.set_num_threads(1)
    numba.set_num_threads(1)
    yield
    torch.set_num_threads(before[0])
    numba.set_num_threads(before[1])


@pytest.fixture
def findings(tmp_path: Path):  # type: ignore[no-untyped-def]
    """What the checks named (default: all) find of the one model in a file with this text."""

    def find(source: str, *only: str) -> list[Finding]:
        path = tmp_path / "planted.py"
        path.write_text(source, "utf-8")
        [model] = models_of_file(path)
        return examine(model.config, plugin=model.plugin, only=only or None).findings

    return find
