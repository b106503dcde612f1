"""Login by OpenID Connect, Streamlit's own (`st.login`), switched on by `[auth]` in its secrets; roles by `[roles]`.

    [auth]
    redirect_uri = "https://studio.example.org/oauth2callback"
    cookie_secret = "a long random text"
    client_id = "…"
    client_secret = "…"
    server_metadata_url = "https://accounts.example.org/.well-known/openid-configuration"

    [roles]
    owner = ["ada@example.org"]
    reader = ["*@example.org"]

Without it the app answers to this machine alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from streamlit.runtime.secrets import secrets_singleton

from mdaf_core.base.settings import get_settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

Role = Literal["owner", "reader"]
ROLES: tuple[Role, ...] = ("owner", "reader")  # the one that may more comes first
PROVIDER = "server_metadata_url"  # the key by which Streamlit knows a provider
UPLOADS = "/_stcore/upload_file/"


def secrets(section: str) -> Mapping[str, Any]:
    """A section of Streamlit's secrets; empty where there is none."""
    found = secrets_singleton.get(section) if secrets_singleton.load_if_toml_exists() else None
    return found if isinstance(found, Mapping) else {}


def is_on() -> bool:
    """Whether whoever opens the app has to sign in."""
    return bool(secrets("auth"))


def providers() -> list[str | None]:
    """Whom one can sign in with, by the names of the secrets; None: the one that has no name."""
    auth = secrets("auth")
    named = [name for name, value in auth.items() if isinstance(value, Mapping) and PROVIDER in value]
    return [*([None] if PROVIDER in auth else []), *named]


def role(claims: Mapping[str, Any]) -> Role | None:
    """What the signed-in user of these claims may do; None: nothing.

    An address counts by what the provider says of it: one that it calls not verified is nobody's. `*` stands for any
    text, as in `*@example.org`.
    """
    address = str(claims.get("email") or "").strip().lower()
    verified = claims.get("email_verified", True)
    if not claims.get("is_logged_in") or not address or verified in (False, "false"):
        return None
    named = secrets("roles")
    return next((one for one in ROLES if _holds(named.get(one), address)), None)


def _holds(patterns: Any, address: str) -> bool:
    listed = [patterns] if isinstance(patterns, str) else patterns or []
    return any(fnmatchcase(address, str(pattern).strip().lower()) for pattern in listed)


def refused(peer: str | None, opened: bool) -> str | None:
    """Why a request from this address is refused, as a sentence, or None.

    Args:
        peer: the address of the machine that asks; None where it is not known.
        opened: whether the app listens to other machines.
    """
    if not opened or is_on() or get_settings().open_without_login or _is_here(peer):
        return None
    return (
        "This app has no login, so it answers to the machine it runs on alone. A login is set up in "
        ".streamlit/secrets.toml (README, 'Who can reach it'); behind one of your own, set MDAF_OPEN_WITHOUT_LOGIN=1."
    )


def _is_here(peer: str | None) -> bool:
    try:
        address = ipaddress.ip_address(peer or "")
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


class OwnersUploads:
    """Refuses files from whoever may not upload: Streamlit takes them from every session, also where no page asks."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        if scope["type"] != "http" or UPLOADS not in path or not is_on() or scope["method"] not in ("PUT", "POST"):
            await self.app(scope, receive, send)
            return
        if role(_claims(path.partition(UPLOADS)[2].partition("/")[0])) == "owner":
            await self.app(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": b"Only owners may upload."})


def _claims(session_id: str) -> Mapping[str, Any]:
    """Of the user of a session; empty where there is none."""
    from streamlit.runtime import Runtime

    found = Runtime.instance()._session_mgr.get_active_session_info(session_id) if Runtime.exists() else None
    return found.session._user_info if found else {}
