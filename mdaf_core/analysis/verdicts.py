"""From tests to words: the margin in the metric's units, adjusting over all comparisons, interim looks, chance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.margins import margin_notes
from mdaf_core.analysis.plan import seeds_done
from mdaf_core.analysis.significance import BP, LEVEL, ONE_SEED, Estimate, holm, verdict
from mdaf_core.base.words import ROOM, some
from mdaf_core.data.store.schema import Split
from mdaf_core.metrics.log_loss import entropy
from mdaf_core.metrics.registry import metric
from mdaf_core.runs.tracking import RunRecord


def interim_look(
    planned: Mapping[str, Sequence[int]], groups: Mapping[str, dict[int, RunRecord]], name: str, reference: str
) -> str | None:
    """How many planned seeds a configuration has finished together with the reference; None when all have."""
    whole = set(planned.get(name, ())) & set(planned.get(reference, ()))
    done = set(groups.get(name, {})) & set(groups.get(reference, {}))
    if not whole:  # of an imported one: paired in order
        whole, done = (
            set(range(min(len(side.get(name, ())), len(side.get(reference, ()))))) for side in (planned, groups)
        )
    return seeds_done(whole, done, len(whole))


def fit_margin(out: StudyComparison, value: float, reference: dict[int, RunRecord]) -> None:
    """The margin in the metric's own units, from what the reference gains over the base rate of these rows."""
    rows = next(iter(reference.values())).metrics(out.split)
    if rows is None:
        return
    out.gain = metric(out.metric).gained(value, rows.positives / rows.rows)
    width = None if out.margin is None else out.margin.half_width(out.gain)
    out.margin_bp = None if width is None else width / BP
    out.notes += margin_notes(out.margin, out.metric, width, out.gain)


def decide(out: StudyComparison, waiting: int) -> None:
    """Adjust over all comparisons, then give each its word. `waiting`: planned ones without a finished run.

    Where seeds are added until decided, p values hold at every look, so that a word is given as soon as it is shown;
    elsewhere one that waits for seeds gets none.
    """
    tested = [c for c in out.configurations if c.difference_seeds is not None and c.difference is not None]
    decidable = sum(not c.undecided for c in tested)
    out.tests = decidable + (waiting if decidable else 0)

    def waits(c: ComparedConfiguration) -> bool:
        return bool(c.interim) and out.until is None

    def adjusted(p: list[float | None]) -> list[float | None]:
        """Holm's; those that wait for seeds count as p = 1 for the others, and themselves get the whole factor."""
        known: list[float | None] = [1.0 if waits(c) else value for c, value in zip(tested, p, strict=True)]
        found = holm([*known, *[1.0] * waiting])
        return [
            f if not waits(c) or v is None else min(1.0, v * out.tests)
            for c, v, f in zip(tested, p, found, strict=False)
        ]

    differences = adjusted([c.difference.p if c.difference else None for c in tested])
    parity = adjusted([c.equivalence.p if c.equivalence else None for c in tested])
    seeds = adjusted([c.difference_seeds.p if c.difference_seeds else None for c in tested])
    ranks = adjusted([c.signed_rank.p if c.signed_rank else None for c in tested])
    for entry, p, p_parity, p_seeds, p_ranks in zip(tested, differences, parity, seeds, ranks, strict=True):
        assert entry.difference is not None
        entry.p_adjusted, entry.p_equivalence_adjusted = p, p_parity
        entry.p_seeds_adjusted, entry.p_signed_rank_adjusted = p_seeds, p_ranks
        estimate = entry.deciding.estimate if entry.deciding else entry.difference.estimate
        entry.verdict = verdict(metric(out.metric).direction * estimate, p, p_parity, len(entry.shared_seeds))
        shown = not waits(entry) and entry.verdict in ("better", "worse")
        if shown and entry.deciding and estimate * entry.difference.estimate <= 0:
            now = f"with all {len(entry.shared_seeds)} the difference has another sign"
            entry.notes.append(f"the word is from the look after {entry.deciding.seeds} seeds; {now}")
        if shown and p_parity is not None and p_parity < 1 - LEVEL:
            entry.notes.append(f"the difference is shown, and shown to be smaller than {out.margin_words}")
    for entry in out.configurations:
        given = ("better", "worse", "parity") if out.until is None else ()
        if entry.interim and entry.verdict in (*given, "not shown", ONE_SEED):
            entry.verdict = "interim"
        if entry.difference is not None and out.noise_floor is not None:
            entry.below_noise_floor = abs(entry.difference.estimate) < out.noise_floor


def chance_notes(
    groups: Mapping[str, dict[int, RunRecord]], areas: Mapping[str, Estimate | None], split: Split
) -> Iterator[str]:
    """Which configurations know nothing that can be shown (AUC whose interval reaches 0.5, log loss of the base rate),
    and which rank the wrong way round.

    Args:
        areas: configuration → its mean AUC over seeds, with the interval over seeds and users; None: undefined.
    """
    known = {name: area for name, area in areas.items() if area is not None}
    blind = [name for name, area in known.items() if area.low <= 0.5 <= area.high]
    turned = [name for name, area in known.items() if area.high < 0.5]
    if known and len(blind) == len(known):
        yield (
            "No configuration is above chance: the 95% interval of every AUC reaches 0.5. Differences among them are "
            "differences among models that have not been shown to know anything of these rows."
        )
    elif blind:
        yield f"Not above chance (the 95% interval of AUC reaches 0.5): {some(blind, room=ROOM)}."
    if turned:
        yield (
            f"Below chance (the whole 95% interval of AUC lies below 0.5): {some(turned, room=ROOM)}. These scores "
            "rank rows the wrong way round: larger ones must mean a label of 1."
        )
    worse, base = [], 0.0
    for name, group in groups.items():
        rows = [found for run in group.values() if (found := run.metrics(split)) is not None]
        losses = [row.logloss for row in rows if row.logloss is not None]
        if losses and 0 < rows[0].positives < rows[0].rows:
            base = entropy(rows[0].positives / rows[0].rows)
            if sum(losses) / len(losses) >= base:
                worse.append(name)
    if worse:
        yield (
            f"Log loss is not below {base:.4f}, that of predicting the base rate for every row: "
            f"{some(worse, room=ROOM)}."
        )
