"""How the app is served: to whom (`hosts`), and how fast (`speed`)."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware

from serving import speed
from serving.hosts import KnownHosts, is_open


def middleware() -> list[Middleware]:
    """What a request passes, the outermost first."""
    return [Middleware(KnownHosts), *([Middleware(speed.StaticFiles)] if speed.fits() else [])]


@asynccontextmanager
async def lifespan(app: st.App) -> AsyncIterator[None]:
    """Around the whole life of the server."""
    if is_open():
        print(
            "  Open to the network: whoever reaches this address can start jobs and read the files that this account "
            "can. Put a login or a firewall before it.",
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
