"""A record without who and where: names of people and machines, paths, addresses, titles, notes."""

from __future__ import annotations

import getpass
import os
import platform
import re
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from mdaf_core.base.settings import get_settings
from mdaf_core.reporting.capsule.record import Record

STUDY, WITHHELD = "study", "withheld"
_ADDRESS = re.compile(r"\b\w+://[^\s'\"<>]+|\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PATH = re.compile(
    r"(?<![\w/.])(?:~|\.{1,2})?/[\w.@+~-]+(?:/[\w.@+~-]*)+|\b[A-Za-z]:\\[^\s'\"<>|]+|\\\\[\w.-]+\\[^\s'\"]+"
)
_ORDINARY = {
    "root",
    "user",
    "users",
    "admin",
    "test",
    "home",
    "data",
    "ubuntu",
    "debian",
    "runner",
    "localhost",
    "work",
}
"""Names that say of nobody who it is; to strike them out would tear holes into sentences."""


def anonymous(record: Record, title: str = "") -> Record:
    """The record with nothing that says whose it is.

    Title, note, tags and the study's id are left out, as are the code's commit and what a machine calls itself; paths,
    addresses and the names of this account and machine are struck out of every text. Names of configurations and of
    the data set stay: results are about them.

    Args:
        title: shown instead of the study's.
    """
    whole = record.model_dump(mode="json")
    whole["anonymous"] = True
    own = [whole["study"]["id"], *([whole["study"]["cloned_from"]] if whole["study"]["cloned_from"] else [])]
    whole["study"] |= {"id": STUDY, "title": title or "A study", "note": "", "tags": [], "cloned_from": None}
    whole["program"]["code"] = WITHHELD
    if whole["data"] is not None:
        whole["data"] |= {"path": "", "title": ""}
        _without_files(whole["data"]["fingerprint"])
    for run in whole["runs"]:
        run["facts"]["study"] = STUDY
        if run["result"] is not None:
            kept = run["result"]["provenance"]
            _without_files(kept.get("dataset", {}).get("fingerprint"))
            run["result"]["provenance"] = kept | {
                key: value for key, value in (("code", WITHHELD), ("platform", platform.system())) if key in kept
            }
    names = [name for name in (*own, *_names()) if len(name) > 2 and name.lower() not in _ORDINARY]
    return Record.model_validate(_texts(whole, _striking(names)))


def _without_files(fingerprint: Any) -> None:
    """Names of the files that were read are the owner's own."""
    if isinstance(fingerprint, dict):
        fingerprint["inputs"] = {}


def _names() -> Iterable[str]:
    """What this account and this machine are called."""
    found = {os.environ.get(key, "") for key in ("USER", "LOGNAME", "USERNAME", "HOSTNAME", "COMPUTERNAME")}
    with suppress(OSError, KeyError):  # an account without a name
        found.add(getpass.getuser())
    host = socket.gethostname()
    found |= {host, host.partition(".")[0], platform.node(), Path.home().name, str(Path.home())}
    return sorted(found | {str(get_settings().home)}, key=len, reverse=True)


def _striking(names: Iterable[str]) -> Callable[[str], str]:
    words = "|".join(re.escape(name) for name in names)
    named = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE) if words else None

    def strike(text: str) -> str:
        text = _PATH.sub("[path]", _ADDRESS.sub("[address]", text))
        return named.sub("[name]", text) if named else text

    return strike


def _texts(value: Any, change: Callable[[str], str]) -> Any:
    """A JSON value with every text in it changed, those that name fields too."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {change(key): _texts(inner, change) for key, inner in value.items()}
    return [_texts(inner, change) for inner in value] if isinstance(value, list) else value
