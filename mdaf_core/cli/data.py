"""`data sources | prepare | twin | propose | list | show | audit | export | delete`."""

from __future__ import annotations

import shlex
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import size_below
from mdaf_core.cli.output import ProgressLines, emit, table
from mdaf_core.data.formats import own_names
from mdaf_core.data.store.schema import LONGEST_HISTORY, MAX_HISTORY, SPLITS

app = typer.Typer(help="Prepare data sets, and see whether they can be trusted.", no_args_is_help=True)

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An option of the source, e.g. split=last-day.")
]
_WIDE = 100  # characters of a cell
NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of a prepared data set.")]


@app.command("sources")
def sources_command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="A source, to list the options that --set takes.")
    ] = None,
) -> None:
    """List what can be read, or the options of one source."""
    from mdaf_core.data.formats.registry import get_source, sources
    from mdaf_core.forms.text import as_text

    found = [get_source(name)] if name else list(sources().values())
    value = [
        {
            "name": source.name,
            "title": source.title,
            "path": source.path_help,
            "options": {
                option: {"default": as_text(field.get_default()), "help": field.description or ""}
                for option, field in source.options.model_fields.items()
            },
        }
        for source in found
    ]

    def text() -> str:
        rows = [(source.name, source.title, source.path_help or "no file") for source in found]
        parts = [table(rows, ("source", "what", "reads"))]
        if name:
            options = [(key, one["default"], one["help"]) for key, one in value[0]["options"].items()]  # type: ignore[attr-defined]
            parts.append(table(options, ("option", "default", "meaning")))
        return "\n\n".join(parts)

    emit(value, text)


@app.command()
def prepare(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help=f"{', '.join(own_names())}, or a plug-in's; `data sources` says what each is."
        ),
    ],
    path: Annotated[Path | None, typer.Option(help="The file or folder to read; parts: --set test_path=….")] = None,
    name: Annotated[
        str | None, typer.Option(help="Name of the prepared data set; default: made of the source.")
    ] = None,
    settings: SetOption = None,
    memory_limit: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Memory it may use, e.g. 4GB; default: half of the machine's."),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Prepare even what is prepared already.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a data set of that name even if studies or runs refer to it.")
    ] = False,
) -> None:
    """Prepare a data set: split, code ids, slice histories, audit."""
    from mdaf_core.data.prepare.pipeline import prepare as run
    from mdaf_core.data.prepare.resources import parse_size
    from mdaf_core.studies.data_sets import refuse_replacing

    dataset = run(
        source,
        path=path,
        name=name,
        options=parse_settings(settings or []),
        progress=ProgressLines(),
        memory_limit=parse_size(memory_limit) if memory_limit else None,
        again=again,
        may_replace=partial(refuse_replacing, force=force),
    )
    emit(_facts(dataset.name), lambda: _show_text(dataset.name))


@app.command()
def twin(
    data: NameArgument,
    path: Annotated[Path | None, typer.Option(help="Where its input lies now, if it was moved.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the twin; default: NAME-by-time.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a data set of that name even if studies or runs refer to it.")
    ] = False,
) -> None:
    """Prepare a split by time beside another one.

    The same input with the same options; its parts have the same shares of the rows. `study run … --twin` runs on both,
    and `twins STUDY` says which conclusions survive.
    """
    from mdaf_core.data.prepare.pipeline import prepare as run
    from mdaf_core.data.prepare.twins import twin_request
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.studies.data_sets import refuse_replacing

    wanted = twin_request(PreparedDataset.open(data).meta, path, name)
    dataset = run(
        wanted.source,
        path=wanted.path,
        name=wanted.name,
        options=wanted.options,
        progress=ProgressLines(),
        may_replace=partial(refuse_replacing, force=force),
    )
    emit(_facts(dataset.name) | {"twin_of": data}, lambda: _show_text(dataset.name))


@app.command()
def propose(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A CSV, Parquet or JSON lines file, or a folder of parts.")
    ],
) -> None:
    """Propose what the columns of a table are.

    Label, user, time and so on, as a command to correct and run.
    """
    from mdaf_core.data.propose.table import propose as run
    from mdaf_core.data.reading.files import expand
    from mdaf_core.forms.text import as_text

    found = run(expand(path))
    arguments = found.command(path)
    command = ["python", *arguments] if arguments else []
    value = {
        "findings": found.findings,
        "source": found.source,
        "options": found.options,
        "reasons": found.reasons,
        "left_out": found.left_out,
        "command": command,
    }

    def text() -> str:
        parts = ["\n".join(found.findings)]
        rows = [(name, _shortened(as_text(found.options[name])), why) for name, why in found.reasons.items()]
        parts.append(table(rows, ("option", "value", "why")) if rows else "")
        parts.append(table(list(found.left_out.items()), ("not used", "why")) if found.left_out else "")
        parts.append(shlex.join(command) if command else "There is no command to run yet: see above.")
        return "\n\n".join(part for part in parts if part)

    emit(value, text)


