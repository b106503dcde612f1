"""`compare`, `reported`, `criteria`, `overfitting`: what runs, and figures from elsewhere, support."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.cli.options import (
    DifferenceOption,
    ItemsOption,
    MarginOption,
    MetricOption,
    SplitOption,
    StudyId,
    chosen_margin,
)
from mdaf_core.cli.output import emit, number, table

if TYPE_CHECKING:
    from mdaf_core.analysis.compared import StudyComparison
    from mdaf_core.analysis.criteria import CriterionResult
    from mdaf_core.analysis.overfitting import Overfitting
    from mdaf_core.analysis.power import Power
    from mdaf_core.analysis.reported_results import ReportedResult, ReportedTable
    from mdaf_core.reporting.conditions import Condition
    from mdaf_core.runs.tracking import RunRecord


def compare(
    study: StudyId,
    reference: Annotated[str | None, typer.Option(help="Configuration to compare with; default: the study's.")] = None,
    margin: MarginOption = None,
    split: SplitOption = None,
    metric: MetricOption = None,
    difference_bp: DifferenceOption = None,
    items: ItemsOption = False,
) -> None:
    """Compare a study's configurations with one of them.

    Differences, intervals, verdicts, and the rows and seeds that a difference takes. What the study did not plan is
    marked as chosen after results were seen; while planned seeds are missing there is no verdict.
    """
    from mdaf_core.analysis.power import power_of
    from mdaf_core.reporting.conditions import of_study
    from mdaf_core.studies import results
    from mdaf_core.studies.store import get_study

    found = get_study(study)
    records = results.study_runs(found)
    comparison = results.compare(
        found,
        records,
        reference=reference,
        split=split,
        metric=metric,
        margin=chosen_margin(margin),
        over_items=items,
    )
    size = comparison.margin_bp if difference_bp is None else difference_bp
    power = None if size is None else power_of(comparison, size)
    known = of_study(found, records, comparison.split, comparison)
    value = {
        "study": study,
        **comparison.model_dump(mode="json"),
        "beside": known,
        "marked": dict(comparison.frame().select("configuration", "marked").iter_rows()),
        "power": power and power.model_dump(mode="json"),
    }
    emit(value, lambda: comparison_text(comparison, power, known))


def comparison_text(comparison: StudyComparison, power: Power | None, known: Sequence[Condition] = ()) -> str:
    """A comparison as `compare` prints it; `known`: what must be known beside it."""
    from mdaf_core.analysis.compared import mark_legend
    from mdaf_core.reporting.captions import of_differences
    from mdaf_core.reporting.topics.comparison.frames import (
        comparison_basis,
        comparison_notes,
        comparison_table,
        power_sentence,
    )
    from mdaf_core.reporting.words import p_value, signed

    if not comparison.configurations:
        return "No run of this study has finished yet."
    shown = comparison_table(comparison)
    write = dict.fromkeys(("Mean", "± 95%", "Sd over seeds"), number) | dict.fromkeys(("p", "p of parity"), p_value)
    rows = [
        [v if isinstance(v, str | int) else write.get(c, signed)(v) for c, v in row.items()]
        for row in shown.iter_rows(named=True)
    ]
    lines = [f"Against {comparison.reference}: {comparison_basis(comparison)}", "", table(rows, shown.columns), ""]
    said = [condition.sentence for condition in known]
    lines += [f"- {sentence}" for sentence in [f"{mark_legend(comparison)}."] * bool(mark_legend(comparison)) + said]
    notes = [of_differences(comparison), *comparison_notes(comparison)]
    lines += [f"- {note}" for note in notes if note and note not in said]
    if power is None:
        lines += ["", "`--difference-bp` says which rows and seeds a difference of that size takes."]
    else:
        lines += ["", *(power_sentence(needed, power) for needed in power.configurations)]
    return "\n".join(lines)


def reported(
    file: Annotated[
        Path | None, typer.Argument(help="CSV: name, auc, rows, positives, and if known seeds, sd, source.")
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Instead of a file: report.")] = None,
    study: Annotated[str | None, typer.Option(help="Instead of a file: those stored with this study.")] = None,
    reference: Annotated[str | None, typer.Option(help="Result to compare with; default: the first.")] = None,
    correlation: Annotated[float, typer.Option(help="Assumed correlation of two AUCs, from 0 to below 1.")] = 0.0,
    margin_bp: Annotated[
        float | None,
        typer.Option("--margin-bp", help="What counts as parity, in bp of AUC; without it parity is not tested."),
    ] = None,
    difference_bp: Annotated[float, typer.Option(help="Difference to find rows and seeds for, in bp.")] = 5.0,
) -> None:
    """See what reported figures can show.

    Results known only by their figures: standard errors, intervals, and the rows and seeds that a difference takes.
    """
    from mdaf_core.analysis.reported_results import PRESET_REFERENCES, compare_reported

    results = _results(file, preset, study)
    if reference is None and preset:
        reference = PRESET_REFERENCES.get(preset)
    found = compare_reported(
        results, reference, correlation=correlation, margin_bp=margin_bp, difference_bp=difference_bp
    )
    emit(found, lambda: _reported(found))


def _results(file: Path | None, preset: str | None, study: str | None) -> list[ReportedResult]:
    from mdaf_core.analysis.reported_results import parse_results, preset_results, read_results

    if sum(source is not None for source in (file, preset, study)) != 1:
        raise UsageError("Name one source of results: a CSV file, --preset report, or --study ID.")
    if preset is not None:
        return preset_results(preset)
    if study is not None:
        from mdaf_core.studies.store import get_study

        stored = get_study(study).reported
        if not stored:
            raise StudioError(f"No reported results are stored with study {study}.")
        return read_results(stored)
    assert file is not None
    try:
        return parse_results(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read as UTF-8 text ({type(error).__name__}).") from None


def _reported(found: ReportedTable) -> str:
    from mdaf_core.reporting.topics.comparison.reported import reported_power, reported_table
    from mdaf_core.reporting.words import sentence

    shown = reported_table(found)
    digits = {"AUC": 4, "Standard error": 4}
    rows = [
        [
            v if isinstance(v, str) else f"{v:,}" if isinstance(v, int) else number(v, digits.get(c, 1))
            for c, v in r.items()
        ]
        for r in shown.iter_rows(named=True)
    ]
    lines = [f"Reported, not computed here; against {found.reference}", "", table(rows, shown.columns), ""]
    notes = dict.fromkeys([*found.notes, *(note for one in found.results for note in one.notes)])
    lines += [f"- {sentence(note)}" for note in notes]
    return "\n".join([*lines, "", *reported_power(found)])


def criteria(
    study: StudyId,
    preset: Annotated[
        list[str] | None,
        typer.Option(
            help="First replace the study's criteria by these: report, mdaf-levels, report-test. Can be repeated."
        ),
    ] = None,
) -> None:
    """Judge a study by its success criteria.

    Pass or fail for each configuration, with the figure and its interval. It is sure only where the interval covers
    other seeds and other users, and lies on one side of the threshold.
    """
    from mdaf_core.analysis.criteria import evaluate_study, preset_criteria, read_criteria
    from mdaf_core.studies.results import study_runs
    from mdaf_core.studies.store import get_study, update_study
    from mdaf_core.studies.suitable import source_of

    found = get_study(study)
    if preset:
        chosen = [c.model_dump(mode="json") for name in dict.fromkeys(preset) for c in preset_criteria(name)]
        found = update_study(study, criteria=chosen)
    rules = read_criteria(found.criteria)
    runs = [run for run in study_runs(found) if run.state == "finished"]
    results = evaluate_study(rules, runs, source_of(found.dataset))
    emit({"study": study, "criteria": rules, "results": results}, lambda: _judged(bool(rules), results))


def _judged(some: bool, results: list[CriterionResult]) -> str:
    if not some:
        return "This study carries no criteria. `criteria STUDY --preset report` gives it the report's."
    if not results:
        return "No run of this study has finished yet."
    words = {True: "pass", False: "fail", None: "–"}
    sure = {True: "sure", False: "not sure", None: ""}
    rows = [
        (
            r.configuration,
            r.requirement,
            number(r.value),
            f"{number(r.low)} to {number(r.high)}" if r.low is not None else "–",
            words[r.passed],
            sure[r.certain] or (r.unsure and f"not known: {r.unsure}"),
            r.seeds,
            r.note,
            r.origin,
        )
        for r in results
    ]
    head = (
        "configuration",
        "criterion",
        "figure",
        "95% interval",
        "verdict",
        "sure",
        "seeds",
        "note",
        "thresholds from",
    )
    return table(rows, head)


def overfitting(
    run_ids: Annotated[list[str], typer.Argument(metavar="RUN_ID…", help="Ids of runs, or their beginnings.")],
) -> None:
    """See how far runs overfit.

    Where each run was best, where validation turned down, and both gaps at the best and at the last epoch.
    """
    from mdaf_core.analysis.overfitting import analyse_run
    from mdaf_core.runs.tracking import get_run

    found = [(run, analyse_run(run)) for run in map(get_run, dict.fromkeys(run_ids))]
    silent = [run.run_id[:8] for run, reading in found if reading is None]
    if silent:
        raise StudioError(f"No epoch with a validation AUC has been recorded for {', '.join(silent)}.")
    read = [(run, reading) for run, reading in found if reading is not None]
    value = [
        {"run_id": run.run_id, "configuration": run.configuration, "seed": run.seed, "state": run.state}
        | reading.model_dump(mode="json")
        for run, reading in read
    ]
    emit(value, lambda: _overfitted(read))


def _overfitted(found: list[tuple[RunRecord, Overfitting]]) -> str:
    def gap(value: float | None) -> str:
        return "–" if value is None else f"{value:+.4f}"

    rows = [
        (
            f"{run.configuration}, seed {run.seed}",
            run.run_id[:8],
            o.best_epoch,
            number(o.best_val_auc),
            o.turn_down_epoch or "–",
            o.last_epoch,
            number(o.last_val_auc),
            *map(gap, (o.online.best, o.online.last, o.eval.best, o.eval.last)),
            f"{o.kept_by_best * 1e4:.1f}",
        )
        for run, o in found
    ]
    head = ("run", "id", "best epoch", "val AUC", "turned", "last epoch", "val AUC", *GAPS, "kept by best, bp")
    return "\n".join([table(rows, head), "", GAP_DEFINITIONS])


GAPS = ("online gap, best", "online, last", "eval gap, best", "eval, last")
GAP_DEFINITIONS = (
    "Gap: train minus validation AUC, signed. Online: train AUC accumulated during the epoch, dropout on and weights\n"
    "changing. Eval: train AUC measured after the epoch in evaluation mode, on a fixed sample of training rows."
)
