"""What a study gives to a paper, as files: figures, tables, results, and where every number comes from."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import Any

from mdaf_core.analysis.margins import Margin
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import write_bytes
from mdaf_core.data.store.schema import DatasetMeta, Split
from mdaf_core.reporting import conditions, export, provenance
from mdaf_core.reporting.figure import Figure
from mdaf_core.reporting.figures import FIGURES, make_figure
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import paragraph
from mdaf_core.reporting.paper import text as texts
from mdaf_core.reporting.paper.table import PaperTable
from mdaf_core.reporting.paper.tables import TABLES, make_table
from mdaf_core.reporting.stamp import Origin, comment
from mdaf_core.reporting.theme import Typeface
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.tracking import RunRecord
from mdaf_core.studies.results import PLANNED, choices, summary
from mdaf_core.studies.store import Study, get_study

TABLE_KINDS = ("tex", "md", "csv")


# ---- one file --------------------------------------------------------------------------------------------------------


def one_file(text: str, kind: str, columns: export.Columns = 1) -> bytes:
    """The figure or table that a provenance id or STUDY/NAME stands for, as the bundle holds it.

    Args:
        kind: pdf, svg, png, csv, vl.json of a figure; tex, md, csv of a table.

    Raises:
        UsageError: no such study, figure, table or format.
        StudioError: the runs have changed since the id was given.
    """
    material, name = provenance.resolve(text)
    if name in FIGURES:
        return figure_file(make_figure(material, name), kind, columns)
    if name in TABLES:
        return table_file(make_table(material, name), kind, origin_of_table(material, name))
    raise UsageError(f"There is no figure or table {name!r}. Known: {', '.join([*FIGURES, *TABLES])}.")


def figure_file(figure: Figure, kind: str, columns: export.Columns = 1) -> bytes:
    """A figure as pdf, svg or png at print width, as csv, or as vl.json."""
    if kind == "csv":
        return export.table_csv(figure.data)
    if kind == "vl.json":
        return export.vega_lite(figure.chart, figure.origin, figure.typeface)
    return export.render(figure.chart, kind, columns=columns, typeface=figure.typeface, origin=figure.origin)


def table_file(table: PaperTable, kind: str, origin: Origin) -> bytes:
    """A table as tex, md or csv."""
    if kind not in TABLE_KINDS:
        raise UsageError(f"There is no table format {kind!r}. Known: {', '.join(TABLE_KINDS)}.")
    text = {"tex": table.latex, "md": table.markdown, "csv": table.csv}[kind]()
    return comment(text, kind, origin).encode()


def origin_of_table(material: Material, name: str) -> Origin:
    """The provenance of one of `TABLES`."""
    return Origin(provenance.identify(material, name), TABLES[name][0])


# ---- all files -------------------------------------------------------------------------------------------------------


def files(
    material: Material, figures: Iterable[str] = tuple(FIGURES), chosen_tables: Iterable[str] = tuple(TABLES)
) -> Iterator[tuple[str, bytes]]:
    """Every file of the bundle as relative path and content, `manifest.json` last.

    Figures and tables that this study cannot give (no histories to slice by, no gate, a data set that was removed) are
    left out, with the reason in the manifest.

    Raises:
        UsageError: none of the study's runs has finished.
    """
    material.require_runs()
    listed: list[dict[str, str]] = []
    left_out: dict[str, str] = {}

    def out(path: str, content: bytes, what: str, origin: Origin) -> tuple[str, bytes]:
        digest = hashlib.sha256(content).hexdigest()
        listed.append({"path": path, "what": what, "provenance": origin.id, "sha256": digest})
        return path, content

    drawn: list[Figure] = []
    for name in figures:
        try:
            figure = make_figure(material, name)
        except StudioError as reason:
            left_out[name] = str(reason)
            continue
        drawn.append(figure)
        for columns in export.COLUMNS:
            drawings = export.render_all(figure.chart, columns=columns, typeface=figure.typeface, origin=figure.origin)
            for kind, content in drawings.items():
                yield out(f"figures/{figure.file}-{columns}col.{kind}", content, figure.caption, figure.origin)
        for kind, what in (("csv", "Data of"), ("vl.json", "Specification of")):
            content = figure_file(figure, kind)
            yield out(f"figures/{figure.file}.{kind}", content, f"{what}: {figure.title}", figure.origin)
    made: list[tuple[str, PaperTable, Origin]] = []
    for name in chosen_tables:
        try:
            table = make_table(material, name)
        except StudioError as reason:
            left_out[name] = str(reason)
            continue
        origin = origin_of_table(material, name)
        made.append((TABLES[name][0], table, origin))
        for kind in TABLE_KINDS:
            yield out(f"tables/{table.name}.{kind}", table_file(table, kind, origin), table.caption, origin)
    sentences = results(material)
    whole = Origin(provenance.identify(material, "results-paragraph"))
    title = material.study.title or material.study.id
    yield out("results.md", texts.results_markdown(title, sentences, whole).encode(), "Results paragraph", whole)
    yield out("results.tex", texts.results_tex(sentences, whole).encode(), "Results paragraph", whole)
    text = texts.paper_tex(material, drawn, [table for _, table, _ in made], whole)
    yield out("paper.tex", text.encode(), "All of it in two columns", whole)
    manifest = describe(material) | {"left_out": left_out}
    yield out("README.md", texts.readme(material, drawn, made, manifest).encode(), "How to make it again", whole)
    manifest["files"] = listed
    yield "manifest.json", (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def results(material: Material) -> list[paragraph.Sentence]:
    """The results paragraph of a study.

    Raises:
        UsageError: none of its runs has finished.
    """
    material.require_runs()
    words = conditions.split_words(material.dataset)
    best = "" if material.best.missing else material.best.sentence
    return list(paragraph.results_paragraph(material.study, material.comparison, words, material.conditions, best))


def export_study(
    study_id: str,
    out_dir: Path,
    *,
    split: Split | None = None,
    metric: str | None = None,
    margin: Margin | str | None = PLANNED,
    typeface: Typeface = "sans",
    figures_only: bool = False,
) -> list[Path]:
    """Write all figures and tables, the results paragraph and the manifest of a study into a folder; or its figures.

    Files of the same names are replaced, others stay. Split, metric and margin are the study's plan unless named.

    Returns:
        The files written.

    Raises:
        UsageError: no such study, or none of its runs has finished.
    """
    study = get_study(study_id)
    _, rows, by, _ = choices(study, split=split, metric=metric, margin=margin)
    material = Material(study, split=rows, metric=by, margin=margin, typeface=typeface)
    # All are made before the first is written: where one cannot be made, the folder stays as it was.
    made = [(out_dir / name, content) for name, content in (figure_files if figures_only else files)(material)]
    for path, content in made:
        write_bytes(path, content)
    return [path for path, _ in made]


def figure_files(material: Material, figures: Iterable[str] = tuple(FIGURES)) -> Iterator[tuple[str, bytes]]:
    """Of `files` those of the figures alone."""
    return takewhile(lambda file: file[0].startswith("figures/"), files(material, figures, ()))


def archive(
    material: Material, figures: Iterable[str], chosen_tables: Iterable[str], figures_only: bool = False
) -> bytes:
    """The same files as a zip; or those of the figures alone."""
    made = figure_files(material, figures) if figures_only else files(material, figures, chosen_tables)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in made:
            bundle.writestr(f"{material.study.id}/{name}", content)
    return out.getvalue()


# ---- where it comes from ---------------------------------------------------------------------------------------------


def describe(material: Material) -> dict[str, Any]:
    """The manifest: study, data, runs with the command that repeats each, versions. JSON-ready."""
    from mdaf_core.runs.provenance import code_version, versions

    study, meta = material.study, material.dataset
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "drawn_with": {"code": code_version(), "versions": versions("altair", "vl-convert-python", "polars", "scipy")},
        "study": study.model_dump(mode="json"),
        "conditions": [condition.model_dump() for condition in material.conditions],
        "results": summary(material.comparison),
        "data": {
            "name": study.dataset,
            "fingerprints_of_runs": sorted({run.fingerprint for run in material.runs}),
            "description": meta.model_dump(mode="json") if meta else None,
            "command": _prepare_command(meta) if meta else None,
        },
        "runs": [_describe_run(run, study) for run in material.runs],
    }


def _prepare_command(meta: DatasetMeta) -> str:
    words = ["python", "-m", "mdaf_core", "data", "prepare", meta.source, "--name", meta.name]
    if meta.source != "synthetic":
        words += ["--path", "PATH"]
    for key, value in meta.options.items():
        words += ["--set", f"{key}={_setting(value)}"]
    return shlex.join(words)


def _describe_run(run: RunRecord, study: Study) -> dict[str, Any]:
    result = run.result
    config = study.configuration(run.configuration)
    if config.imported:
        words = ["mdaf", "import", "predictions", "FILE", "--name", getattr(config.model, "of", config.name)]
        known = result is not None and result.provenance.get("seed") is not None
        words += ["--study", study.id, *(["--seed", str(run.seed)] if known else [])]
    else:
        words = ["python", "-m", "mdaf_core", "train", config.preset, "--data", run.dataset, "--seed", str(run.seed)]
        for plugin in result.provenance.get("plugins", []) if result else []:
            words += ["--plugin", Path(plugin["file"]).name]
        for path, value in _set_for(config):
            words += ["--set", f"{path}={_setting(value)}"]
    return {
        "run_id": run.run_id,
        "configuration": run.configuration,
        "seed": run.seed,
        "command": shlex.join(words),
        "best_epoch": result.best_epoch if result else None,
        "provenance": result.provenance if result else {},
    }


def _set_for(config: RunConfig) -> list[tuple[str, Any]]:
    """What a command sets that trains a configuration: of a preset that is not known here, as one of a plug-in that is
    not at hand, every setting."""
    from mdaf_core.runs.presets import preset_names

    if config.preset in preset_names():
        return changed_settings(config)
    return [(path, value) for path, value in config.flat_settings().items() if path != "model.kind"]


def changed_settings(config: RunConfig) -> list[tuple[str, Any]]:
    """Settings in which a configuration differs from its preset, in the order in which `--set` takes them."""
    from mdaf_core.runs.presets import get_preset

    mine, base = config.flat_settings(), get_preset(config.preset)
    usual = base.flat_settings()
    kinds = [(p, v) for p, v in mine.items() if p.endswith(".kind") and usual.get(p) != v]
    start = base.with_overrides(dict(kinds)).flat_settings()  # another kind begins with its own defaults
    return kinds + [(path, value) for path, value in mine.items() if start[path] != value]


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
