"""To whom the app answers: this machine under its own names, and others where it was opened to them."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streamlit import config

from serving import login

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


class KnownHosts:
    """Refuses requests that name another host than this app's, and those that a page of another site makes.

    A page in the browser can have its own name lead to this machine (DNS rebinding) and then talk to the app as if it
    were its own server: its name is in `Host`, which Streamlit accepts whatever it says, and looks at for the
    WebSocket alone. Addresses in figures cannot be made to lead elsewhere, so they are accepted where the app was
    opened to the network.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"] if name in (b"host", b"origin")}
        peer = (scope.get("client") or (None,))[0]
        refusal = refused(headers.get(b"host"), headers.get(b"origin")) or login.refused(peer, is_open())
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()  # the request to connect
            await send({"type": "websocket.close", "code": 1008, "reason": "host or origin not allowed"})
        else:
            body = refusal.encode()
            kind = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 403, "headers": kind})
            await send({"type": "http.response.body", "body": body})


def refused(host: str | None, origin: str | None) -> str | None:
    """Why a request with these headers is refused, as a sentence, or None.

    Args:
        host: the header `Host`, a name with or without a port.
        origin: the header `Origin`: the site whose page makes the request; None where it is not said (no browser).
    """
    name = _hostname(host)
    if name is None or not _known(name):
        return (
            f"This app is not served under the name {(name or 'that was asked for')!r}. Names are allowed with "
            "--server.allowedHosts=NAME, other machines with --server.address=0.0.0.0."
        )
    if origin is None or urlsplit(origin).netloc.lower() == (host or "").lower():
        return None
    source = _hostname(urlsplit(origin).netloc)
    if source is None or not _named(source):  # a proxy may pass on another Host than the browser's
        return "A page of another site may not use this app. Sites are allowed with --server.allowedHosts=NAME."
    return None


def _hostname(netloc: str | None) -> str | None:
    try:
        parts = urlsplit(f"//{netloc or ''}")
        _ = parts.port
    except ValueError:
        return None
    if parts.username is not None or parts.path or parts.query or parts.fragment:
        return None
    return parts.hostname.lower().rstrip(".") if parts.hostname else None


def _known(name: str) -> bool:
    """Whether the app is served under this name or address."""
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        own = {socket.gethostname().lower(), socket.getfqdn().lower()} if is_open() else set()
        return name == "localhost" or name.endswith(".localhost") or name in own or _named(name)
    return address.is_loopback or is_open() or _named(name)


def _named(name: str) -> bool:
    """Whether `server.allowedHosts` holds the name, itself or by `*.` or `*`."""
    patterns = [str(pattern).strip().lower().rstrip(".") for pattern in config.get_option("server.allowedHosts") or []]
    return any(
        pattern in ("*", name) or (pattern.startswith("*.") and name.endswith(pattern[1:])) for pattern in patterns
    )


def is_open() -> bool:
    """Whether other machines can reach the app: it was told to listen on more than this machine's own address."""
    address = config.get_option("server.address") or "0.0.0.0"
    if address.startswith("unix://") or address == "localhost":
        return False
    try:
        return not ipaddress.ip_address(address).is_loopback
    except ValueError:
        return True
