"""What an audit of other people's results found, in sentences that say where their figures are from, and as a table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mdaf_core.analysis.significance import LEVEL
from mdaf_core.base.words import listed, plural, some
from mdaf_core.reporting import words
from mdaf_core.reporting.paper.paragraph import Sentence
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.topics.comparison.frames import VERDICT_MARKS
from mdaf_core.reporting.topics.published import table

if TYPE_CHECKING:
    from mdaf_core.analysis.published.found import Audit, BestOfSeeds, ChosenOnTest, DataSetFound, Lead

TOPICS = {
    "runs": "What is reported",
    "seeds": "Best of seeds",
    "test": "Chosen on test",
    "survives": "What survives",
    "settings": "Settings tried",
    "method": "How it was tested",
}
"""Topic → heading, in the order in which they are told."""
_SHOWN = "shown figures and the runs behind them"
_TESTS = "t tests over seeds, paired where seeds are shared; Holm over the comparisons of a data set"


def sentences(audit: Audit) -> dict[str, list[Sentence]]:
    """What was found, by topic; the figures are called reported in the first sentence."""
    found = {
        "runs": _runs(audit),
        "seeds": _seeds(audit.best_of_seeds),
        "test": _test(audit.chosen_on_test),
        "survives": _survives(audit.data_sets),
        "settings": _settings(audit.data_sets),
        "method": _method(audit),
    }
    return {topic: told for topic, sentences in found.items() if (told := list(sentences))}


def paragraph(audit: Audit) -> list[Sentence]:
    """The same as one paragraph."""
    return [sentence for told in sentences(audit).values() for sentence in told]


def _runs(audit: Audit) -> Iterator[Sentence]:
    source = f" ({audit.source})" if audit.source else ""
    source += f" in {audit.lines:,} lines" if audit.lines > audit.runs else ""
    kinds = audit.kinds
    parts = [f"{count:,} by {plural(seeds, 'seed')} each" for seeds, count in sorted(kinds.seeded.items())]
    parts += [
        f"{count:,} by {what}"
        for count, what in (
            (kinds.repeated, "repeats without seeds"),
            (kinds.one_run, "one run"),
            (kinds.given_means, "a mean that is given with a spread"),
            (kinds.several_settings, "one run each of several settings"),
            (kinds.unknown, "several lines that name neither seed nor setting"),
        )
        if count
    ]
    yield Sentence(
        f"{plural(audit.runs, 'reported run')}{source}: {plural(kinds.cells, 'pair')} of a model and a "
        f"data set, {plural(len(audit.data_sets), 'data set')}. The figures are reported, not computed here.",
        "the table's lines",
    )
    yield Sentence(f"Of these pairs are known: {listed(parts)}.", "the table's lines")
    if kinds.conflicting:
        yield Sentence(
            f"In {plural(len(kinds.conflicting), 'pair')} a seed has several figures, so that something else "
            f"than the seed differs: {some(kinds.conflicting)}.",
            "the table's seeds",
        )


def _seeds(found: BestOfSeeds) -> Iterator[Sentence]:
    added = (
        f" The best seed lies {words.signed(found.best_would_add_bp)} bp from the mean, on average over "
        f"{plural(found.all_groups, 'pair')}: what showing it instead would add."
        if found.best_would_add_bp is not None
        else ""
    )
    if not found.all_groups:
        yield Sentence("No pair has two seeds or more, so what seeds would change is not known.", "the table's seeds")
        return
    if not found.groups:
        text = "No shown figure (of a leaderboard or a paper) stands beside the seeds, so none can be a best seed's."
        yield Sentence(text + added, "the table's columns")
        return
    total = len(found.groups)
    counts = {group.seeds for group in found.groups}
    pairs = f"pairs with {words.seeds(list(counts))}"
    if not found.of_a_seed:
        told = [f"the mean in {found.means}"] * bool(found.means)
        told += [f"too short to tell the seeds apart in {found.untold}"] * bool(found.untold)
        neither = total - found.means - found.untold
        told += [f"no seed's and not the mean in {neither}"] * bool(neither)
        text = f"Of {total} {pairs} the shown figure is {listed(told)}."
        yield Sentence(text + added, _SHOWN)
        return
    same = f"that of seed {found.seed}" if found.seed_in == found.of_a_seed else "that of one seed"
    most = f" (in {found.seed_in} that of seed {found.seed})" if 0 < found.seed_in < found.of_a_seed else ""
    rest = [f"the mean in {found.means}"] * bool(found.means)
    rest += [f"printed like every seed in {found.untold}"] * bool(found.untold)
    neither = total - found.of_a_seed - found.means - found.untold
    rest += [f"neither in {neither}"] * bool(neither)
    yield Sentence(
        f"In {found.of_a_seed} of {total} {pairs} the shown figure is {same}{most}"
        f"{', ' + listed(rest) if rest else ', not the mean'}.",
        _SHOWN,
    )
    yield Sentence(
        f"It is the best of its seeds in {found.best} of {found.of_a_seed}, where {found.expected:.1f} are "
        f"expected of seeds chosen blindly (as many or more by chance: {scientific(found.chance)}).",
        f"{_SHOWN}; binomial tail",
    )
    if found.optimism_bp is not None:
        yield Sentence(
            f"On average it is {abs(found.optimism_bp):.1f} bp {'better' if found.optimism_bp > 0 else 'worse'} "
            f"than the mean over its seeds, at most {words.signed(found.largest_bp).removeprefix('+')} bp "
            f"({found.largest}).",
            f"{_SHOWN}; 1 bp = 0.0001",
        )


def _test(found: ChosenOnTest) -> Iterator[Sentence]:
    if not found.lines:
        yield Sentence(
            "No line has validation figures, so how anything was chosen is not known.", "the table's columns"
        )
        return
    if found.identical_sets:
        yield Sentence(
            f"All {found.identical_in_sets:,} lines of {listed(found.identical_sets)} have validation "
            "figures equal to their test figures: whatever was chosen there was chosen on test rows.",
            "validation and test figures, line by line",
        )
    others = found.identical - found.identical_in_sets
    if others:
        yield Sentence(
            f"{others:,} of {found.lines - found.identical_in_sets:,} {'other ' * bool(found.identical_sets)}lines "
            f"{'has' if others == 1 else 'have'} validation figures equal to the test figures.",
            "validation and test figures, line by line",
        )
    if not found.identical:
        yield Sentence(
            f"No line of {found.lines:,} has validation figures equal to its test figures.",
            "validation and test figures, line by line",
        )
    told = found.shown_best_on_test + found.shown_best_on_validation + found.shown_neither
    if told:
        yield Sentence(
            f"In {plural(told, 'pair')} the run best on validation and the run best on test differ in what "
            f"would be shown: the shown figure is the best on test in {found.shown_best_on_test}, that best on "
            f"validation in {found.shown_best_on_validation}, neither in {found.shown_neither}"
            + (f" ({scientific(found.chance)} by chance, were both as likely)." if found.chance is not None else "."),
            _SHOWN,
        )
    if found.shown_cells:
        none = f", like that of none of its runs in {found.of_no_run}" if found.of_no_run else ""
        yield Sentence(
            f"Of {plural(found.shown_cells, 'pair')} with several runs the shown figure is printed like the "
            f"best on test in {found.all_best_on_test}, like that of the run best on validation in "
            f"{found.all_best_on_validation}{none}.",
            _SHOWN,
        )
    if found.selections and found.gain_bp is not None:
        yield Sentence(
            f"Choosing among a pair's runs by the test instead of by validation changes the figure in "
            f"{len(found.selections):,} of {plural(found.cells, 'pair')} with several, by "
            f"{words.signed(found.gain_bp)} bp on average, at most {words.signed(found.largest_gain_bp)} bp "
            f"({found.largest_gain}).",
            "test figures of the run best on validation and of the run best on test",
        )


def _survives(data_sets: Sequence[DataSetFound]) -> Iterator[Sentence]:
    yield from [Sentence(of_data_set(found), _TESTS) for found in data_sets if found.leads]
    ranked = [found for found in data_sets if not found.leads and found.rank_correlation is not None]
    if ranked:
        each = "; ".join(f"{found.name} {_correlation(found)} ({found.ranked} models)" for found in ranked)
        yield Sentence(f"Rank correlation of the shown order and the order of {ranked[0].ranked_by}: {each}.", _SHOWN)
    alone = [found.name for found in data_sets if not found.leads]
    if alone:
        several = "each" if len(alone) > 1 else "it"
        yield Sentence(
            f"On {some(alone, 8)} no two models have two seeds: {several} gives no difference that could be "
            "tested, whatever its size.",
            "the table's seeds",
        )


def of_data_set(found: DataSetFound) -> str:
    """Which differences of a data set survive, in a sentence or more."""
    known = len(found.leads) + 1
    best = f"{found.reference}, {'the best mean' if found.chosen else 'the reference'} of {known} models with seeds"
    sure = [lead for lead in found.leads if lead.verdict in ("better", "worse")]
    count = plural(len(found.leads), "comparison")
    head = f"{found.name} ({found.metric.title}): "
    if sure:
        leads = "; ".join(f"{lead.model} {lead_words(lead, found)}" for lead in sure[:6])
        more = f"; and {len(sure) - 6} more" if len(sure) > 6 else ""
        head += f"{len(sure)} of {count} with {best}, survive Holm, by how much it leads: {leads}{more}."
    else:
        known_p = [lead.p_holm for lead in found.leads if lead.p_holm is not None]
        why = f"smallest adjusted p {words.p_value(min(known_p))}" if known_p else "no difference varies over seeds"
        head += f"no model differs from {best}, after Holm over {count} ({why})."
    parity = [lead.model for lead in found.leads if lead.verdict == "parity"]
    if parity:
        head += f" Parity within {found.margin_words}: {listed(parity)}."
    if found.rank_correlation is not None:
        head += (
            f" The shown order has rank correlation {_correlation(found)} with the order of the "
            f"{'means' if found.ranked_by == 'means over seeds' else found.ranked_by} ({found.ranked} models)."
        )
    if found.pairs > len(found.leads):
        head += f" Of all {found.pairs} pairs of them {found.pairs_survive} differ after Holm over all."
    if found.neighbours:
        head += (
            f" {found.within_noise} of {found.neighbours} steps of the shown order are smaller than the spread of one "
            f"model over seeds ({size(found.noise_floor, found).removeprefix('+')})."
        )
    return f"{head} {found.margin_note}".rstrip()


def _correlation(found: DataSetFound) -> str:
    return words.signed(found.rank_correlation, 2).removeprefix("+")


def lead_words(lead: Lead, found: DataSetFound) -> str:
    """`+4.9 bp [3.4, 6.4], paired p 0.0004, Holm 0.0020`."""
    test = lead.difference
    edges = ", ".join(words.signed(edge * found.scale, _digits(found)) for edge in (test.low, test.high))
    paired = "paired p" if lead.paired else "p"
    return (
        f"{size(test.estimate, found)} [{edges}], {paired} {words.p_value(test.p)}, Holm {words.p_value(lead.p_holm)}"
    )


def size(value: float | None, found: DataSetFound) -> str:
    """A difference in bp, or in the metric's own unit."""
    if value is None:
        return words.MISSING
    return f"{words.signed(value * found.scale, _digits(found))} {found.unit}".rstrip()


