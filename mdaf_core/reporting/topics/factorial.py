"""Effects of components: the frame, the table, the figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.base.errors import UsageError
from mdaf_core.metrics.registry import metric
from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.figure import Drawn, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.comparison.charts import VERDICT_SHAPES, differences
from mdaf_core.reporting.topics.comparison.frames import with_symbol
from mdaf_core.reporting.words import p_value, sentence, signed
from mdaf_core.studies.results import effects_of

if TYPE_CHECKING:
    from mdaf_core.analysis.factorial import Effect, Effects

WORDS = {"better": "helps", "worse": "harms", "parity": "less than the margin"}
TOGETHER = WORDS | {"better": "more together", "worse": "less together"}


def _word(one: Effect) -> str:
    """A verdict as it is said of an effect."""
    return (TOGETHER if one.together else WORDS).get(one.verdict, one.verdict)


def effects_frame(found: Effects) -> pl.DataFrame:
    """One row an effect, with the columns that `differences` draws; verdicts in the words of effects."""
    rows = [
        {
            "configuration": one.effect,
            "difference_bp": one.estimate * 1e4,
            "difference_low_bp": one.test.low * 1e4 if one.test else None,
            "difference_high_bp": one.test.high * 1e4 if one.test else None,
            "p_adjusted": one.p_adjusted,
            "p_parity_adjusted": one.p_parity_adjusted,
            "verdict": _word(one),
            "below_noise_floor": False,
            "seeds": len(found.seeds),
            "covers": one.test.covers if one.test else "",
            "covers_seeds": one.test is not None,
            "low": None,
            "high": None,
        }
        for one in found.effects
    ]
    numbers = (
        "difference_bp",
        "difference_low_bp",
        "difference_high_bp",
        "p_adjusted",
        "p_parity_adjusted",
        "low",
        "high",
    )
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(numbers, pl.Float64))


def effects_table(found: Effects) -> pl.DataFrame:
    """Columns as people read them."""
    frame = effects_frame(found)
    return pl.DataFrame(
        {
            "Component": frame["configuration"],
            "Verdict": [with_symbol(one.verdict).replace(one.verdict, _word(one)) for one in found.effects],
            "Effect, bp": frame["difference_bp"],
            "Low, bp": frame["difference_low_bp"],
            "High, bp": frame["difference_high_bp"],
            "p": frame["p_adjusted"],
            "p of parity": frame["p_parity_adjusted"],
            "Not told from": [", ".join(one.mixed_up) or None for one in found.effects],
        },
        schema_overrides={"Not told from": pl.String},
    )


def effects_chart(found: Effects) -> alt.TopLevelMixin:
    """The effects with their intervals, each verdict's shape that of comparisons."""
    shapes = {word: VERDICT_SHAPES[key] for words in (WORDS, TOGETHER) for key, word in words.items()}
    return differences(
        effects_frame(found), margin_bp=found.margin_bp, x_title=f"Effect on {metric(found.metric).title}, bp",
        shapes=shapes | VERDICT_SHAPES,
    )  # fmt: skip


def sentences(found: Effects) -> list[str]:
    """What the effects are and rest on."""
    title = metric(found.metric).title
    lower = "" if metric(found.metric).direction > 0 else ", its sign turned so that above 0 is better"
    covers = next((f" Intervals cover {one.test.covers}." for one in found.effects if one.test), "")
    out = [
        f"{found.design.words} design, {len(found.design.levels)} configurations × {len(found.seeds)} seeds: effect on "
        f"{title}{lower}, mean of the half of the runs with the component minus that of the half without. Of two "
        f"components: half of what the one changes in the effect of the other.{covers}",
        "p values are adjusted by Holm's method over main effects, and over interactions.",
    ]
    if found.margin_bp is not None:
        out.append(f"Margin: ±{found.margin_bp:.1f} bp.")
    return out + [sentence(note) for note in found.notes]


def _figure(material: Material) -> Drawn:
    found = _found(material)
    return effects_chart(found), effects_frame(found), " ".join(sentences(found))


def _found(material: Material) -> Effects:
    found = effects_of(
        material.study, material.runs, split=material.split, metric=material.metric, margin=material.margin
    )
    if found.missing:
        raise UsageError(f"There are no effects: {found.missing}.")
    return found


def _table(material: Material) -> PaperTable:
    found = _found(material)
    data = effects_table(found)
    edge = [
        "–" if low is None else f"[{signed(low)}, {signed(high)}]"
        for low, high in zip(data["Low, bp"], data["High, bp"], strict=True)
    ]
    return PaperTable(
        name="effects",
        title="Effects of components",
        caption=" ".join(sentences(found)),
        cells={
            "Component": data["Component"].to_list(),
            "Effect, bp": [signed(value) for value in data["Effect, bp"]],
            "95% interval": edge,
            "p": [p_value(p) for p in data["p"]],
            "Shown": list(map(_word, found.effects)),
            "Not told from": [", ".join(one.mixed_up) or "–" for one in found.effects],
        },
        data=data,
    )


FIGURES = {"component-effects": Kind("Effects of components", "Comparison", _figure, of_a_metric=True)}
TABLES = {"effects": ("Effects of components", _table)}
