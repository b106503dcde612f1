"""`gates`: what history, branches and gate contribute to a configuration, its g, and the story of a single row."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.cli.options import EvaluatedSplit
from mdaf_core.cli.output import emit, number, plain, say, table

if TYPE_CHECKING:
    from mdaf_core.analysis.adaptivity import Contributions
    from mdaf_core.analysis.gate_groups import GateGroup
    from mdaf_core.analysis.gates import GateSummary
    from mdaf_core.analysis.leaning import Lean
    from mdaf_core.analysis.margins import Margin
    from mdaf_core.analysis.story import RowStory
    from mdaf_core.runs.tracking import RunRecord


NOTHING_REPLACED = (
    "These predictions hold no answer with a part replaced: the model reads no history, or it was trained by an "
    "earlier version (then `--recompute` asks it anew)."
)
GateValue = Literal["g", "static", "sequential", "static_size", "sequential_size"]
"""What is told of groups of rows."""


def command(
    target: Annotated[str, typer.Argument(metavar="STUDY|RUN_ID", help="A study, or a run (the beginning of its id).")],
    configuration: Annotated[
        str | None, typer.Option(help="Configuration of the study; default: the first with a gate, else its first.")
    ] = None,
    row: Annotated[int | None, typer.Option(help="Tell the story of this row (its row_id) of a run instead.")] = None,
    by: Annotated[
        str | None,
        typer.Option(help="Of a run instead: a value by history_length, user_activity, item_popularity, unseen, hour."),
    ] = None,
    and_by: Annotated[str | None, typer.Option(help="A second variable: the value by both.")] = None,
    value: Annotated[
        GateValue, typer.Option(help="With --by: g, a branch's part in the log-odds, or the size of that part.")
    ] = "g",
    out: Annotated[Path | None, typer.Option(help="With --by: draw it into this file (pdf, svg, png, csv).")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="Of a run instead: list rows; see the options below.")] = False,
    user: Annotated[str | None, typer.Option(help="With --rows: of this user.")] = None,
    find: Annotated[
        list[str] | None,
        typer.Option(metavar="FIELD=TEXT", help="With --rows: item=ID, category=TEXT …; an id, or part of a title."),
    ] = None,
    label: Annotated[int | None, typer.Option(min=0, max=1, help="With --rows: of this label.")] = None,
    sort: Annotated[str, typer.Option(help="With --rows: column to sort by; -g: highest first.")] = "row_id",
    most: Annotated[int, typer.Option(min=1, help="With --rows: listed at most.")] = 20,
    split: Annotated[EvaluatedSplit, typer.Option(help="Rows to look at.")] = "test",
    margin: Annotated[
        str | None, typer.Option(help="What is negligible in AUC: 20, 1% or none; default: as planned.")
    ] = None,
    recompute: Annotated[
        bool, typer.Option("--recompute", help="First ask the trained models anew (runs of earlier versions).")
    ] = False,
) -> None:
    """See what the history, the branches and the gate contribute.

    Of a study: one verdict over the seeds of a configuration. Of a run: that of one trained model, and its g by label,
    slice and epoch; or one row with its history; or its rows, searched; or g and the branches' parts by one or two
    variables.
    """
    from mdaf_core.cli import gate_views
    from mdaf_core.studies.contributions import runs_meant

    gate_views.check(by=by, and_by=and_by, out=out, rows=rows, searched=(user, find, label))
    runs = runs_meant(target, configuration)
    if rows:
        gate_views.list_rows(_only(runs), split, user, find or [], label, sort, most)
        return
    if by is not None:
        gate_views.by_variables(_only(runs), split, value, by, and_by, out)
        return
    if row is not None:
        from mdaf_core.analysis.story import row_story

        story = row_story(_only(runs), split, row)
        emit(story, lambda: _tell(story))
        return
    if recompute:
        from mdaf_core.training.recompute import recompute as ask_anew

        for run in runs:
            ask_anew(run, say)
    from mdaf_core.analysis.adaptivity import contributions
    from mdaf_core.analysis.gates import gate_summary, without_gate

    found = contributions(runs, split, _margin(runs[0], margin))
    summary = gate_summary(runs[0], split) if len(runs) == 1 and without_gate(runs[0]) is None else None
    document = plain(found) | ({"gate_of_run": plain(summary)} if summary else {})
    emit(document, lambda: "\n".join([_contributions(found), *([_describe(summary)] if summary else [])]))


def _margin(run: RunRecord, text: str | None) -> Margin | None:
    """As given, else what the run's study planned for AUC."""
    from mdaf_core.analysis.margins import check_margin, parse_margin
    from mdaf_core.studies.contributions import planned_margin_of

    if text is None:
        return planned_margin_of(run)
    margin = parse_margin(text)
    check_margin(margin, "auc")
    return margin


def _only(runs: list[RunRecord]) -> RunRecord:
    if len(runs) > 1:
        raise UsageError("Rows, and what is told of groups of them, are of one trained model: give a run's id.")
    return runs[0]


