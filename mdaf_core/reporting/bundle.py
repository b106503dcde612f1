"""What a study gives to a paper: its figures, tables and results paragraph, and where every number comes from."""

from __future__ import annotations

import hashlib
import io
import json
import shlex
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mdaf_core.errors import StudioError, UsageError
from mdaf_core.evaluation.significance import DEFAULT_MARGIN_BP
from mdaf_core.files import write_bytes
from mdaf_core.reporting import charts, export, frames, paragraph, tables
from mdaf_core.studies.store import Study, get_study

if TYPE_CHECKING:
    import altair as alt
    import polars as pl

    from mdaf_core.data.schema import DatasetMeta, Split
    from mdaf_core.evaluation.comparison import StudyComparison
    from mdaf_core.tracking import RunRecord
    from mdaf_core.training.config import RunConfig

MOST_LINES = 8  # configurations in one line chart on paper; the palette has as many colours


@dataclass(frozen=True)
class Figure:
    """A chart for the paper, its caption and the data behind it."""

    name: str
    title: str
    caption: str
    chart: alt.TopLevelMixin
    data: pl.DataFrame


@dataclass
class Material:
    """A study's figures and tables, made when asked for.

    Attributes:
        split: rows that results are on; metric and margin_bp of the comparison.
        only: configurations to draw in line charts; empty: the first eight.
    """

    study: Study
    split: Split = "test"
    metric: str = "auc"
    margin_bp: float = DEFAULT_MARGIN_BP
    only: tuple[str, ...] = field(default=())

    @cached_property
    def runs(self) -> list[RunRecord]:
        """The finished runs, one a configuration and seed."""
        return [run for run in frames.study_runs(self.study) if run.state == "finished"]

    @cached_property
    def comparison(self) -> StudyComparison:
        from mdaf_core.evaluation.comparison import compare_study

        return compare_study(self.runs, self.study.reference, self.split, self.metric, self.margin_bp)

    @property
    def dataset(self) -> DatasetMeta | None:
        """What is known of the data set; None where it was removed since."""
        from mdaf_core.data.dataset import PreparedDataset

        try:
            return PreparedDataset.open(self.study.dataset).meta
        except StudioError:
            return None

    @property
    def drawn(self) -> list[RunRecord]:
        names = self.only or self.study.configuration_names[:MOST_LINES]
        return [run for run in self.runs if run.configuration in names]

    @property
    def rows_in_words(self) -> str:
        return {"test": "test rows", "val": "validation rows"}[self.split]

    def figure(self, name: str) -> Figure:
        """One of `FIGURES`.

        Raises:
            UsageError: unknown name, or the study has nothing finished to draw it from.
        """
        if name not in FIGURES:
            raise UsageError(f"There is no figure {name!r}. Known: {', '.join(FIGURES)}.")
        self._require_runs()
        title, make = FIGURES[name]
        chart, data, caption = make(self)
        return Figure(f"{name}-{self.split}" if name in _OF_A_SPLIT else name, title, caption, chart, data)

    def table(self, name: str) -> tables.PaperTable:
        """One of `TABLES`; raises as `figure` does."""
        if name not in TABLES:
            raise UsageError(f"There is no table {name!r}. Known: {', '.join(TABLES)}.")
        self._require_runs()
        return TABLES[name][1](self)

    def _require_runs(self) -> None:
        if not self.runs:
            raise UsageError(
                f"No run of study {self.study.id} has finished, so there is nothing to export yet. "
                "`python -m mdaf_core jobs` shows what is running."
            )

    def paragraph(self) -> list[paragraph.Sentence]:
        self._require_runs()
        meta = self.dataset
        kind = str(meta.split.get("kind", "")) if meta else ""
        return paragraph.results_paragraph(self.study, self.comparison, f"{kind} split" if kind else "split unknown")


Drawn = tuple["alt.TopLevelMixin", "pl.DataFrame", str]
_SEEDS = (
    "Thick lines: mean over seeds with a band of ± one standard deviation; thin lines: single seeds; marks: the epoch "
    "whose weights were kept."
)


def _curves(material: Material, names: dict[str, str], y_title: str, caption: str, **options: Any) -> Drawn:
    members, bands = frames.curves(frames.epochs(material.drawn), names)
    if members.is_empty():
        raise UsageError(f"No run of study {material.study.id} has recorded epochs, so there are no curves.")
    order = material.study.configuration_names
    chart = charts.learning_curves(members, bands, order=order, y_title=y_title, **options)
    return chart, members, f"{caption} {_SEEDS}"


def _auc_curves(material: Material) -> Drawn:
    names = {"val_auc": "validation", "train_auc_eval": "train, evaluation mode"}
    return _curves(material, names, "AUC", "AUC by epoch on validation and on a fixed sample of training rows.")