def _digits(found: DataSetFound) -> int:
    return 1 if found.metric.in_bp else 4


def _settings(data_sets: Sequence[DataSetFound]) -> Iterator[Sentence]:
    uneven = [found for found in data_sets if found.budget is not None]
    if not uneven:
        most = max((entry.settings for found in data_sets for entry in found.entries), default=1)
        if most > 1:
            yield Sentence(f"Every model was given {most} settings.", "the table's settings")
        return
    for found in uneven:
        counts = sorted(entry.settings for entry in found.entries)
        text = (
            f"{found.name}: models were given from {counts[0]} to {plural(counts[-1], 'setting')} "
            f"(median {counts[len(counts) // 2]})"
        )
        if found.best_at_equal_budget is not None:
            best = found.entries[0].model
            same = found.best_at_equal_budget == best
            text += (
                f"; with {plural(found.budget or 0, 'setting')} each, the best on validation of those drawn, "
                f"{f'{best} stays' if same else f'{found.best_at_equal_budget}, not {best}, is'} the best expected"
            )
            if found.budget_rank_correlation is not None:
                text += f", rank correlation of both orders {found.budget_rank_correlation:.2f}"
        yield Sentence(f"{text}.", "settings of each model; order statistics of validation and test figures")


def _method(audit: Audit) -> Iterator[Sentence]:
    if not any(found.leads for found in audit.data_sets):
        return
    yield Sentence(
        "Means over seeds are compared by t tests, paired by seed where models share seeds, with p values adjusted "
        f"by Holm's method over the comparisons of a data set, at {1 - LEVEL:.0%}; they cover other seeds on these "
        "test rows, not other rows, and their 95% intervals are not adjusted.",
        "the method of the tests",
    )
    if any(found.leads and found.chosen for found in audit.data_sets):
        yield Sentence(
            "The best mean is picked by the figures that are tested, so its lead is rather too large.",
            "the method of the tests",
        )
    margins = dict.fromkeys(found.margin_words for found in audit.data_sets if found.margin is not None)
    if not margins:
        text = "No margin was set, so parity was not tested."
    elif len(margins) == 1:
        text = f"Parity is tested within {next(iter(margins))}, by two one-sided tests."
    else:
        each = "; ".join(f"{found.name} {found.margin_words}" for found in audit.data_sets if found.margin is not None)
        text = f"Parity is tested by two one-sided tests within: {each}."
    yield Sentence(text, "the margin of parity")


