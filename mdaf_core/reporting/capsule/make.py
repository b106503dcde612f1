"""A capsule from a study: as much of the predictions inside as fits."""

from __future__ import annotations

import getpass
import json
import os
import platform
import re
import socket
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdaf_core.base.errors import StudioError
from mdaf_core.base.settings import get_settings
from mdaf_core.reporting.capsule.page import blocks, document, library, seal_id
from mdaf_core.reporting.capsule.rebuilt import metrics_of
from mdaf_core.reporting.capsule.record import Record, different, take
from mdaf_core.reporting.capsule.scores import CARRIED, Columns, columns_of, pack
from mdaf_core.reporting.material import Material

MOST_BYTES = 5_000_000
BESIDE = ".predictions"


@dataclass(frozen=True)
class Capsule:
    """The file, and what lies beside it: its predictions where they do not fit inside, else nothing."""

    html: str
    beside: bytes
    record: Record

    @property
    def seal(self) -> str:
        """Its seal's number."""
        return seal_id(json.loads(blocks(self.html)["seal"]))

    @property
    def words(self) -> str:
        """What it holds, in a sentence."""
        inside = f"predictions are in {self.record.beside}, beside it" if self.beside else "predictions are inside"
        gates = "" if self.record.gates else ", without those of the branches: Gates are left out"
        return f"{len(self.html.encode()) / 1e6:.1f} MB; {inside}{gates}."


def capsule(
    material: Material,
    name: str | None = "study.html",
    *,
    anonymous: bool = False,
    title: str = "",
    most: int = MOST_BYTES,
) -> Capsule:
    """The capsule of a study.

    Predictions are inside; without those of the branches where the file would have more than `most` bytes; beside it
    where it still would.

    Args:
        name: of the file; that of predictions beside it follows from it. None: they are inside, however large.
        anonymous: see `without_names`; with `title` in the place of the study's.

    Raises:
        UsageError: none of the study's runs has finished.
        StudioError: a run has no predictions, or its stored metrics are not those of its predictions.
    """
    record = take(material)
    if anonymous:
        record = without_names(record, title)
    elif title:
        record.study.title = title
    script = library()
    whole = {run.facts["run_id"]: columns_of(run.facts["run_id"], record.split, gates=True) for run in record.scored}
    _check(record, whole)
    packed = pack(whole)
    html = document(record, whole, packed, script)
    if len(html.encode()) <= most:
        return Capsule(html, b"", record)
    basic: dict[str, Columns] = {
        run: {key: values for key, values in columns.items() if key in CARRIED} for run, columns in whole.items()
    }
    small = pack(basic)
    if name is None or len(html.encode()) + (len(small) - len(packed)) * 4 / 3 <= most:
        record.gates = False
        return Capsule(document(record, basic, small, script), b"", record)
    record.beside = name.removesuffix(".html") + BESIDE
    return Capsule(document(record, whole, b"", script), packed, record)


def _check(record: Record, scores: dict[str, Columns]) -> None:
    """Nothing is sent out that its own predictions contradict."""
    for run in record.scored:
        assert run.result is not None
        found = different(getattr(run.result, record.split), metrics_of(scores[run.facts["run_id"]]))
        for key, (held, value) in found.items():
            raise StudioError(
                f"Run {run.facts['run_id'][:8]} ({run.facts['configuration']}, seed {run.facts['seed']}) holds "
                f"{key} = {held:.10g}, but its predictions give {value:.10g}: one of its files was changed. "
                "Train it again."
            )


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


def without_names(record: Record, title: str = "") -> Record:
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
            for one in (kept, *kept.get("earlier", [])):
                one |= {
                    key: value for key, value in (("code", WITHHELD), ("platform", platform.system())) if key in one
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