def _gap_curves(material: Material) -> Drawn:
    names = {"gap_eval": "gap, evaluation mode"}
    caption = "Train minus validation AUC by epoch, signed, train AUC in evaluation mode."
    return _curves(material, names, "Train − validation AUC", caption, zero_line=True)


def _loss_curves(material: Material) -> Drawn:
    names = {"val_loss": "validation", "train_loss": "train"}
    return _curves(material, names, "Binary cross-entropy", "Loss by epoch.")


def _leaderboard(material: Material) -> Drawn:
    comparison = material.comparison
    frame = comparison.frame()
    title = f"{_metric(material)}, {material.rows_in_words}"
    chart = charts.leaderboard(frame, frames.comparison_members(comparison), x_title=title)
    caption = f"{title}: mean over seeds with its 95% t interval; ticks are single seeds, the diamond is the reference."
    return chart, frame, caption


def _differences(material: Material) -> Drawn:
    comparison = material.comparison
    frame = comparison.frame()
    if frame["difference_bp"].is_null().all():
        raise UsageError(f"Nothing could be compared with the reference {comparison.reference!r} yet.")
    unit = frames.difference_unit(comparison.metric)
    title = f"{_metric(material)} minus that of {comparison.reference}, {unit}"
    chart = charts.differences(frame, margin_bp=comparison.margin_bp, x_title=title)
    caption = (
        f"{title} (1 {unit} = 0.0001), {material.rows_in_words}, paired by seed, with 95% intervals; band: ±"
        f"{comparison.margin_bp:g} {unit}; faint: smaller than the standard deviation over seeds."
    )
    return chart, frame, caption


def _matrix(material: Material) -> Drawn:
    data = frames.run_values(material.study, material.split, material.metric)
    chart = charts.ablation_matrix(data, order=material.study.configuration_names)
    return chart, data, f"{_metric(material)} of every run, {material.rows_in_words}; darker is larger."


def _one_seed(material: Material) -> list[RunRecord]:
    """The runs of the seed that most drawn configurations have finished, the smallest such seed."""
    seeds = [run.seed for run in material.drawn]
    seed = max(sorted(set(seeds)), key=seeds.count)
    return [run for run in material.drawn if run.seed == seed]


def _roc(material: Material) -> Drawn:
    from mdaf_core.evaluation.curves import curve_points

    runs = _one_seed(material)
    data = curve_points(runs, "roc", material.split)
    chart = charts.roc(data, order=material.study.configuration_names)
    return chart, data, f"ROC curves on {material.rows_in_words}, seed {runs[0].seed}."


def _calibration(material: Material) -> Drawn:
    from mdaf_core.evaluation.curves import curve_points

    runs = _one_seed(material)
    data = curve_points(runs, "calibration", material.split)
    chart = charts.calibration(data, order=material.study.configuration_names)
    caption = (
        f"Calibration on {material.rows_in_words}, seed {runs[0].seed}: observed rate in 15 bins of equal size, with "
        "95% Wilson intervals."
    )
    return chart, data, caption


def _slices(material: Material) -> Drawn:
    names = [c for c in material.study.configuration_names if c in {run.configuration for run in material.drawn}]
    data = frames.slices(material.drawn, names, "history_length", material.split)
    chart = charts.slices(data, order=material.study.configuration_names, y_title="History length, events")
    caption = (
        f"AUC by history length, {material.rows_in_words}: mean over seeds; 95% intervals cover other users with "
        "these trained models."
    )
    return chart, data, caption


def _cost(material: Material) -> Drawn:
    data = frames.quality_and_cost(frames.ledger(material.runs), material.comparison)
    title = f"{_metric(material)}, {material.rows_in_words}"
    chart = charts.cost(
        data, x="parameters", x_title="Parameters", y_title=title, order=material.study.configuration_names
    )
    return chart, data, f"{title} against the number of parameters (embedding and dense), means over seeds."


def _metric(material: Material) -> str:
    return paragraph.METRICS[material.metric]


FIGURES: dict[str, tuple[str, Callable[[Material], Drawn]]] = {
    "auc-by-epoch": ("AUC by epoch", _auc_curves),
    "gap-by-epoch": ("Gap by epoch", _gap_curves),
    "loss-by-epoch": ("Loss by epoch", _loss_curves),
    "leaderboard": ("Leaderboard", _leaderboard),
    "differences": ("Differences to the reference", _differences),
    "runs": ("Configurations × seeds", _matrix),
    "roc": ("ROC curves", _roc),
    "calibration": ("Calibration", _calibration),
    "slices-history": ("AUC by history length", _slices),
    "cost": ("Quality against parameters", _cost),
}
_OF_A_SPLIT = {"leaderboard", "differences", "runs", "roc", "calibration", "slices-history", "cost"}
TABLES: dict[str, tuple[str, Callable[[Material], tables.PaperTable]]] = {
    "results": ("Results", lambda material: tables.results_table(material.comparison, material.runs)),
    "overfitting": ("Overfitting", lambda material: tables.overfitting_paper_table(material.runs)),
    "cost": ("Cost", lambda material: tables.cost_table(material.runs)),
}