def _contributions(found: Contributions) -> str:
    """History, branches and gate as text."""
    from mdaf_core.analysis.effects import TITLES
    from mdaf_core.analysis.significance import BP
    from mdaf_core.reporting.words import p_value

    effects = found.effects
    who = f"{len(effects.seeds)} seeds" if len(effects.seeds) > 1 else f"seed {effects.seeds[0]}"
    over = "" if effects.users is None else f" of {effects.users:,} users"
    lines = [f"{effects.configuration}, {who}, {effects.split}: {effects.rows:,} rows{over}, AUC {number(effects.auc)}"]
    for title, finding in (("History", found.history), ("Gate", found.gate)):
        if finding is not None:
            lines += ["", f"{title}: {finding.word}. {finding.sentence}", *finding.notes]
    if found.branches:
        lines += ["", found.branches]
    lines += ["", *found.notes]
    if effects.undefined:
        lines += [effects.undefined]
    if effects.effects:
        cells = []
        for effect in effects.effects.values():
            test = effect.test
            bp = (number(x / BP, 1) for x in (test.estimate, test.low, test.high))
            cells.append((TITLES[effect.name], *bp, p_value(test.p)))
        lines += ["", table(cells, ("without it, or its part", "bp of AUC", "95% low", "95% high", "p"))]
    else:
        lines += ["", NOTHING_REPLACED]
    extrapolated = ", extrapolated" if effects.branch_loss is False else ""
    words = {"g": "g alone", "g_median": "one g for all rows", "static": f"static branch alone (g = 0){extrapolated}",
             "sequential": f"sequential branch alone (g = 1){extrapolated}"}  # fmt: skip
    if effects.aucs:
        aucs = [("as learned", number(effects.auc)), *((words[k], number(v)) for k, v in effects.aucs.items())]
        lines += ["", table(aucs, ("", "AUC"))]
    return "\n".join(lines)


def _describe(summary: GateSummary) -> str:
    """One trained model's g as text."""
    from mdaf_core.analysis.slices import TITLES

    lines = [
        "",
        f"g of run {summary.run_id}, fusion {summary.fusion}: the weight of the sequential branch's vector. It is no "
        "measure of how much the history is used.",
        "",
        _groups("g", [summary.overall, *summary.by_label]),
        "",
        _lean(summary.lean),
    ]
    for dimension, groups in summary.slices.items():
        lines += ["", _groups(TITLES[dimension], groups)]
    if summary.slices_note:
        lines += ["", summary.slices_note]
    if summary.by_epoch:
        heads = ("epoch", "mean g, validation", "5%", "95%", "static part, sd", "sequential part, sd")
        fields = ("gate_mean", "gate_low", "gate_high", "part_static", "part_sequential")
        epochs = [(e.epoch, *(number(getattr(e, name)) for name in fields)) for e in summary.by_epoch]
        lines += ["", table(epochs, heads)]
    return "\n".join(lines)


def _lean(lean: Lean) -> str:
    if lean.probability is None:
        return lean.note
    found = f"{number(lean.probability, 3)} [{number(lean.low, 3)}, {number(lean.high, 3)}]"
    cells = [
        (f"{number(b.start)} to {number(b.end)}", f"{b.rows:,}", *(number(x, 3) for x in (b.share, b.low, b.high)),
         *map(number, (b.loss_static, b.loss_sequential, b.loss)))
        for b in lean.bins
    ]  # fmt: skip
    heads = ("g", "rows", "sequential nearer", "95% low", "95% high", "loss static", "loss sequential", "loss")
    sentence = f"g is higher where the sequential branch has the smaller loss with probability {found} (0.5: no lean)."
    return f"{sentence}\n\n{table(cells, heads)}"


def _groups(title: str, groups: list[GateGroup]) -> str:
    cells = [
        (g.group, f"{g.rows:,}", *map(number, (g.mean, g.low, g.high, g.sd, g.q05, g.median, g.q95))) for g in groups
    ]
    return table(cells, (title, "rows", "mean", "95% low", "95% high", "sd", "5%", "median", "95%"))


def _tell(story: RowStory) -> str:
    """The story as text."""
    from mdaf_core.analysis.story import sentences
    from mdaf_core.data.store.describe import field_word

    lines = [
        f"Row {story.row_id} of {story.split}, {story.configuration}, run {story.run_id}",
        "  ".join(f"{field_word(name)}: {value}" for name, value in story.fields.items()),
        f"user: {story.user}  time: {story.when}  label: {story.label} ({story.label_meaning})",
        f"probability {number(story.probability)}, logit {number(story.logit)}, g {number(story.g)}"
        + (f", true probability {number(story.true_probability)}" if story.true_probability is not None else ""),
        "",
        *sentences(story),
    ]
    if story.what_if:
        cells = [(w.name, number(w.g), number(w.logit), number(w.probability)) for w in story.what_if]
        lines += ["", table(cells, ("what if", "g", "logit", "probability"))]
    if story.history:
        names, told = list(story.history[0].fields), any(e.outcome for e in story.history)
        events = [
            (
                *(e.place, e.when, *e.fields.values(), *([e.outcome] if told else [])),
                *(", ".join(e.same), number(e.effect_probability), number(e.effect_g)),
            )
            for e in story.history
        ]
        header = (
            *("newest first", "time", *names, *(["outcome"] if told else [])),
            *("same as the row", "effect on probability", "effect on g"),
        )
        lines += ["", table(events, header)]
        if story.history_recorded > len(story.history):
            lines.append(
                f"The {len(story.history)} newest of {story.history_recorded} events; the model reads no more."
            )
    elif story.history_recorded == 0:
        lines += ["", "The history is empty."]
    return "\n".join([*lines, *(["", *story.notes] if story.notes else [])])
