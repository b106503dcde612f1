"""The file: one HTML document with style, scripts, record and predictions inside, which asks nobody for anything."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mdaf_core.base.cache import cached_bytes
from mdaf_core.reporting import theme
from mdaf_core.reporting.capsule import content, parts
from mdaf_core.reporting.capsule.rebuilt import rebuilt
from mdaf_core.reporting.capsule.record import Record
from mdaf_core.reporting.capsule.scores import Columns, sealed
from mdaf_core.reporting.drawing import vl_convert

HERE = Path(__file__).parent
BLOCK = re.compile(r'(<script id="(record|predictions|library|seal)"[^>]*>)(.*?)(</script>)', re.DOTALL)
NO_SEAL = "-" * 64


def library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script, from the installed vl-convert: no network."""

    def make() -> bytes:
        return str(vl_convert.javascript_bundle()).encode()  # type: ignore[call-arg]  # its snippet has a default

    return cached_bytes("vega", [version("vl-convert-python")], "js", make).decode()


@lru_cache(maxsize=4)
def _own(name: str) -> str:
    return (HERE / name).read_text("utf-8")


def document(record: Record, scores: Mapping[str, Columns], packed: bytes, script: str) -> str:
    """The capsule of a record and predictions.

    Args:
        scores: run → columns; packed: the same as `scores.pack` has them, empty where they are beside the file.
        script: the drawing library.
    """
    with rebuilt(record, scores) as material:
        title = record.study.title or record.study.id
        lead = content.lead(record, material)
        tabs = list(content.tabs(record, material))
    draws, inks = _own("page.js"), {"light": theme.page_ink(False), "dark": theme.page_ink(True)}
    names = [name.lower() for name, _ in tabs]
    nav = "".join(
        f'<button type="button" role="tab" id="tab-{n}" aria-controls="{n}">{t}</button>'
        for n, (t, _) in zip(names, tabs, strict=True)
    )  # fmt: skip
    panels = "".join(
        f'<section id="{n}" role="tabpanel" aria-labelledby="tab-{n}" data-at="{t}"><h2>{t}</h2>{inner}</section>\n'
        for n, (t, inner) in zip(names, tabs, strict=True)
    )
    policy = (
        f"default-src 'none'; script-src {_allowed(script)} {_allowed(draws)}; style-src 'unsafe-inline'; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )
    whose = "" if record.anonymous else f"Study {record.study.id}. "
    text = f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{parts.text(title)}</title>
<style>{_own("page.css")}</style>
</head>
<body>
<header><h1>{parts.text(title)}</h1>
{lead}
<noscript><p>Tables can be read without scripts; tabs, sorting and charts need them.</p></noscript>
<nav role="tablist" aria-label="Parts of the study">{nav}</nav></header>
<main>
{panels}</main>
<footer>{parts.text(whose)}Made by MDAF Studio on {parts.text(record.created[:10])}. \
Check every number: <code>mdaf verify FILE</code>. Seal <code>{NO_SEAL}</code></footer>
<script id="inks" type="application/json">{parts.script_json(inks)}</script>
<script id="record" type="application/json">{parts.script_json(record.model_dump(mode="json"))}</script>
<script id="predictions" type="text/plain">{base64.b64encode(packed).decode()}</script>
<script id="seal" type="application/json"></script>
<script id="library">{script}</script>
<script>{draws}</script>
</body>
</html>
"""
    made = seal(record.model_dump(mode="json"), scores, text)
    text = text.replace(NO_SEAL, seal_id(made))
    empty = '<script id="seal" type="application/json">'
    return text.replace(empty, f"{empty}{parts.script_json(made)}", 1)


def _allowed(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


# ---- the seal --------------------------------------------------------------------------------------------------------


def seal(record: dict[str, Any], scores: Mapping[str, Columns], text: str) -> dict[str, dict[str, str]]:
    """SHA-256 of each part of a capsule: of the record, of each run's columns (see `sealed`), of page and library."""
    named = {f"{key}": record[key] for key in sorted(record) if key != "runs"}
    named |= {f"{run['facts']['configuration']}, seed {run['facts']['seed']}": run for run in record["runs"]}
    return {
        "record": {name: _sha(json.dumps(value, sort_keys=True)) for name, value in named.items()},
        "predictions": {
            f"{run} {name}": sealed(values) for run, columns in scores.items() for name, values in columns.items()
        },
        "page": {"text": _sha(shell(text)), "library": _sha(blocks(text)["library"])},
    }


def seal_id(made: dict[str, dict[str, str]]) -> str:
    """One number for all of it: whoever knows it knows that nothing was changed since."""
    return _sha(json.dumps(made, sort_keys=True))


def shell(text: str) -> str:
    """The page without what is sealed apart from it."""
    emptied = BLOCK.sub(lambda found: found[1] + found[4], text)
    return re.sub(r"Seal <code>.{64}</code>", f"Seal <code>{NO_SEAL}</code>", emptied)


def blocks(text: str) -> dict[str, str]:
    """Contents of the script elements that hold what is sealed apart."""
    return {found[2]: found[3] for found in BLOCK.finditer(text)}


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
