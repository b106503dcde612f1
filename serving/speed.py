"""Streamlit's own files from memory, what a page needs named in its head, and every message at once. All know how
Streamlit 1.67 serves, and leave any other version as it is."""

from __future__ import annotations

import asyncio
import mimetypes
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from serving import back, drawing, found

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

FITS = "1.67."
"""The Streamlit whose server this was written for and is tested with."""
ROOT = Path(st.__file__).parent / "static"
TYPES = {".js": "text/javascript", ".css": "text/css", ".woff2": "font/woff2"}
FOREVER = b"public, immutable, max-age=31536000"  # the names hold a digest of the contents


def fits() -> bool:
    """Whether this is the Streamlit that all here was written for."""
    return st.__version__.startswith(FITS)


class StaticFiles:
    """Answers requests for the files of Streamlit's browser half, a hundred small ones a page, from memory.

    Streamlit's own handler looks at the disk several times for each, in a thread, between the steps of a page's script.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.paths = {f"/{path.relative_to(ROOT).as_posix()}": path for path in (ROOT / "static").rglob("*.*")}
        self.read: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}

    @cached_property
    def links(self) -> bytes:
        return drawing.links(ROOT / "static" / "js")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, asked = scope.get("path", ""), scope["type"] == "http" and scope["method"] == "GET"
        if asked and path in self.paths:
            if path not in self.read:
                self.read[path] = _response(self.paths[path])
            for message in self.read[path]:
                await send(message)
            return
        if asked and found.is_page(path):
            plain = [(name, value) for name, value in scope.get("headers", ()) if name != b"accept-encoding"]
            scope = {**scope, "headers": plain}
            links = self.links if drawing.is_drawn(path) else b""
            send = _with(await found.script(self.app, scope) + links, send)
        await self.app(scope, receive, send)


def _with(more: bytes, send: Send) -> Send:
    """Sends what it is given, a page (not compressed) with `more` at the end of its head."""
    start: dict[str, Any] = {}
    parts: list[bytes] = []

    async def sending(message: Any) -> None:
        kind = dict(message.get("headers", ())).get(b"content-type", b"")
        if message["type"] == "http.response.start" and kind.startswith(b"text/html"):
            start.update(message)
            return
        if not start or message["type"] != "http.response.body":
            await send(message)
            return
        parts.append(message.get("body", b""))
        if message.get("more_body"):
            return
        body = b"".join(parts).replace(b"</head>", more + b"</head>", 1)
        length = [(name, b"%d" % len(body) if name == b"content-length" else value) for name, value in start["headers"]]
        await send(start | {"headers": length})
        await send({"type": "http.response.body", "body": body})

    return sending


def _response(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    body = drawing.patched(back.patched(path.read_bytes()))
    kind = TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    headers = {b"content-type": kind.encode(), b"content-length": b"%d" % len(body), b"cache-control": FOREVER}
    start = {"type": "http.response.start", "status": 200, "headers": list(headers.items())}
    return start, {"type": "http.response.body", "body": body}


@asynccontextmanager
async def without_delay(_: st.App) -> AsyncIterator[None]:
    """Send small packets at once (TCP_NODELAY), as asyncio does unless a socket was made the way Streamlit makes its
    own: there every small file and message would wait 40 ms, until the browser acknowledges the one before it.
    """
    sys.setswitchinterval(0.0005)  # seconds that a page's script may keep the server waiting at a time
    loop = asyncio.get_running_loop()
    create_server = loop.create_server

    async def create(*args: Any, sock: socket.socket | None = None, **options: Any) -> asyncio.Server:
        if sock is not None and sock.family != getattr(socket, "AF_UNIX", None):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # connections inherit it
        return await create_server(*args, sock=sock, **options)

    if isinstance(loop, asyncio.BaseEventLoop):  # others (uvloop) do so by themselves
        loop.create_server = create  # type: ignore[method-assign]
    yield
