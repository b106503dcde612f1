"""From runs to the tidy frames of what is lost without a part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import polars as pl

if TYPE_CHECKING:
    from mdaf_core.analysis.adaptivity import Contributions
    from mdaf_core.analysis.effects import EffectName
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.data.store.schema import Split
    from mdaf_core.runs.tracking import RunRecord


def gate_effects(
    runs: Sequence[RunRecord], split: Split, names: Sequence[EffectName], margin: Margin | None = None
) -> pl.DataFrame:
    """What configurations lose without a part, one row a configuration and effect; those without it have none.

    Columns: configuration, seeds, effect (a title), auc, estimate_bp, low_bp, high_bp, p, covers, verdict (of the gate;
    null without one).
    """
    from mdaf_core.analysis.adaptivity import contributions
    from mdaf_core.runs.groups import by_configuration

    found = [contributions(list(g.values()), split, margin) for g in by_configuration(runs).values()]
    return pl.concat([effect_rows(one, names) for one in found]) if found else effect_rows(None, names)


def effect_rows(found: Contributions | None, names: Sequence[EffectName]) -> pl.DataFrame:
    """`gate_effects` of one configuration."""
    from mdaf_core.analysis.effects import TITLES

    rows = []
    for effect in (found.effects.effects[name] for name in names if name in found.effects.effects) if found else ():
        assert found is not None
        test, about = effect.test, (found.effects.configuration, len(found.effects.seeds))
        bp = (found.effects.auc, test.estimate * 1e4, test.low * 1e4, test.high * 1e4, test.p)
        rows.append((*about, TITLES[effect.name], *bp, test.covers, found.gate and found.gate.word))
    schema: dict[str, type[pl.DataType]] = {"configuration": pl.String, "seeds": pl.Int64, "effect": pl.String}
    schema |= dict.fromkeys(("auc", "estimate_bp", "low_bp", "high_bp", "p"), pl.Float64)
    return pl.DataFrame(rows, schema=schema | {"covers": pl.String, "verdict": pl.String}, orient="row")
