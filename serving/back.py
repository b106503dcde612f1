"""One press of Back is one page: what a page only adds to its address replaces the entry in the browser's history.

Streamlit makes a new entry whenever a page's script changes the address, also where it merely writes down the study
that it shows by default, and Back then leads to the same page without it. So it does where another page is opened: its
view is taken out of the address of the one that is left first, and Back leads to that. Its browser half is changed at
that place, as it is served; a Streamlit whose files read otherwise is left as it is.
"""

from __future__ import annotations

THEIRS = b"this.historyNavigationEpoch===null?window.history.pushState({},``,n):window.history.replaceState({},``,n)"
ADDS = b"[...new URLSearchParams(document.location.search)].every(([k,v])=>new URLSearchParams(t).has(k,v))"
"""Whether the new address has all that the present one names; `t` is the query of the new one."""
REMOVES = b"[...new URLSearchParams(t)].every(([k,v])=>new URLSearchParams(document.location.search).has(k,v))"
SHORTER = (
    b"this.historyNavigationEpoch===null&&"
    + REMOVES
    + b"?(a=>{clearTimeout(this.shorter),this.shorter=setTimeout(()=>document.location.href===a"
    b"&&window.history.pushState({},``,n),1e3)})(document.location.href):"
)
"""An address from which something is only taken out holds where the page is still the same a second later."""
OURS = SHORTER + THEIRS.replace(b"===null?", b"===null&&!" + ADDS + b"?")


def patched(script: bytes) -> bytes:
    """A script of Streamlit's browser half as it is to be served."""
    return script.replace(THEIRS, OURS) if script.count(THEIRS) == 1 else script
