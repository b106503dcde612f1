"""The browser is told where its server is and what that allows, in the page itself.

Streamlit's browser half looks for its server: below the page's own address first (`/compare/_stcore/health`, which is
not there, and 100 ms later elsewhere), then for what the server allows, and connects after that. Both may stand in
the page (`window.__streamlit`): it connects at once, and looks afterwards.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from streamlit import config

from serving import login

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

ALLOWS = "_stcore/host-config"
NEEDED = {"allowedOrigins": list, "useExternalAuthToken": bool}
"""What the browser half must know of it to connect at once."""


def is_page(path: str) -> bool:
    """Whether a path may be the address of a page: the app's own, or one name below it."""
    base = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return re.fullmatch(rf"{re.escape('/' + base if base else '')}/[\w-]*", path) is not None


async def script(app: ASGIApp, scope: Scope) -> bytes:
    """A tag for the head of the page that `scope` asks for.

    With a login the browser looks first: it then has the cookie without which the server knows nobody.
    """
    told = {} if login.is_on() else await _allowed(app, scope)
    allows = f",HOST_CONFIG:{json.dumps(told)}" if told else ""
    own = "{BACKEND_BASE_URL:new URL(`.`,location.href).href" + allows.replace("<", "\\u003c") + "}"
    return f"<script>window.__streamlit={own}</script>".encode()


async def _allowed(app: ASGIApp, scope: Scope) -> dict[str, Any]:
    """What the server tells a browser that asks what it allows; empty where it tells something else."""
    path = scope["path"].rpartition("/")[0] + "/" + ALLOWS
    answer: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        answer.append(message)

    await app({**scope, "path": path, "raw_path": path.encode(), "query_string": b""}, receive, send)
    try:
        found = json.loads(b"".join(message.get("body", b"") for message in answer))
    except ValueError:
        return {}
    fits = isinstance(found, dict) and all(isinstance(found.get(name), kind) for name, kind in NEEDED.items())
    return found if fits and found["allowedOrigins"] else {}
