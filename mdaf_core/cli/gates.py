"""`gates`: when a run uses the history, and the story of a single row."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from mdaf_core.cli.output import JsonOption, emit, number, table

if TYPE_CHECKING:
    from mdaf_core.evaluation.gates import GateGroup, GateSummary
    from mdaf_core.evaluation.story import RowStory


class EvaluatedSplit(StrEnum):
    """Splits that runs leave predictions of."""

    val = "val"
    test = "test"


def command(
    run_id: Annotated[str, typer.Argument(help="Id of a run, or the beginning of it.")],
    row: Annotated[int | None, typer.Option(help="Tell the story of this row (its row_id) instead.")] = None,
    split: Annotated[EvaluatedSplit, typer.Option(help="Rows to look at.")] = EvaluatedSplit.test,
    as_json: JsonOption = False,
) -> None:
    """See when a run uses the history.

    Distribution of g, slices, whether the gate is adaptive; or one row with its history.
    """
    from mdaf_core.tracking import get_run

    run = get_run(run_id)
    if row is not None:
        from mdaf_core.evaluation.story import row_story

        story = row_story(run, split.value, row)
        emit(story, as_json, lambda: _tell(story))
        return
    from mdaf_core.evaluation.gates import gate_summary

    summary = gate_summary(run, split.value)
    emit(summary, as_json, lambda: _describe(run.configuration, summary))


def _describe(configuration: str, summary: GateSummary) -> str:
    """The summary as text."""
    from mdaf_core.evaluation.gates import slice_title

    found = summary.adaptivity
    lines = [
        f"{configuration}, run {summary.run_id}, {summary.split}: {summary.rows:,} rows, fusion {summary.fusion}",
        "g is the weight of the sequential branch (the history).",
        "",
        f"Verdict: {found.verdict}. {found.sentence}",
        *found.notes,
        "",
        table(
            [
                ("as learned", number(found.auc)),
                *((f"g {r.name}", number(r.test.auc_b)) for r in found.replacements),
                ("static branch alone (g = 0)", number(found.auc_static)),
                ("sequential branch alone (g = 1)", number(found.auc_sequential)),
            ],
            ("gate", "AUC"),
        ),
        "",
        _groups("g", [summary.overall, *summary.by_label]),
    ]
    for dimension, groups in summary.slices.items():
        lines += ["", _groups(slice_title(dimension), groups)]
    if summary.slices_note:
        lines += ["", summary.slices_note]
    if summary.by_epoch:
        epochs = [(e.epoch, number(e.gate_mean)) for e in summary.by_epoch]
        lines += ["", table(epochs, ("epoch", "mean g, validation"))]
    return "\n".join(lines)


def _groups(title: str, groups: list[GateGroup]) -> str:
    cells = [
        (g.group, f"{g.rows:,}", *map(number, (g.mean, g.low, g.high, g.sd, g.q05, g.median, g.q95))) for g in groups
    ]
    return table(cells, (title, "rows", "mean", "95% low", "95% high", "sd", "5%", "median", "95%"))


def _tell(story: RowStory) -> str:
    """The story as text."""
    from mdaf_core.data.describe import field_word
    from mdaf_core.evaluation.story import sentences

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
        names = list(story.history[0].fields)
        events = [
            (e.place, e.when, *e.fields.values(), ", ".join(e.same), number(e.effect_probability), number(e.effect_g))
            for e in story.history
        ]
        header = ("newest first", "time", *names, "same as the row", "effect on probability", "effect on g")
        lines += ["", table(events, header)]
        if story.history_recorded > len(story.history):
            lines.append(
                f"The {len(story.history)} newest of {story.history_recorded} events; the model reads no more."
            )
    elif story.history_recorded == 0:
        lines += ["", "The history is empty."]
    return "\n".join([*lines, *(["", *story.notes] if story.notes else [])])
