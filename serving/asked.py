"""What was asked for before the sign-in: a link to a study opens that study, also for whoever has to sign in first.

Streamlit leads everybody who has signed in to the first page, which shows whatever study is newest. So the browser
keeps the link meanwhile, in a cookie that no script can read, and is led there instead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from serving import login

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "mdaf_asked_for"
SECONDS = 900
MOST = 2000  # characters; browsers keep 4,096 bytes
CALLBACK = "/oauth2callback"
_NO_PAGES = ("/_stcore/", "/auth/", "/static/", "/media/", "/component/")

Headers = list[tuple[bytes, bytes]]
Change = Callable[[int, Headers], Headers]
"""From the status and the headers of an answer to the headers that are sent."""


class AskedFor:
    """Keeps what a page was asked for, and leads there who comes back from the provider of the login."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET" or not login.is_on():
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        path = scope["path"]
        change: Change | None = None
        if path.endswith(CALLBACK):
            change = _led(kept(headers.get(b"cookie", "")))
        elif "text/html" in headers.get(b"accept", "") and not any(part in path for part in _NO_PAGES):
            change = _kept(asked(scope))

        async def changed(message: Message) -> None:
            if change is not None and message["type"] == "http.response.start":
                message = {**message, "headers": change(message["status"], list(message["headers"]))}
            await send(message)

        await self.app(scope, receive, changed)


def asked(scope: Scope) -> str:
    """The address of a page that was asked for, without the machine; empty for the first page."""
    path = (scope.get("raw_path") or scope["path"].encode()).partition(b"?")[0].decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    address = f"{path}?{query}" if query else path
    return "" if address == "/" or len(address) > MOST or not _is_own(address) else address


def kept(cookies: str) -> str:
    """The address that a browser has kept; empty where it has none, or one that another site may have put there."""
    for cookie in cookies.split(";"):
        name, _, value = cookie.strip().partition("=")
        if name == COOKIE and _is_own(address := unquote(value)):
            return address
    return ""


def _is_own(address: str) -> bool:
    """Whether a browser takes it for a page of this app, and of no other site."""
    return (
        address.startswith("/")
        and not address.startswith("//")
        and "\\" not in address
        and address.isascii()
        and address.isprintable()
    )


def _cookie(value: str, seconds: int) -> tuple[bytes, bytes]:
    return b"set-cookie", f"{COOKIE}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax".encode()


def _kept(address: str) -> Change:
    def change(status: int, headers: Headers) -> Headers:
        return (
            [*headers, _cookie(quote(address, safe=""), SECONDS if address else 0)] if status in (200, 304) else headers
        )

    return change


def _led(address: str) -> Change:
    def change(status: int, headers: Headers) -> Headers:
        if not address or not 300 <= status < 400:
            return headers
        others = [(name, value) for name, value in headers if name.lower() != b"location"]
        return [*others, (b"location", address.encode()), _cookie("", 0)]

    return change