def _shortened(value: str) -> str:
    """The names of many columns as a line of a table holds them; the command has them all."""
    names = value.split(",")
    if len(value) <= _WIDE:
        return value
    begin = next(i for i in range(len(names), -1, -1) if i < 2 or len(",".join(names[:i])) <= _WIDE - 30)
    return f"{','.join(names[:begin])},… ({len(names)} columns, to {names[-1]})"


@app.command("list")
def list_command() -> None:
    """List the prepared data sets."""
    from mdaf_core.data.store.dataset import readable_datasets

    found, damaged = readable_datasets()
    value: list[dict[str, Any]] = [
        {
            "name": meta.name,
            "source": meta.source,
            "title": meta.title,
            "split": meta.split,
            "splits": {split: _counts(counts) for split, counts in meta.splits.items()},
            "created": meta.created,
        }
        for meta in found
    ] + [{"name": damage.path.parent.name, "problem": str(damage)} for damage in damaged]
    notices.add(*damaged)

    def text() -> str:
        if not value:
            return "No data set is prepared yet. `python -m mdaf_core data prepare synthetic` makes one."
        rows = [
            (m.name, m.source, m.split.get("kind", ""), *(f"{c.rows:,}" for c in m.splits.values()), m.created)
            for m in found
        ]
        return table(rows, ("name", "source", "split", "train", "val", "test", "created"))

    emit(value, text)


@app.command()
def show(name: NameArgument) -> None:
    """Show a data set's fields, parts and audit."""
    emit(_facts(name), lambda: _show_text(name))


@app.command()
def audit(name: NameArgument) -> None:
    """Audit a data set again.

    From its files alone; the result is stored.
    """
    from mdaf_core.data.audit.audit import refresh_audit
    from mdaf_core.data.store.dataset import PreparedDataset

    result = refresh_audit(PreparedDataset.open(name))
    value = result.model_dump(mode="json")
    value["counts"] = {status: len(result.with_status(status)) for status in ("pass", "warn", "fail")}
    emit(value, lambda: _audit_text([check.model_dump() for check in result.checks]))


@app.command("export")
def export_command(
    name: NameArgument,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File (.parquet, .csv, .tsv) or folder to write; default: named after the data."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option(
            "--format",
            help="All there is, as parquet, csv, tsv (one file), fuxictr or libsvm (a folder). Without it: test rows, "
            "in the format that --out ends in.",
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Rows in a file: train, val, test, several (val,test) or all.")
    ] = None,
    without_labels: Annotated[bool, typer.Option("--without-labels", help="Leave the labels out.")] = False,
    history: Annotated[
        bool | None, typer.Option("--history/--no-history", help="With each row's newest events, as lists.")
    ] = None,
    max_history: Annotated[
        int, typer.Option(min=1, max=LONGEST_HISTORY, help="Newest events of each row in those lists.")
    ] = MAX_HISTORY,
) -> None:
    """Write rows for other programs: row ids, ids, labels, fields, histories.

    Scores of these rows come back with `import predictions`, matched by row_id.
    """
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.data.store.export import KINDS, export_rows
    from mdaf_core.data.store.export_folders import FOLDERS

    form = form.lower() if form else None
    if form and form not in (*KINDS, *FOLDERS):
        raise UsageError(f"Formats are {', '.join((*KINDS, *FOLDERS))}; got {form!r}.")
    dataset = PreparedDataset.open(name)
    if form in FOLDERS:
        if without_labels or split not in (None, "all") or history is False:
            raise UsageError(f"A folder for {form} holds all parts, labels and histories: leave those options out.")
        splits, out = list(SPLITS), out or Path(f"{name}-{form}")
        rows = FOLDERS[form](dataset, out, max_history=max_history, progress=ProgressLines())
        size = size_below(out)
    else:
        wanted = [word.strip() for word in (split or ("all" if form else "test")).split(",")]
        splits = [one for one in SPLITS if one in wanted or wanted == ["all"]]
        if wanted != ["all"] and len(splits) < len(wanted):
            raise UsageError(f"Splits are train, val and test, several parted by commas, or all; got {split!r}.")
        out = out or Path(f"{name}-{'-'.join(wanted)}.{form or 'parquet'}")
        if form and out.suffix.lower() != f".{form}":
            raise UsageError(f"{out.name} should end in .{form}, as --format says.")
        listed = bool(form and dataset.meta.history_fields) if history is None else history
        how: dict[str, Any] = {"labels": not without_labels, "history": listed, "max_history": max_history}
        rows = export_rows(dataset, splits, out, **how, progress=ProgressLines())
        size = out.stat().st_size
    value = {"data": name, "format": form or out.suffix[1:].lower(), "splits": splits, "rows": rows, "out": str(out)}
    emit(value | {"bytes": size}, lambda: f"{out}: {rows:,} rows, {size / 1e6:,.1f} MB")


