"""`metrics`: what configurations can be compared by."""

from __future__ import annotations

from typing import Any

from mdaf_core.cli.output import emit, table
from mdaf_core.metrics import Metric


def command() -> None:
    """List the metrics that configurations can be compared by.

    What each is, which way is better, when it has no value, and what may be a margin of parity.
    """
    from mdaf_core.metrics.registry import metrics

    found = [_described(one) for one in metrics().values()]
    emit(found, lambda: table([list(one.values()) for one in found], list(found[0])))


def _described(one: Metric) -> dict[str, Any]:
    return {
        "key": one.key,
        "title": one.title,
        "better": "higher" if one.direction > 0 else "lower",
        "margin": "none" if one.gain is None else "bp or %" if one.in_bp else "%",
        "definition": one.definition,
        "undefined": one.undefined,
    }
