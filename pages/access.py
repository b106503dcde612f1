"""Who is signed in, and what they may do: the page before the login, the account beneath the list of pages, and greyed
buttons for those who may only look. Without a login in the secrets everybody who reaches the app is its owner."""

from __future__ import annotations

from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from mdaf_core.base import rights
from pages.shared import plain
from serving import login
from serving.whole import whole

READER = "You may look at everything here; only owners may change, launch, upload or delete."


def refusal() -> str | None:
    """For `rights.ask`: why the user of this session may not change anything. What is no session's is the app's own."""
    if get_script_run_ctx(suppress_warning=True) is None or not login.is_on() or _role() == "owner":
        return None
    return READER


def _role() -> login.Role | None:
    return login.role(st.user.to_dict())


def known() -> bool:
    """Whether the user is one who may see the pages."""
    return not login.is_on() or _role() is not None


def sign_in() -> None:
    """The page of those who are not known: the way in, or why it leads nowhere."""
    st.title("MDAF Studio", anchor=False)
    if st.user.get("is_logged_in"):
        who = str(st.user.get("email") or st.user.get("name") or "somebody without an address")
        st.markdown(f"You are signed in as **{plain(who)}**, who is neither an owner nor a reader of this app.")
        st.caption("Its owner names both in the section [roles] of .streamlit/secrets.toml.")
        _sign_out()
        return
    st.markdown("Sign in to see its studies.")
    if not login.providers():
        st.error("The section [auth] of the secrets names no provider (server_metadata_url).", icon=":material/error:")
    for name in login.providers():
        words = "Sign in" if name is None else f"Sign in with {name}"
        st.button(words, type="primary", icon=":material/login:", key=f"login-{name}", on_click=st.login, args=(name,))


def account() -> None:
    """Who is signed in, beneath the list of pages."""
    if not login.is_on():
        return
    with st.sidebar:
        st.caption(f"{plain(str(st.user.get('email')))}  \n{_role()}")
        _sign_out()


def _sign_out() -> None:
    st.button("Sign out", icon=":material/logout:", type="tertiary", key="logout", on_click=st.logout)


def only_owners(what: str) -> bool:
    """Whether the user may only look; says then what is missing here (`what`: "Preparing data is")."""
    if rights.may_change():
        return False
    st.caption(f"{what} for owners. {READER}")
    return True


def change_button(label: str, *, disabled: bool = False, **options: Any) -> bool:
    """A button that changes something, and does it whole: `st.button`, greyed out for those who may only look."""
    if callable(action := options.get("on_click")):
        options["on_click"] = whole(action)
    if not rights.may_change():
        disabled, options["help"] = True, READER
    return st.button(label, disabled=disabled, **options)
