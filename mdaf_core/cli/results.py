"""`import results`: tables of other people's runs, and what they can carry."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mdaf_core.base.errors import UsageError
from mdaf_core.cli.output import emit, number, say, table

if TYPE_CHECKING:
    from mdaf_core.analysis.published.found import Audit, DataSetFound

_FIGURES = "Column of {what} figures of a metric; may be repeated. Default: recognised by its name."


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """`METRIC=COLUMN`, each."""
    out = {}
    for text in given:
        metric, _, column = text.partition("=")
        if not metric.strip() or not column.strip():
            raise UsageError(f"{option} takes METRIC=COLUMN, such as {option} auc=test_auc; got {text!r}.")
        out[metric.strip()] = column.strip()
    return out


def results(
    path: Annotated[
        Path | None,
        typer.Argument(
            help="CSV, TSV, JSON lines, Parquet; FuxiCTR's result lines; exports of MLflow, W&B, TensorBoard; a folder."
        ),
    ] = None,
    preset: Annotated[str | None, typer.Option(help="Instead of a file: bars (reczoo/BARS, reported).")] = None,
    kept: Annotated[str | None, typer.Option(help="Instead of a file: an imported table, by its id.")] = None,
    data_set: Annotated[str | None, typer.Option(metavar="COL", help="Column of data sets.")] = None,
    model: Annotated[str | None, typer.Option(metavar="COL", help="Column of models.")] = None,
    seed: Annotated[
        list[str], typer.Option(metavar="COL", help="Column of seeds (folds, repeats); none: there are no seeds.")
    ] = [],  # noqa: B006
    setting: Annotated[
        list[str], typer.Option(metavar="COL", help="Column of settings; may be repeated; none: there are none.")
    ] = [],  # noqa: B006
    val: Annotated[list[str], typer.Option(metavar="METRIC=COL", help=_FIGURES.format(what="validation"))] = [],  # noqa: B006
    test: Annotated[list[str], typer.Option(metavar="METRIC=COL", help=_FIGURES.format(what="test"))] = [],  # noqa: B006
    shown: Annotated[
        list[str], typer.Option(metavar="METRIC=COL", help=_FIGURES.format(what="shown (leaderboard)"))
    ] = [],  # noqa: B006
    metric_column: Annotated[
        str | None, typer.Option(metavar="COL", help="Of a line a figure: column of metrics' names.")
    ] = None,
    part_column: Annotated[
        str | None, typer.Option(metavar="COL", help="Of a line a figure: column that says val or test.")
    ] = None,
    lower: Annotated[list[str], typer.Option(metavar="METRIC", help="Lower is better, whatever its name says.")] = [],  # noqa: B006
    higher: Annotated[list[str], typer.Option(metavar="METRIC", help="Higher is better, whatever its name says.")] = [],  # noqa: B006
    metric: Annotated[
        str | None, typer.Option(help="Metric to compare by; default: the one that is shown, else the likeliest.")
    ] = None,
    reference: Annotated[
        str | None, typer.Option(help="Model to compare with; default: the best mean on each data set.")
    ] = None,
    margin: Annotated[
        str | None,
        typer.Option(
            help="What counts as parity: 2 (bp), 1% (of the gain over the base rate), proposed. Else it is not tested."
        ),
    ] = None,
    repeats: Annotated[
        bool, typer.Option("--repeats", help="Lines that name neither seed nor setting are repeats.")
    ] = False,
    name: Annotated[str | None, typer.Option(help="What the table is called; default: the file's name.")] = None,
    source: Annotated[str, typer.Option(help="Where the figures are from, in a line.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Keep nothing.")] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write tables (CSV, LaTeX, Markdown) and the text there.")
    ] = None,
) -> None:
    """See what other people's results can carry.

    Which figures are one run's and which a mean over seeds; whether the shown ones are those of the best seeds, or
    chosen on test; how many settings each model was given; which differences survive. Columns are recognised, which is
    said; options override it. The table is kept for the Compare page.
    """
    from mdaf_core.analysis.published.audit import audit
    from mdaf_core.runs.published import kept as store
    from mdaf_core.runs.published.opened import open_runs
    from mdaf_core.runs.published.opened import preset as shipped

    if sum(given is not None for given in (path, preset, kept)) != 1:
        raise UsageError("Name one source of runs: a file or folder, --preset bars, or --kept ID.")
    read: list[str] = []
    if preset is not None:
        published = shipped(preset)
    elif kept is not None:
        published = store.load(kept)[1]
    else:
        assert path is not None
        chosen = {
            "data_set": data_set, "model": model, "seed": seed, "setting": setting, "val": _pairs("--val", val),
            "test": _pairs("--test", test), "shown": _pairs("--shown", shown),
            "metric": metric_column, "part": part_column,
        }  # fmt: skip
        published, read = open_runs(path, lower, higher, source, **chosen)
    found = audit(published, metric=metric, reference=reference, margin=margin, repeats=repeats)
    value = {**found.model_dump(mode="json", by_alias=True), "read_as": read, "findings": _said(found)}
    if path is not None and not dry_run:
        about = store.keep(published, name or path.name)
        value["id"] = about.id
        say(f"Kept as {about.id}: Compare, Results of others, shows it; so does `import results --kept {about.id}`.")
    if out is not None:
        _write(found, out)
        say(f"Tables and text are in {out}.")
    emit(value, lambda: _text(found, read))


def _said(found: Audit) -> dict[str, list[str]]:
    from mdaf_core.reporting.paper.published import sentences

    return {topic: [sentence.text for sentence in told] for topic, told in sentences(found).items()}


def _text(found: Audit, read: Sequence[str]) -> str:
    from mdaf_core.reporting.paper.published import TOPICS

    lines = [*read, ""] if read else []
    for topic, told in _said(found).items():
        lines += [TOPICS[topic], *(f"- {sentence}" for sentence in told), ""]
    lines += [f"- {note}" for note in found.notes]
    for one in found.data_sets:
        lines += ["", f"{one.name}: {one.metric.title}, reported", "", _table(one)]
    return "\n".join(lines)


def _table(found: DataSetFound) -> str:
    from mdaf_core.reporting.topics.published import table as frame
    from mdaf_core.reporting.words import p_value, signed

    shown = frame(found)
    unit = (lambda v: signed(v, 1)) if found.metric.in_bp else (lambda v: signed(v, 4))
    write = {c: unit for c in shown.columns if c.split(",")[0] in ("Lead", "Low", "High", "Shown flatters")}
    write |= dict.fromkeys(("p", "Holm", "p of parity"), p_value)
    rows = [
        [v if isinstance(v, str | int) else write.get(c, number)(v) for c, v in row.items()]
        for row in shown.iter_rows(named=True)
    ]
    return table(rows, shown.columns)


def _write(found: Audit, out: Path) -> None:
    from mdaf_core.base.files import write_text
    from mdaf_core.reporting.paper.published import paper_table, paragraph
    from mdaf_core.reporting.paper.table import latex_escape

    for one in found.data_sets:
        made = paper_table(one)
        for ending, content in (("tex", made.latex()), ("md", made.markdown()), ("csv", made.csv())):
            write_text(out / f"{made.name}.{ending}", content)
    told = paragraph(found)
    write_text(out / "results.md", "\n".join(f"- {s.text} Source: {s.source}." for s in told) + "\n")
    write_text(out / "results.tex", "\n".join(latex_escape(s.text) for s in told) + "\n")
