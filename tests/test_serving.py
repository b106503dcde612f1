"""How the app is served: the browser's files from memory, small messages at once."""

from __future__ import annotations

import asyncio
import importlib
import socket
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

import app
import serving

STATIC = Path(st.__file__).parent / "static"


async def _elsewhere(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 404, "headers": []})


def _get(path: str, method: str = "GET", times: int = 1) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    async def ask() -> None:
        files = serving.StaticFiles(_elsewhere)
        for _ in range(times):
            sent.clear()
            await files({"type": "http", "method": method, "path": path}, None, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    return sent


def test_every_file_is_served_as_it_is() -> None:
    for path in [p for p in (STATIC / "static").rglob("*.*") if p.suffix in serving.TYPES][::20]:
        start, body = _get(f"/{path.relative_to(STATIC).as_posix()}", times=2)
        headers = dict(start["headers"])
        assert start["status"] == 200 and body["body"] == path.read_bytes()
        assert int(headers[b"content-length"]) == path.stat().st_size
        assert headers[b"content-type"].decode() == serving.TYPES[path.suffix]


def test_all_else_is_left_to_streamlit() -> None:
    script = next((STATIC / "static" / "js").glob("index.*.js"))
    assert _get(f"/static/js/{script.name}")[0]["status"] == 200
    assert _get(f"/static/js/{script.name}", method="POST")[0]["status"] == 404
    for path in ("/", "/compare", "/index.html", "/static/js/../../index.html", "/static/js/nothing.js"):
        assert _get(path)[0]["status"] == 404


def _delays(lifespan: bool) -> bool:
    """Whether a connection to a server on a socket made like Streamlit's holds small packets back."""

    async def connect() -> bool:
        seen: asyncio.Queue[int] = asyncio.Queue()

        class Server(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                connection = transport.get_extra_info("socket")
                seen.put_nowait(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        with socket.socket(family=socket.AF_INET) as listening:
            listening.bind(("127.0.0.1", 0))
            port = listening.getsockname()[1]
            server = await asyncio.get_running_loop().create_server(Server, sock=listening)
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            found = await seen.get()
            writer.close()
            server.close()
            return not found

    async def run() -> bool:
        if not lifespan:
            return await connect()
        async with serving.without_delay(app.app):
            return await connect()

    return asyncio.run(run())


def test_small_messages_are_sent_at_once() -> None:
    assert not _delays(lifespan=True)


def test_the_server_needs_to_be_told() -> None:
    """When this fails, asyncio no longer needs `serving.without_delay`."""
    assert _delays(lifespan=False)


def test_a_link_straight_to_a_page_of_a_fresh_server_runs_app_py(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(PagesManager, "uses_pages_directory", None)
    importlib.reload(app)
    assert PagesManager.uses_pages_directory is False, "or Streamlit would take `pages/` for the whole app"
