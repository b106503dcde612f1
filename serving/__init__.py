"""How the app is served: to whom (`hosts`, `login`, `asked`), and how fast (`speed`, `drawing`)."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware

from mdaf_core.base.settings import get_settings
from serving import login, speed
from serving.asked import AskedFor
from serving.hosts import KnownHosts, is_open


def middleware() -> list[Middleware]:
    """What a request passes, the outermost first."""
    fast = [Middleware(speed.StaticFiles)] if speed.fits() else []
    return [Middleware(KnownHosts), Middleware(login.OwnersUploads), Middleware(AskedFor), *fast]


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Around the whole life of the server."""
    if login.is_on():
        print("  Login is on: owners and readers as the secrets' [roles] name them.", file=sys.stderr)
    elif is_open() and get_settings().open_without_login:
        print(
            "  Open to the network without a login: whoever reaches this address can start jobs and read the files "
            "that this account can. Put a login or a firewall before it.",
            file=sys.stderr,
        )
    else:
        print(
            "  No login is set up, so it answers to this machine alone"
            f"{', whatever server.address says' if is_open() else ''} (README, 'Who can reach it').",
            file=sys.stderr,
        )
    if not speed.fits():
        print(
            f"  Streamlit {st.__version__} is not {speed.FITS}x, whose server is known here: its files and messages go "
            "their own, slower way.",
            file=sys.stderr,
        )
        yield
        return
    async with speed.without_delay(app):
        yield
