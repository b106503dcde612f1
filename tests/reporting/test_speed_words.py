"""Compare's sentences on speed."""

from __future__ import annotations

from typing import Any

from mdaf_core.analysis.speed import Ratio
from mdaf_core.reporting.topics.speed import words


def ratio(name: str, way: str, events: int, ratio: float, p: float, **more: Any) -> Ratio:
    low, high = (ratio * 0.9, ratio * 1.1) if p < 0.05 else (0.5, 2.0)
    verdict = "not shown" if p >= 0.05 else "faster" if ratio < 1 else "slower"
    other = {"against": "bst", "against_way": "raw"} | more
    given = {"configuration": name, "way": way, "threads": 1, "events": events, "rows": 100, "bulk": False, **other}
    return Ratio(**given, ratio=ratio, low=low, high=high, p=p, p_adjusted=p, rounds=20, verdict=verdict)  # type: ignore


def test_each_pair_by_length_and_those_of_which_nothing_is_shown_together() -> None:
    found = words(
        [
            ratio("mamba", "raw", 10, 1.2, 0.4),
            ratio("mamba", "raw", 1000, 0.3, 0.001),
            ratio("lr", "raw", 10, 1.0, 0.9),
            ratio("mamba", "kept", 10, 1.3, 0.001, against="mamba"),
            ratio("din", "raw", 10, 0.9, 0.6),
        ]
    )
    assert found == [
        "mamba (raw) against bst (raw): faster at 1,000 events; not shown at 10 events.",
        "mamba (kept state) against its own raw history: slower at 10 events.",
        "Not shown at any length: lr (raw) against bst (raw); din (raw) against bst (raw).",
    ]
    assert words([]) == []