# ---- files -----------------------------------------------------------------------------------------------------------


def files(
    material: Material, figures: Iterable[str] = tuple(FIGURES), chosen_tables: Iterable[str] = tuple(TABLES)
) -> Iterator[tuple[str, bytes]]:
    """Every file of the bundle as relative path and content, `manifest.json` last.

    Figures that this study cannot give (no histories to slice by, a data set that was removed) are left out, with the
    reason in the manifest.
    """
    listed: list[dict[str, str]] = []
    left_out: dict[str, str] = {}

    def out(path: str, content: bytes, what: str) -> tuple[str, bytes]:
        listed.append({"path": path, "what": what, "sha256": hashlib.sha256(content).hexdigest()})
        return path, content

    for name in figures:
        try:
            figure = material.figure(name)
        except StudioError as reason:
            if not material.runs:
                raise
            left_out[name] = str(reason)
            continue
        for columns in export.WIDTH_INCHES:
            for kind in export.FIGURE_KINDS:
                content = export.render(figure.chart, kind, columns=columns)
                yield out(f"figures/{figure.name}-{columns}col.{kind}", content, figure.caption)
        yield out(f"figures/{figure.name}.csv", export.table_csv(figure.data), f"Data of: {figure.title}")
        yield out(f"figures/{figure.name}.vl.json", export.vega_lite(figure.chart), f"Specification: {figure.title}")
    for name in chosen_tables:
        table = material.table(name)
        for suffix, text in (("tex", table.latex()), ("md", table.markdown()), ("csv", table.csv())):
            yield out(f"tables/{table.name}.{suffix}", text.encode(), table.title)
    yield out("results.md", _results_markdown(material).encode(), "The results paragraph and its sources")
    manifest = describe(material) | {"files": listed, "left_out": left_out}
    yield "manifest.json", (json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _results_markdown(material: Material) -> str:
    sentences = material.paragraph()
    text = " ".join(sentence.text for sentence in sentences)
    sources = "\n".join(f"{i}. {s.text}\n   Source: {s.source}." for i, s in enumerate(sentences, 1))
    return f"# Results: {material.study.title}\n\n{text}\n\n## Where each sentence comes from\n\n{sources}\n"


def export_study(
    study_id: str, out_dir: Path, *, split: Split = "test", margin_bp: float = DEFAULT_MARGIN_BP
) -> list[Path]:
    """Write all figures and tables, the results paragraph and the manifest of a study into a folder.

    Files of the same names are replaced, others stay.

    Returns:
        The files written.

    Raises:
        UsageError: no such study, or none of its runs has finished.
    """
    written = []
    for name, content in files(Material(get_study(study_id), split=split, margin_bp=margin_bp)):
        path = out_dir / name
        write_bytes(path, content)
        written.append(path)
    return written


def archive(material: Material, figures: Iterable[str], chosen_tables: Iterable[str]) -> bytes:
    """The same files as a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files(material, figures, chosen_tables):
            bundle.writestr(f"{material.study.id}/{name}", content)
    return out.getvalue()


# ---- where it comes from ---------------------------------------------------------------------------------------------


def describe(material: Material) -> dict[str, Any]:
    """The manifest: study, data, runs with the command that repeats each, versions. JSON-ready."""
    study, meta = material.study, material.dataset
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "study": study.model_dump(mode="json"),
        "results": {"split": material.split, "metric": material.metric, "margin_bp": material.margin_bp},
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
    words = ["python", "-m", "mdaf_core", "train", config.preset, "--data", run.dataset, "--seed", str(run.seed)]
    for path, value in changed_settings(config):
        words += ["--set", f"{path}={_setting(value)}"]
    return {
        "run_id": run.run_id,
        "configuration": run.configuration,
        "seed": run.seed,
        "command": shlex.join(words),
        "best_epoch": result.best_epoch if result else None,
        "provenance": result.provenance if result else {},
    }


def changed_settings(config: RunConfig) -> list[tuple[str, Any]]:
    """Settings in which a configuration differs from its preset, in the order in which `--set` takes them."""
    from mdaf_core.tracking import flatten
    from mdaf_core.training.presets import get_preset

    def settings(of: RunConfig) -> dict[str, Any]:
        return flatten(of.model_dump(mode="json", exclude={"name", "preset"}))

    mine, base = settings(config), get_preset(config.preset)
    kinds = [(p, v) for p, v in mine.items() if p.endswith(".kind") and settings(base).get(p) != v]
    start = settings(base.with_overrides(dict(kinds)))  # another kind begins with its own defaults
    return kinds + [(path, value) for path, value in mine.items() if start[path] != value]


def _setting(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
