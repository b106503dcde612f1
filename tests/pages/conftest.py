"""Streamlit compiles a page's file for each visitor anew; here once, for all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from streamlit.runtime.scriptrunner.script_cache import ScriptCache


@pytest.fixture(autouse=True, scope="session")
def _compiled_once() -> Iterator[None]:
    kept, compiled = ScriptCache(), ScriptCache.get_bytecode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptCache, "get_bytecode", lambda _, path: compiled(kept, path))
        yield
