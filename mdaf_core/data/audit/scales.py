"""Do numeric inputs have sizes that models can learn from?"""

from __future__ import annotations

import numpy as np

from mdaf_core.data.audit.base import Written, pieces
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import SPLITS

LARGE = 100.0
"""A model input beyond this, where weights and ids' vectors are of size 1, decides a logit alone."""
_APART = 1000.0
_ROWS = 1_000_000


@check("numeric-scales", "Sizes of numeric inputs", place=220)
def scales(data: Written) -> Answer | None:
    """The largest absolute value of each numeric input over all parts, and standard deviations side by side."""
    if not data.meta.numeric:
        return None
    largest = largest_inputs(data.dataset)
    deviations = {name: sd for name in data.meta.numeric if (sd := _deviation(data, name)) > 0}
    large = [name for name, value in largest.items() if value > LARGE]
    widest = max(deviations, key=lambda name: deviations[name], default="")
    narrowest = min(deviations, key=lambda name: deviations[name], default="")
    apart = bool(deviations) and deviations[widest] > _APART * deviations[narrowest]
    if large:
        shown = ", ".join(f"{name} (up to {largest[name]:.3g})" for name in large)
        sentence = f"Numeric inputs beyond ±{LARGE:g}: {shown}. Training may diverge, or see nothing else."
    elif apart:
        sentence = (
            f"{widest} varies {deviations[widest] / deviations[narrowest]:,.0f} times as much as {narrowest}, which "
            "models will hardly see."
        )
    else:
        sentence = f"All numeric inputs lie within ±{LARGE:g}, and none varies {_APART:g} times as much as another."
    return Answer(
        "warn" if large or apart else "pass",
        max(largest.values()),
        sentence,
        largest,
        todo="Prepare the data with numeric_scaling=standard (the default), or bring the numbers to a common scale.",
    )


def largest_inputs(dataset: PreparedDataset) -> dict[str, float]:
    """Numeric field → largest absolute value of its inputs over all parts; 0 where every value is missing."""
    found = dict.fromkeys(dataset.meta.numeric, 0.0)
    for rows in map(dataset.rows, SPLITS):
        for name in found:
            for piece in pieces(len(rows)):
                sizes = np.nan_to_num(np.abs(rows.columns[name][piece]), nan=0.0, posinf=np.inf)
                found[name] = max(found[name], float(sizes.max(initial=0.0)))
    return found


def _deviation(data: Written, name: str) -> float:
    """Standard deviation over training rows that have a number (an even sample of many)."""
    values = data.rows["train"].columns[name]
    values = values[:: max(1, len(values) // _ROWS)].astype(np.float64)
    values = values[~np.isnan(values)]
    return float(values.std()) if len(values) else 0.0
