"""How shown figures were chosen: from seeds, from settings, by the test; and how many settings each model was given."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from mdaf_core.analysis.published.cells import Cell, in_bp, prints_as
from mdaf_core.analysis.published.found import BestOfSeeds, ChosenOnTest, DataSetFound, Selection, ShownSeed
from mdaf_core.runs.published.table import Run


def at_least(successes: int, chances: Sequence[float]) -> float:
    """Probability of so many successes or more in independent trials of these chances (Poisson's binomial); with equal
    chances the binomial tail."""
    found = [1.0] + [0.0] * len(chances)
    for trial, chance in enumerate(chances, 1):
        for k in range(trial, 0, -1):
            found[k] = found[k] * (1 - chance) + found[k - 1] * chance
        found[0] *= 1 - chance
    return math.fsum(found[successes:])


def best_of_seeds(cells: Sequence[Cell]) -> BestOfSeeds:
    """Whether shown figures are those of single seeds, which, and how often these are the best of theirs.

    Where one seed is behind most figures it is taken wherever it fits, with all its decimals; elsewhere a figure counts
    as the best seed's if it is printed like it.
    """
    seeded = [cell for cell in cells if cell.chosen[0].seeded and len(cell.chosen[0].values) > 1]
    groups = [found for cell in seeded if (found := _shown_seed(cell)) is not None]
    out = BestOfSeeds(groups=groups, all_groups=len(seeded))
    fits = Counter(seed for group in groups for seed in group.prints_as)
    if fits:
        common, count = min(fits.items(), key=lambda item: (-item[1], item[0]))
        if count > 1:
            out.seed, out.seed_in = common, count
    rounded = sum(prints_mean(group, cell) for group, cell in _with_cells(groups, seeded))
    means = rounded > out.seed_in  # means are shown: where a seed is printed alike it is the mean all the same
    if means:
        out.seed, out.seed_in = None, 0
    told = any(len(group.prints_as) < group.seeds for group in groups)
    for group, cell in _with_cells(groups, seeded):
        is_mean = prints_mean(group, cell) and (not group.prints_as or means)
        all_alike = len(group.prints_as) == group.seeds and (not told or out.seed is None)
        group.is_ = (
            "cannot be told" if all_alike else "the mean" if is_mean else "a seed" if group.prints_as else "neither"
        )
        if group.is_ == "a seed":
            _judge(group, cell, out.seed)
    if not told:
        out.seed, out.seed_in = None, 0
    out.untold = sum(group.is_ == "cannot be told" for group in groups)
    single = [group for group in groups if group.is_ == "a seed"]
    out.of_a_seed, out.means = len(single), sum(group.is_ == "the mean" for group in groups)
    if single:
        chances = [group.chance or 0.0 for group in single]
        out.best = sum(bool(group.best) for group in single)
        out.expected, out.chance = math.fsum(chances), at_least(out.best, chances)
    known = [group for group in single if group.optimism_bp is not None]
    if known:
        largest = min(known, key=lambda g: (-(g.optimism_bp or 0.0), g.data_set, g.model))
        out.optimism_bp = math.fsum(group.optimism_bp or 0.0 for group in known) / len(known)
        out.largest_bp, out.largest = largest.optimism_bp, f"{largest.model} on {largest.data_set}"
    added = [in_bp(cell.metric, _best_minus_mean(cell), cell.chosen[0].mean) for cell in seeded]
    out.best_would_add_bp = math.fsum(added) / len(added) if added else None
    return out


def _with_cells(groups: Sequence[ShownSeed], cells: Sequence[Cell]) -> list[tuple[ShownSeed, Cell]]:
    of = {(cell.data_set, cell.model): cell for cell in cells}
    return [(group, of[group.data_set, group.model]) for group in groups]


def prints_mean(group: ShownSeed, cell: Cell) -> bool:
    """Whether the shown figure is the mean over seeds at its decimals."""
    assert cell.shown is not None
    return prints_as(group.mean, *cell.shown)


def _shown_seed(cell: Cell) -> ShownSeed | None:
    if cell.shown is None:
        return None
    group = cell.chosen[0]
    fitting = [seed for seed, value in group.values.items() if prints_as(value, *cell.shown)]
    return ShownSeed(
        data_set=cell.data_set,
        model=cell.model,
        setting=group.setting,
        seeds=len(group.values),
        shown=cell.shown[0],
        mean=group.mean,
        is_="a seed" if fitting else "the mean" if prints_as(group.mean, *cell.shown) else "neither",
        prints_as=fitting,
    )


def _judge(group: ShownSeed, cell: Cell, common: str | None) -> None:
    """Which seed it is, whether that is the best, and by how much it flatters."""
    values, direction = cell.chosen[0].values, cell.metric.direction
    best = max(values.values(), key=lambda value: direction * value)
    assert cell.shown is not None
    if common in group.prints_as:
        group.seed = common
        figure = values[group.seed]
        group.best, group.chance = figure == best, sum(v == best for v in values.values()) / len(values)
    else:
        group.seed = group.prints_as[0] if len(group.prints_as) == 1 else None
        figure = values[group.seed] if group.seed else cell.shown[0]
        alike = sum(prints_as(value, best, cell.shown[1]) for value in values.values())
        group.best, group.chance = any(values[seed] == best for seed in group.prints_as), alike / len(values)
    group.optimism = direction * (figure - group.mean)
    group.optimism_bp = in_bp(cell.metric, group.optimism, group.mean)


def _best_minus_mean(cell: Cell) -> float:
    values = cell.chosen[0].values
    return max(cell.metric.direction * (value - cell.chosen[0].mean) for value in values.values())


# ---- chosen on test --------------------------------------------------------------------------------------------------


def identical(run: Run) -> bool | None:
    """Whether all validation figures of a run equal its test figures; None where it does not have both."""
    both = [(run.val[metric], value) for metric, value in run.test.items() if metric in run.val]
    return all(a == b for a, b in both) if both else None


def chosen_on_test(cells: Sequence[Cell], data_sets: Sequence[DataSetFound]) -> ChosenOnTest:
    """What identical figures and the choice among several runs say of it."""
    whole = [found for found in data_sets if found.with_both and found.identical == found.with_both]
    out = ChosenOnTest(
        lines=sum(found.with_both for found in data_sets),
        identical=sum(found.identical for found in data_sets),
        identical_sets=[found.name for found in whole],
        identical_in_sets=sum(found.identical for found in whole),
    )
    for cell in cells:
        runs = [run for run in cell.runs if cell.metric.key in run.val]
        if len(runs) < 2 or len(runs) < len(cell.runs) or all(identical(run) for run in runs):
            continue
        out.cells += 1
        on_validation, on_test = _both(cell, runs)
        if on_validation != on_test:
            out.selections.append(_selection(cell, len(runs), on_validation, on_test))
        if cell.shown is not None:
            shown, digits = cell.shown
            out.all_best_on_test += prints_as(on_test, shown, digits)
            out.all_best_on_validation += prints_as(on_validation, shown, digits)
            out.shown_cells += 1
            out.of_no_run += not any(prints_as(run.test[cell.metric.key], shown, digits) for run in runs)
    said = Counter(found.shown_is for found in out.selections)
    out.shown_best_on_test, out.shown_best_on_validation = said["best on test"], said["best on validation"]
    out.shown_neither = said["neither"]
    either = out.shown_best_on_test + out.shown_best_on_validation
    out.chance = at_least(out.shown_best_on_test, [0.5] * either) if either else None
    if out.selections:
        largest = min(out.selections, key=lambda g: (-g.gain_bp, g.data_set, g.model))
        out.gain_bp = math.fsum(found.gain_bp for found in out.selections) / len(out.selections)
        out.largest_gain_bp, out.largest_gain = largest.gain_bp, f"{largest.model} on {largest.data_set}"
    return out


def _both(cell: Cell, runs: Sequence[Run]) -> tuple[float, float]:
    """Test figures of the run best on validation (of several the best), and of the run best on test."""
    key, direction = cell.metric.key, cell.metric.direction
    best = max(direction * run.val[key] for run in runs)
    return (
        direction * max(direction * run.test[key] for run in runs if direction * run.val[key] == best),
        direction * max(direction * run.test[key] for run in runs),
    )


def _selection(cell: Cell, runs: int, on_validation: float, on_test: float) -> Selection:
    out = Selection(
        data_set=cell.data_set,
        model=cell.model,
        runs=runs,
        best_on_validation=on_validation,
        best_on_test=on_test,
        gain_bp=in_bp(cell.metric, cell.metric.direction * (on_test - on_validation), on_validation),
    )
    if cell.shown is not None:
        shown, digits = cell.shown
        out.shown = shown
        if not prints_as(on_validation, on_test, digits):  # else the shown figure tells nothing
            fits_test, fits_validation = prints_as(on_test, shown, digits), prints_as(on_validation, shown, digits)
            out.shown_is = "best on test" if fits_test else "best on validation" if fits_validation else "neither"
    return out


# ---- settings --------------------------------------------------------------------------------------------------------


def expected_at(cell: Cell, budget: int) -> float | None:
    """Expected test figure of the setting best on validation among `budget` of those tried, drawn without returning
    (the order statistics of Dodge et al. 2019, "Show Your Work", for a finite set); None without validation figures."""
    settings = cell.candidates
    if any(group.validation is None for group in settings) or not 0 < budget <= len(settings):
        return None
    order = sorted(settings, key=lambda g: (-cell.metric.direction * (g.validation or 0.0), g.setting, g.mean))
    total = math.comb(len(order), budget)
    return math.fsum(math.comb(len(order) - 1 - i, budget - 1) / total * group.mean for i, group in enumerate(order))
