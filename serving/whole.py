"""What a button does is done whole.

Streamlit (1.67) ends a run of a page, and a button's callback with it, where the user does something else meanwhile: at
the callback's next look into the session's state or address. Of ten studies that are to be tagged, three then were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from streamlit.runtime.scriptrunner import get_script_run_ctx

P = ParamSpec("P")
R = TypeVar("R")
_YIELDS = "_yield_callback"


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Within it, what the user does next waits. Does nothing outside a page's run, and with a Streamlit that goes about
    it otherwise."""
    context = get_script_run_ctx(suppress_warning=True)
    state = None if context is None else context.session_state
    before = getattr(state, _YIELDS, None)
    if before is None:
        yield
        return
    object.__setattr__(state, _YIELDS, lambda: None)  # the state takes attributes for its own keys
    try:
        yield
    finally:
        object.__setattr__(state, _YIELDS, before)


def whole(action: Callable[P, R]) -> Callable[P, R]:
    """The action, `uninterrupted`."""

    @wraps(action)
    def done(*args: P.args, **options: P.kwargs) -> R:
        with uninterrupted():
            return action(*args, **options)

    return done