@app.command()
def delete(
    name: NameArgument,
    force: Annotated[bool, typer.Option("--force", help="Even if studies or runs refer to it.")] = False,
) -> None:
    """Delete a data set. Runs on it keep their results; what needs its rows (gates, slices, resuming) is lost."""
    from mdaf_core.studies.data_sets import delete_dataset

    freed = delete_dataset(name, force=force)
    emit({"deleted": name, "bytes": freed}, lambda: f"Deleted {name}: {freed / 1e6:,.1f} MB freed.")


def parse_settings(pairs: list[str]) -> dict[str, Any]:
    """`key=value` pairs as options; numbers, lists and true/false are read as such."""
    from mdaf_core.runs.config import parse_value

    options = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"A setting looks like split=last-day; got {pair!r}.")
        options[key.strip()] = parse_value(value.strip() or value)  # a blank or a tab is a value
    return options


def _counts(counts: Any) -> dict[str, Any]:
    return counts.model_dump() | {"positive_rate": counts.positive_rate}


def _facts(name: str) -> dict[str, Any]:
    from mdaf_core.data.audit.report import stored_audit
    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.data.store.statistics import read_statistics

    dataset = PreparedDataset.open(name)
    value = dataset.meta.model_dump(mode="json")
    samples = read_statistics(dataset).samples
    value["splits"] = {
        split: _counts(counts) | {"sample": samples[split].model_dump() if split in samples else None}
        for split, counts in dataset.meta.splits.items()
    }
    checks = []
    if (dataset.path / "audit.json").exists():
        try:
            checks = [check.model_dump(mode="json") for check in stored_audit(dataset).checks]
        except StudioError as error:
            notices.add(error)
    return value | {"path": str(dataset.path), "audit": checks}


def _show_text(name: str) -> str:
    from mdaf_core.data.store.describe import outcome_words
    from mdaf_core.data.store.sample import Sample, users_words

    facts = _facts(name)
    split = facts["split"]
    made = ", the validation part made of training rows" if "validation" in split else ""
    lines = [f"{facts['name']}: {facts['title']}", f"label 1: {facts['label']}"]
    lines += [f"split: {split.get('kind', 'unknown')}{made}", ""]
    parts = [
        (
            split,
            f"{c['rows']:,}",
            f"{c['positives']:,}",
            f"{c['positive_rate']:.4f}",
            users_words(Sample.model_validate(c["sample"])) if c["sample"] else "",
        )
        for split, c in facts["splits"].items()
    ]
    lines += [table(parts, ("part", "rows", "positives", "rate", "users")), ""]
    fields = [(f["name"], f["kind"], f["role"], f["vocabulary_size"] or "") for f in facts["fields"]]
    lines += [table(fields, ("field", "kind", "role", "codes")), ""]
    history = ", ".join(facts["history_fields"]) or "none"
    lines += [f"history: {history}; {facts['events']:,} events; {facts['users']:,} users", ""]
    if facts["history_fields"]:
        lines += [f"what came of events: {outcome_words(facts['outcomes'])}", ""]
    lines.append(_audit_text(facts["audit"]))
    return "\n".join(lines)


def _audit_text(checks: list[dict[str, Any]]) -> str:
    order = {"fail": 0, "warn": 1, "pass": 2}
    ranked = sorted(checks, key=lambda check: order[check["status"]])
    width = max((len(check["id"]) for check in checks), default=0)
    lines = []
    for check in ranked:
        lines.append(f"{check['status']}  {check['id']:{width}}  {check['sentence']}")
        if check.get("todo"):
            lines.append(f"      {'':{width}}  {check['todo']}")
    return "\n".join(lines)
