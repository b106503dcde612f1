"""Several studies as one table: those on the same rows joined, those on other data sets beside them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.plan import Conditions
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.prepare.twins import share_input
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies import results
from mdaf_core.studies.store import Study, get_study, list_studies

if TYPE_CHECKING:
    from mdaf_core.analysis.across import AcrossComparison
    from mdaf_core.analysis.compared import StudyComparison


@dataclass(frozen=True)
class Table:
    """Studies as one table.

    Attributes:
        studies: those in it, in the order they were named.
        columns: data set → the comparison of its study, or of its studies joined.
        of_column: data set → its studies.
        across: over the data sets; None where all studies are on one.
    """

    studies: list[Study]
    columns: dict[str, StudyComparison]
    of_column: dict[str, list[Study]]
    across: AcrossComparison | None


def members(study: Study) -> list[Study]:
    """The studies of one launch on several data sets, in the order in which these were named; of others the study."""
    if study.group is None:
        return [study]
    found = [other for other in list_studies() if other.group is not None and other.group.id == study.group.id]
    return sorted(found, key=lambda other: study.group.datasets.index(other.dataset))  # type: ignore[union-attr]


def together(ids: Sequence[str]) -> list[Study]:
    """The studies of these ids, each once; one that was launched on several data sets stands for all of that launch.

    Raises:
        UsageError: no such study, or only one, which stands alone.
    """
    named = [get_study(one) for one in dict.fromkeys(ids)]
    found = members(named[0]) if len(named) == 1 else named
    if len(found) < 2:
        raise UsageError(
            f"Study {found[0].id} stands alone: name another one, on the same data set or on others. "
            "`python -m mdaf_core study run DEFINITION --data A --data B` launches one on several data sets at once."
        )
    return found


def compare(
    studies: Sequence[Study],
    *,
    reference: str | None = None,
    split: Split | None = None,
    metric: str | None = None,
    margin: Margin | str | None = results.PLANNED,
    over_items: bool = False,
) -> Table:
    """Several studies by one protocol: the first one's plan unless named otherwise.

    Studies on the same data become one column (`joined`); several columns are averaged, see `analysis.across`.

    Args:
        margin: one for all data sets; `PLANNED`: each what its own study planned.

    Raises:
        UsageError: unknown metric, or a reference that none of the studies on a data set has.
    """
    from mdaf_core.analysis.across import compare_across

    base, rows, by, _ = results.choices(studies[0], reference=reference, split=split, metric=metric)
    groups = _by_data(studies)
    columns = {
        data: joined(those, reference=base, split=rows, metric=by, margin=margin, over_items=over_items)
        for data, those in groups.items()
    }
    across = None
    if len(columns) > 1:
        dependent, notes = _dependence(list(columns))
        notes += _other_settings(groups)
        across = compare_across(columns, list(_unplanned(studies, groups)), notes, dependent)
    return Table(list(studies), columns, groups, across)


def _by_data(studies: Sequence[Study]) -> dict[str, list[Study]]:
    """Studies by data set; data sets of one content under two names are one."""
    found: dict[str, list[Study]] = {}
    names: dict[str, str] = {}
    for study in studies:
        name = names.setdefault(_fingerprint(study), study.dataset)
        found.setdefault(name, []).append(study)
    return found


def _fingerprint(study: Study) -> str:
    """Of the data that most of its runs were trained on; of those without a run the data set's name."""
    prints = [run.fingerprint for run in results.study_runs(study) if run.state == "finished"]
    return max(prints, key=prints.count) if prints else f"name {study.dataset}"


# ---- one data set ----------------------------------------------------------------------------------------------------


def joined(
    studies: Sequence[Study],
    *,
    reference: str,
    split: Split,
    metric: str,
    margin: Margin | str | None = results.PLANNED,
    over_items: bool = False,
) -> StudyComparison:
    """Studies on the same data as one table; of one study `results.compare`.

    Configurations with the same settings are one, under the name of the study named first, with the seeds of all; a
    seed, or a file of predictions, that several studies have counts once. Configurations that share a name but not
    their settings get their study's id behind it. No study planned this table, so all its words are marked, and what
    their own studies say of them (seeds added later, runs given up, earlier comparisons) is said, too.

    Raises:
        UsageError: no study has the reference.
    """
    from mdaf_core.analysis.comparison import compare_study

    if len(studies) == 1:
        only = studies[0]
        return results.compare(
            only, reference=reference, split=split, metric=metric, margin=margin, over_items=over_items
        )
    labels = _labels(studies)
    runs, twice = _joined_runs(studies, labels, split)
    planned: dict[str, list[int]] = {}
    for study in studies:
        for name, seeds in study.expected_seeds.items():
            of_label = planned.setdefault(labels[study.id][name], [])
            of_label += [seed for seed in seeds if seed not in of_label]
    if reference not in planned:
        raise UsageError(
            f"None of {', '.join(study.id for study in studies)} has a configuration {reference!r}. They have: "
            f"{', '.join(planned)}."
        )
    width = results.choices(studies[0], metric=metric, margin=margin)[3]
    found = compare_study(runs, reference, split, metric, width, planned, over_items)
    found.conditions = _joined_conditions(studies, labels, runs, found)
    if twice:
        what = "run counts" if twice == 1 else "runs count"
        found.notes.append(f"{twice} {what} once although several of these studies have the same.")
    return found