def scientific(p: float | None) -> str:
    """A small chance as `3.6e-6`, others with three decimals."""
    if p is None:
        return words.MISSING
    if p >= 0.001:
        return f"{p:.3f}"
    digits, _, power = f"{p:.1e}".partition("e")
    return f"{digits}e{int(power)}"


def paper_table(found: DataSetFound) -> PaperTable:
    """The table of one data set for LaTeX, Markdown and CSV."""
    data = table(found)
    cells = {column: [_cell(value, column) for value in data[column]] for column in data.columns}
    reference = (
        f" Leads are of {found.reference}; p values are over seeds, Holm over {len(found.leads)} comparisons."
        if found.leads
        else ""
    )
    return PaperTable(
        name="reported-" + "".join(c if c.isalnum() and c.isascii() else "-" for c in found.name.lower())[:60],
        title=f"Reported results, {found.name}",
        caption=(
            f"Reported results on {found.name} ({found.metric.title}), not computed here. Figure: mean over seeds "
            f"where there are several.{reference}"
        ),
        cells=cells,
        data=data,
    )


def _cell(value: object, column: str) -> str:
    if value is None:
        return words.MISSING
    if column == "Verdict":  # print has no fonts for some of the screen's marks
        return str(value).lstrip("".join(mark[0] for mark in VERDICT_MARKS.values())).strip()
    if column in ("p", "Holm", "p of parity"):
        return words.p_value(float(value))  # type: ignore[arg-type]
    if isinstance(value, float):
        bp = column.endswith(", bp")
        return words.signed(value, 1) if bp else f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"
    return str(value)
