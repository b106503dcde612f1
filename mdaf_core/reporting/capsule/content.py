"""What a capsule shows, tab by tab. Every number comes from the material, by the code of pages and papers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import polars as pl

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.schema import SPLIT_NAMES, FieldSpec
from mdaf_core.metrics.registry import metric
from mdaf_core.reporting import captions, conditions
from mdaf_core.reporting.capsule import parts
from mdaf_core.reporting.capsule.record import CarriedRun, Record
from mdaf_core.reporting.figures import FIGURES, make_figure
from mdaf_core.reporting.material import OF_SEARCH, Material
from mdaf_core.reporting.paper import bundle
from mdaf_core.reporting.paper.tables import TABLES, make_table
from mdaf_core.reporting.topics.comparison import frames
from mdaf_core.runs.provenance import sittings

APART = {"runs", "latency", "speed", *OF_SEARCH}
"""Not of a capsule: its own table has all seeds, times of answering are measured apart from predictions, and trials are
other runs than those it holds."""
TABS = {
    "Results": ("Comparison",), "Training": ("Training",), "Scores": ("ROC and calibration", "Slices"),
    "Gates": ("Gates",), "Cost": ("Cost",),
}  # fmt: skip
"""Tab → groups of figures in it."""
_TABLES = {
    "overfitting": "Training", "gates": "Gates", "gate-groups": "Gates", "cost": "Cost", "history-length": "Cost",
}  # fmt: skip
"""Table → its tab; all others stand with the results."""
MARKS = {"pass": "✓ passes", "warn": "! warns", "fail": "✗ fails"}
NO_ROWS = "It needs the data set's rows, which a capsule does not hold."


def tabs(record: Record, material: Material) -> Iterator[tuple[str, str]]:
    """Title and HTML of each tab that has something to show."""
    left_out: dict[str, str] = {}
    for tab, groups in TABS.items():
        found = [_results(material)] if tab == "Results" else []
        found += [
            parts.paper_table(made) for name in TABLES
            if name not in APART and _TABLES.get(name, "Results") == tab
            and (made := _made(make_table, material, name, left_out))
        ]  # fmt: skip
        found += [
            parts.chart(made) for name, kind in FIGURES.items()
            if name not in APART and kind.group in groups and (made := _made(make_figure, material, name, left_out))
        ]  # fmt: skip
        if found:
            yield tab, "".join(found)
    yield "Tests", _tests(material)
    yield "Data", _data(record, material)
    yield "Settings", _settings(record)
    yield "Provenance", _provenance(record, left_out)


def _made(make: Any, material: Material, name: str, left_out: dict[str, str]) -> Any:
    try:
        return make(material, name)
    except StudioError as error:
        title = FIGURES[name].title if name in FIGURES else TABLES[name][0]
        left_out[title] = NO_ROWS if "no longer here" in str(error) else str(error)
        return None


def lead(record: Record, material: Material) -> str:
    """What the study is, in a line, and what must be known beside all its results."""
    comparison = material.comparison
    said = [one for one in material.conditions if one.grave]
    rest = [one.sentence for one in material.conditions if not one.grave]
    line = f"{metric(material.metric).title} on {SPLIT_NAMES[material.split]} rows of {record.study.dataset}, "
    line += f"against {comparison.reference}: {frames.comparison_basis(comparison)}"
    grave = (
        parts.element("div", parts.listed([one.sentence for one in said]), class_="grave", role="note") if said else ""
    )
    return f'<p data-at="basis">{parts.text(line)}</p>{grave}' + (
        f'<p class="caption">{parts.text(" ".join(rest))}</p>' if rest else ""
    )


def _results(material: Material) -> str:
    comparison = material.comparison
    sentences = bundle.results(material)
    text = "".join(parts.element("span", parts.text(one.text), title=f"From: {one.source}") + " " for one in sentences)
    title = f"Verdicts, by {metric(material.metric).title} on {SPLIT_NAMES[material.split]} rows"
    notes = [note for note in (captions.of_differences(comparison), *frames.condition_notes(comparison)) if note]
    table = parts.frame_table(frames.comparison_table(comparison), title, " ".join(dict.fromkeys(notes)))
    seeds = frames.comparison_seeds(comparison)
    names = pl.Series("Configuration", [c.configuration for c in comparison.configurations], dtype=pl.String)
    every = parts.frame_table(seeds.insert_column(0, names), "Each seed", "The metric of every finished run.")
    return parts.element("section", f"<h3>In words</h3><p>{text}</p>", data_at="In words") + table + every


def _tests(material: Material) -> str:
    comparison = material.comparison
    table, sentences = frames.over_seeds(comparison)
    how = [
        "Differences are paired by seed"
        + (f"; the margin is {comparison.margin_words}." if comparison.margin_bp is not None else "."),
        *frames.comparison_notes(comparison),
    ]
    rows = [
        (c.configuration, c.verdict, d.estimate * 1e4, d.low * 1e4, d.high * 1e4, d.p, c.p_adjusted, d.covers, d.method)
        for c in comparison.configurations
        if (d := c.difference) is not None
    ]
    names = ["Configuration", "Verdict", "Δ, bp", "Low, bp", "High, bp", "p", "p of Holm", "Interval covers", "Method"]
    whole = pl.DataFrame(rows, schema=names, orient="row") if rows else None
    return (
        parts.element("section", f"<h3>How it was compared</h3>{parts.listed(how)}", data_at="How it was compared")
        + ("" if whole is None else parts.frame_table(whole, "The test behind each verdict"))
        + (parts.frame_table(table, "Over seeds alone", " ".join(sentences)) if len(table) else "")
    )


def _data(record: Record, material: Material) -> str:
    meta, audit = record.data, record.audit
    if meta is None:
        return parts.paragraphs(["The data set was removed or prepared anew since, so nothing is known of it."])
    card = parts.facts(
        [
            ("Data set", meta.name), ("Source", meta.source), ("Label of 1", meta.label),
            ("Rows were", conditions.split_words(meta)), ("Users", f"{meta.users:,}" if meta.has_user else "none"),
            ("Events in histories", f"{meta.events:,}" if meta.history_fields else "no histories"),
            ("Fields", ", ".join(map(_field, meta.fields))),
            ("Time zone", meta.timezone if meta.has_calendar else ""),
            ("Options", ", ".join(f"{k}={v}" for k, v in meta.options.items())),
            ("SHA-256 of what was prepared", meta.fingerprint.get("sha256", "")),
            ("Prepared", meta.created),
        ],
        "Data card",
    )  # fmt: skip
    counts = [
        (name, part.rows, part.positives, 100 * part.positives / part.rows if part.rows else None)
        for name, part in meta.splits.items()
    ]
    table = parts.frame_table(
        pl.DataFrame(counts, schema=["Part", "Rows", "Positives", "Positive, %"], orient="row"), "Parts",
        more={"Positive, %": lambda value: parts.number(value, 2)},
    )  # fmt: skip
    checks = ""
    if audit is not None:
        order = sorted(audit.checks, key=lambda check: ("fail", "warn", "pass").index(check.status))
        rows = [
            (check.title, MARKS[check.status], check.sentence,
             "acknowledged" if check.id in record.study.acknowledged else check.todo)
            for check in order
        ]  # fmt: skip
        counted = ", ".join(f"{len(audit.with_status(s))} {MARKS[s][2:]}" for s in ("fail", "warn", "pass"))
        frame = pl.DataFrame(rows, schema=["Check", "Found", "What was found", "What to do"], orient="row")
        checks = parts.frame_table(frame, "Audit", f"{counted.capitalize()}. Made {audit.created}.")
    notes = parts.element("section", f"<h3>Notes</h3>{parts.listed(meta.notes)}", data_at="Notes") if meta.notes else ""
    return card + table + checks + notes


def _field(field: FieldSpec) -> str:
    return f"{field.name} ({field.kind}{f', {field.vocabulary_size:,} codes' if field.vocabulary_size else ''})"


def _settings(record: Record) -> str:
    plan = record.study.plan
    out = [
        parts.facts(
            [("Planned", plan.words if plan else "no plan was stored with this study"),
             ("Seeds", ", ".join(map(str, record.study.all_seeds))), ("Reference", record.study.reference)],
            "Plan",
        )
    ]  # fmt: skip
    for config in record.study.configurations:
        changed = record.changed.get(config.name, [])
        said = ", ".join(f"{path} = {_value(value)}" for path, value in changed) or "as its preset"
        pairs = "".join(
            f"<dt>{parts.text(path)}</dt>{parts.element('dd', parts.text(_value(value)), data_at=path)}"
            for path, value in config.flat_settings().items()
        )
        body = f"{parts.text(config.name)} <small>{parts.text(config.preset)}: {parts.text(said)}</small>"
        out.append(parts.element("details", f"<summary>{body}</summary><dl>{pairs}</dl>", data_at=config.name))
    return "".join(out)


def _value(value: Any) -> str:
    return "none" if value is None else str(value)


def _name(run: CarriedRun) -> str:
    return f"{run.facts['configuration']}, seed {run.facts['seed']}"


def _provenance(record: Record, left_out: dict[str, str]) -> str:
    rows = []
    for run in record.runs:
        facts, result = run.facts, run.result
        kept = result.provenance if result else {}
        rows.append(
            (
                facts["configuration"], facts["seed"], facts["state"], result.best_epoch if result else None,
                result.wall_seconds if result else None, kept.get("device") or "", kept.get("scan") or "",
                facts["fingerprint"], facts["run_id"],
            )
        )  # fmt: skip
    schema = {
        "Configuration": pl.String, "Seed": pl.Int64, "State": pl.String, "Best epoch": pl.Int64, "Seconds": pl.Float64,
        "Device": pl.String, "Scan": pl.String, "Data": pl.String, "Run": pl.String,
    }  # fmt: skip
    runs = parts.frame_table(
        pl.DataFrame(rows, schema=schema, orient="row"), "Runs",
        "Data: fingerprint of what a run was trained on.",
        more={"Seconds": lambda value: parts.number(value, 1), "Seed": str},
    )  # fmt: skip
    commands = "".join(
        f"<li>{parts.element('code', parts.text(run.command), data_at=_name(run))}</li>"
        for run in record.runs
        if run.command
    )
    runs += (
        f'<details data-at="Commands"><summary>Commands that train them again</summary><ul>{commands}</ul></details>'
    )
    known = [one for run in record.runs if run.result for one in sittings(run.result.provenance)]

    def of_all(words: Callable[[dict[str, Any]], str]) -> str:
        """What the trainings were made with; where that is not the same of all, each."""
        return "; ".join(filter(None, dict.fromkeys(map(words, known))))

    made = parts.facts(
        [
            ("Study", record.study.id), ("Made", record.created),
            ("Program", f"version {record.program['version']}, {record.program['code']}"),
            ("Drawn with", ", ".join(f"{k} {v}" for k, v in record.program["versions"].items())),
            ("Trained with", of_all(lambda one: ", ".join(f"{k} {v}" for k, v in one.get("versions", {}).items()))),
            ("Trained on", of_all(lambda one: f"{one['platform']}, {one.get('processor', '')}, {one.get('cores', '?')} "
                                  "cores" if one.get("platform") else "")),
            ("Code of the trainings", of_all(lambda one: one.get("code") or "")),
        ],
        "This file",
    )  # fmt: skip
    reasons = [f"{title}: {reason}" for title, reason in left_out.items()]
    rest = parts.element("section", f"<h3>Left out</h3>{parts.listed(reasons)}", data_at="Left out") if reasons else ""
    where = f"beside it, in {record.beside}" if record.beside else "within it"
    how = [
        f"Recomputed by `mdaf verify FILE` from the predictions {where}: metrics, means, intervals, tests, verdicts, "
        "sentences, and the charts of Results, Scores and Gates.",
        "Recorded and sealed, which predictions do not tell: settings, plan, data card, audit, epochs, times, memory.",
    ]
    return (
        made + parts.element("section", f"<h3>How to check it</h3>{parts.listed(how)}", data_at="Check") + runs + rest
    )