def _labels(studies: Sequence[Study]) -> dict[str, dict[str, str]]:
    """Study → its name of a configuration → the name in the joined table."""
    by_settings: dict[str, str] = {}
    out: dict[str, dict[str, str]] = {}
    for study in studies:
        out[study.id] = {}
        for config in study.configurations:
            label = by_settings.get(results.settings_text(config))
            if label is None:
                taken = config.name in by_settings.values()
                label = f"{config.name} ({study.id})" if taken else config.name
                by_settings[results.settings_text(config)] = label
            out[study.id][config.name] = label
    return out


def _joined_runs(
    studies: Sequence[Study], labels: dict[str, dict[str, str]], split: Split
) -> tuple[list[RunRecord], int]:
    """The finished runs under their names in the table, and how many were left out as repeats."""
    kept: list[RunRecord] = []
    seen: set[tuple[str, object]] = set()
    twice = 0
    for study in studies:
        for run in results.study_runs(study):
            if run.state != "finished":
                continue
            label = labels[study.id][run.configuration]
            which: set[tuple[str, object]] = {(label, run.seed)}
            if (content := _content(run, split)) is not None:
                which.add((label, content))
            if which & seen:
                twice += 1
                continue
            seen |= which
            settings = run.config | {key: label for key in ("name", "preset") if key in run.config}
            kept.append(replace(run, configuration=label, config=settings))
    return kept, twice


def _content(run: RunRecord, split: Split) -> str | None:
    """Digest of the file that the predictions of an imported run came in; None: trained here, or not known."""
    result = run.result if run.imported else None
    part = result.imported.splits.get(split) if result is not None and result.imported is not None else None
    return part.sha256 or None if part is not None else None


def _joined_conditions(
    studies: Sequence[Study], labels: dict[str, dict[str, str]], runs: Sequence[RunRecord], found: StudyComparison
) -> Conditions:
    """What each study says of its own part of the table, with the study named, and that the whole was not planned."""
    plans = [study.plan for study in studies]
    out = Conditions(plan=plans[0] if all(plans) else None)
    out.chosen_after = [f"studies {' and '.join(study.id for study in studies)} were put into one table"]
    out.interim = {c.configuration: c.interim for c in found.configurations if c.interim}
    trained = {run.configuration for run in runs}
    for study in studies:
        own = {label: name for name, label in labels[study.id].items()}
        base = own.get(found.reference, study.reference)
        entries = [
            c.model_copy(update={"configuration": own[c.configuration]})
            for c in found.configurations
            if c.configuration in own
        ]
        view = found.model_copy(update={"reference": base, "configurations": entries})
        mine = [replace(run, configuration=own[run.configuration]) for run in runs if run.configuration in own]
        said = results.conditions_of(study, view, mine)
        out.chosen_after += [f"{study.id}: {text}" for text in said.chosen_after]
        if study.plan is not None and study.plan.until is not None:
            out.chosen_after.append(
                f"{study.id}: its seeds are added until decided, and here all are looked at once (words do not keep "
                "their 5%)"
            )
        out.missing += [text for text in said.missing if text not in out.missing]
        out.recorded += [f"{study.id}: {text}" for text in said.recorded]
        for name, reasons in said.of_configurations.items():
            of_label = out.of_configurations.setdefault(labels[study.id][name], [])
            of_label += [text for text in reasons if text not in of_label]
        for name, seeds in study.expected_seeds.items():
            if seeds and labels[study.id][name] not in trained and found.reference in trained:
                out.interim[labels[study.id][name]] = f"0 of {len(seeds)} planned seeds"
    return out


# ---- several data sets -----------------------------------------------------------------------------------------------


def _unplanned(studies: Sequence[Study], groups: dict[str, list[Study]]) -> Iterator[str]:
    """Why words over these data sets were not planned; empty: the studies are all of one launch."""
    launches = {study.group.id if study.group else None for study in studies}
    if launches == {None} or len(launches) > 1:
        yield "the data sets were put together; the studies were not launched together on them"
    else:
        of_launch = studies[0].group.datasets if studies[0].group else []
        left_out = [name for name in of_launch if name not in {study.dataset for study in studies}]
        if left_out:
            yield f"{len(groups)} of the {len(of_launch)} data sets launched together (not {', '.join(left_out)})"
    for study in studies:
        if study.plan is not None and study.plan.until is not None:
            yield f"seeds of {study.id} are added until decided, and the average is looked at once"


def _dependence(datasets: Sequence[str]) -> tuple[str, list[str]]:
    """Why these data sets cannot be averaged, if so, and what is not known about it."""
    known = {}
    gone = []
    for name in datasets:
        try:
            known[name] = PreparedDataset.open(name).meta
        except StudioError:
            gone.append(name)
    notes = [f"Whether {', '.join(gone)} share users with the others is not known: gone or unreadable."] if gone else []
    for one, other in combinations(known, 2):
        if share_input(known[one], known[other]):
            return (
                f"{one} and {other} were made from the same input: they hold the same users, and no average takes them "
                "for two data sets. Leave one out.",
                notes,
            )
    return "", notes


def _other_settings(groups: dict[str, list[Study]]) -> list[str]:
    """Configurations of one name that are set otherwise on other data sets."""
    settings: dict[str, set[str]] = {}
    for studies in groups.values():
        for study in studies[:1]:
            for config in study.configurations:
                settings.setdefault(config.name, set()).add(results.settings_text(config))
    differ = [name for name, found in settings.items() if len(found) > 1]
    if not differ:
        return []
    return [f"Not the same settings on all data sets: {', '.join(differ)}."]
