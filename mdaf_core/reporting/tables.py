"""Tables for the paper: LaTeX (booktabs), Markdown and CSV from one description."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.reporting import frames
from mdaf_core.reporting.paragraph import METRICS

if TYPE_CHECKING:
    from mdaf_core.evaluation.comparison import StudyComparison
    from mdaf_core.tracking import RunRecord

MISSING = "–"
MARKS = {"better": "▲", "worse": "▼", "parity": "◆"}
_LATEX_MARKS = {"▲": r"$^{\blacktriangle}$", "▼": r"$^{\blacktriangledown}$", "◆": r"$^{\blacklozenge}$"}
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "×": r"$\times$",
    "Δ": r"$\Delta$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "<": r"$<$",
    ">": r"$>$",
    **_LATEX_MARKS,
}


def latex_escape(text: str) -> str:
    """Text for LaTeX: special characters escaped, the app's signs as mathematics."""
    return "".join(_LATEX_SPECIAL.get(character, character) for character in text)


def _markdown_escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("*", "\\*").replace("_", "\\_").replace("<", "&lt;")


@dataclass(frozen=True)
class PaperTable:
    """A table as it will be printed, and the figures behind it.

    Attributes:
        cells: column heading → texts, one a row.
        data: the figures with full precision.
        best, second: column heading → rows that are printed bold or underlined.
        caption: a sentence or more; what every mark means.
    """

    name: str
    title: str
    caption: str
    cells: dict[str, list[str]]
    data: pl.DataFrame
    best: dict[str, set[int]] = field(default_factory=dict)
    second: dict[str, set[int]] = field(default_factory=dict)

    def latex(self) -> str:
        """A `table` float; needs the packages booktabs and amssymb."""
        import pandas as pd

        frame = pd.DataFrame({latex_escape(k): [latex_escape(v) for v in vs] for k, vs in self.cells.items()})

        def emphasis(column: pd.Series) -> list[str]:
            heading = next(k for k in self.cells if latex_escape(k) == column.name)
            return [
                "textbf:--rwrap;" if row in self.best.get(heading, ()) else
                "underline:--rwrap;" if row in self.second.get(heading, ()) else ""
                for row in range(len(column))
            ]  # fmt: skip

        numeric = [all(_is_numeric(v) for v in values) for values in self.cells.values()]
        body = (
            frame.style.hide(axis="index")
            .apply(emphasis, axis=0)
            .to_latex(
                hrules=True,
                position="t",
                position_float="centering",
                column_format="".join("r" if right else "l" for right in numeric),
                caption=latex_escape(self.caption),
                label=f"tab:{self.name}",
            )
        )
        return "% \\usepackage{booktabs,amssymb}\n" + body

    def html(self) -> str:
        """The table as print sets it, for the screen: black serif on white, three rules. All text is escaped."""
        align = ["right" if all(_is_numeric(v) for v in values) else "left" for values in self.cells.values()]
        heads = [
            _cell("th", escape(h), side, "border-bottom:1px solid") for h, side in zip(self.cells, align, strict=True)
        ]
        rows = []
        for row in range(len(next(iter(self.cells.values())))):
            cells = []
            for (heading, values), side in zip(self.cells.items(), align, strict=True):
                text = escape(values[row])
                if row in self.best.get(heading, ()):
                    text = f"<b>{text}</b>"
                elif row in self.second.get(heading, ()):
                    text = f"<u>{text}</u>"
                cells.append(_cell("td", text, side))
            rows.append(f"<tr>{''.join(cells)}</tr>")
        return (
            '<div style="background:#fff;color:#000;padding:14px 18px;overflow-x:auto;border-radius:6px">'
            "<table style=\"border-collapse:collapse;font:14px 'Source Serif',serif;border-top:2px solid #000;"
            'border-bottom:2px solid #000;margin:auto;white-space:nowrap">'
            f"<thead><tr>{''.join(heads)}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        )

    def markdown(self) -> str:
        """A Markdown table with its caption."""
        rows = len(next(iter(self.cells.values())))
        numeric = [all(_is_numeric(v) for v in values) for values in self.cells.values()]
        lines = [
            "| " + " | ".join(_markdown_escape(heading) for heading in self.cells) + " |",
            "|" + "|".join("---:" if right else "---" for right in numeric) + "|",
        ]
        for row in range(rows):
            texts = []
            for heading, values in self.cells.items():
                text = _markdown_escape(values[row])
                best, second = row in self.best.get(heading, ()), row in self.second.get(heading, ())
                texts.append(f"**{text}**" if best else f"<u>{text}</u>" if second else text)
            lines.append("| " + " | ".join(texts) + " |")
        return "\n".join([*lines, "", _markdown_escape(self.caption), ""])

    def csv(self) -> str:
        """The figures, full precision."""
        return self.data.write_csv()


def _cell(tag: str, content: str, align: str, style: str = "") -> str:
    return f'<{tag} style="text-align:{align};padding:3px 12px;border:0;font-weight:normal;{style}">{content}</{tag}>'


def _is_numeric(text: str) -> bool:
    """Whether a cell is set like a number: figures and signs, perhaps a k or M at the end."""
    return not any(c.isalpha() for c in text.removesuffix("k").removesuffix("M"))


def _count(value: float | None) -> str:
    """A count in three figures or so: `611`, `32.1k`, `31.19M`."""
    if value is None:
        return MISSING
    return f"{value / 1e6:.2f}M" if value >= 1e6 else f"{value / 1e3:.1f}k" if value >= 1e4 else f"{value:,.0f}"


# ---- the tables ------------------------------------------------------------------------------------------------------

_METRICS = {"auc": ("AUC", 4, 1), "gauc": ("gAUC", 4, 1), "logloss": ("Log loss", 4, -1)}


def results_table(comparison: StudyComparison, runs: Sequence[RunRecord]) -> PaperTable:
    """Mean ± sd over seeds of AUC, gAUC and log loss, and the difference to the reference with its verdict."""
    frame = comparison.frame()
    names = frame["configuration"].to_list()
    final = frames.final_metrics(runs, comparison.split)
    by_name = {name: final.filter(pl.col("configuration") == name) for name in names}
    cells: dict[str, list[str]] = {"Configuration": names, "Seeds": [str(n) for n in frame["seeds"]]}
    best: dict[str, set[int]] = {}
    second: dict[str, set[int]] = {}
    columns: dict[str, list[float | None]] = {}
    for metric, (heading, digits, direction) in _METRICS.items():
        means = [_number(by_name[name][metric].mean()) for name in names]
        spreads = [_number(by_name[name][metric].std()) for name in names]
        cells[heading] = [_mean_sd(m, s, digits) for m, s in zip(means, spreads, strict=True)]
        best[heading], second[heading] = _ranks(means, digits, direction)
        columns |= {f"{metric}_mean": means, f"{metric}_sd": spreads}
    unit = frames.difference_unit(comparison.metric)
    cells[f"Δ {METRICS[comparison.metric]}, {unit} [95% interval]"] = [
        f"{_signed(d)} [{_signed(low)}, {_signed(high)}]{MARKS.get(verdict, '')}" if low is not None
        else MISSING if d is None else _signed(d)
        for d, low, high, verdict in frame.select(
            "difference_bp", "difference_low_bp", "difference_high_bp", "verdict"
        ).iter_rows()
    ]  # fmt: skip
    data = frame.with_columns(pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items())
    return PaperTable(
        name=f"results-{comparison.split}",
        title=f"Results on {_SPLIT_WORDS[comparison.split]} rows",
        caption=_results_caption(comparison),
        cells=cells,
        data=data,
        best=best,
        second=second,
    )


_SPLIT_WORDS = {"test": "test", "val": "validation"}


def _results_caption(comparison: StudyComparison) -> str:
    counts = sorted({len(c.values) for c in comparison.configurations})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    split = _SPLIT_WORDS[comparison.split]
    parts = [
        f"Results on {split} rows of the weights of the best epoch on validation; "
        + ("one seed, so no variance is known." if counts == [1] else f"mean ± standard deviation over {seeds} seeds."),
        "Bold: best mean of a column, underlined: second; neither is a claim of significance.",
        f"Δ: {METRICS[comparison.metric]} minus that of {comparison.reference}, paired by seed "
        f"(1 {frames.difference_unit(comparison.metric)} = 0.0001).",
    ]
    marks = {MARKS[c.verdict] for c in comparison.configurations if c.verdict in MARKS}
    meanings = {
        "▲": "better than the reference",
        "▼": "worse",
        "◆": f"equivalent within ±{comparison.margin_bp:g} {frames.difference_unit(comparison.metric)} (TOST)",
    }
    if comparison.tests:
        shown = [f"{mark} {words}" for mark, words in meanings.items() if mark in marks]
        parts.append(
            (f"{'; '.join(shown)}; no mark: neither shown" if shown else "No difference and no equivalence is shown")
            + f", at 5% after Holm's correction over {comparison.tests} comparison{'s' * (comparison.tests > 1)}."
        )
    return " ".join(parts)


def cost_table(runs: Sequence[RunRecord]) -> PaperTable:
    """Parameters, multiply-adds, speed, epochs, time and memory of each configuration."""
    data = frames.ledger(runs)

    def column(name: str, pattern: str) -> list[str]:
        return [MISSING if v is None else format(v, pattern) for v in data[name]]

    return PaperTable(
        name="cost",
        title="What each configuration cost",
        caption="Cost of each configuration: embedding and dense parameters, multiply-adds a row at the mean history "
        "length, training "
        "speed, epochs, wall time a run (means over seeds), largest peak memory, and how many settings of this kind of "
        "model were tried on the same data.",
        cells={
            "Configuration": data["configuration"].to_list(),
            "Embedding": [_count(v) for v in data["parameters_embedding"]],
            "Dense": [_count(v) for v in data["parameters_dense"]],
            "Mult-adds": [_count(v) for v in data["multiply_adds"]],
            "Rows/s": column("rows_per_second", ",.0f"),
            "Epochs": column("epochs", ".1f"),
            "Time, s": column("wall_seconds", ",.0f"),
            "Memory, MB": column("peak_memory_mb", ",.0f"),
            "Tried": column("settings_tried", ".0f"),
        },
        data=data,
    )


def overfitting_paper_table(runs: Sequence[RunRecord]) -> PaperTable:
    """Gaps at the best and the last epoch, by both definitions of the train AUC."""
    both = {kind: frames.overfitting(runs, kind, each=False) for kind in ("eval", "online")}
    data = both["eval"]

    def column(kind: str, name: str, text: Callable[[float], str]) -> list[str]:
        return [MISSING if v is None else text(v) for v in both[kind][name]]

    def auc(value: float) -> str:
        return f"{value:.4f}"

    def gap(value: float) -> str:
        return f"{value:+.4f}".replace("-", "−")

    return PaperTable(
        name="overfitting",
        title="How far training and validation came apart",
        caption="Means over seeds. Gap: train minus validation AUC, signed, with the train AUC measured in evaluation "
        "mode (eval) or accumulated while training (online), at the best epoch and at the last.",
        cells={
            "Configuration": data["Configuration"].to_list(),
            "Best epoch": column("eval", "Best epoch", lambda v: f"{v:.1f}"),
            "Validation AUC": column("eval", "Val AUC at best", auc),
            "Gap at best, eval": column("eval", "Gap at best", gap),
            "Gap at last, eval": column("eval", "Gap at last", gap),
            "Gap at best, online": column("online", "Gap at best", gap),
            "Gap at last, online": column("online", "Gap at last", gap),
        },
        data=data,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _mean_sd(mean: float | None, sd: float | None, digits: int) -> str:
    if mean is None:
        return MISSING
    return f"{mean:.{digits}f}" + ("" if sd is None else f" ± {sd:.{digits}f}")


def _signed(value: float | None) -> str:
    return MISSING if value is None else f"{value:+.1f}".replace("-", "−")


def _ranks(means: Sequence[float | None], digits: int, direction: int) -> tuple[set[int], set[int]]:
    """Rows with the best and the second-best mean as printed (ties share a place)."""
    printed = {i: round(m, digits) for i, m in enumerate(means) if m is not None}
    places = sorted(set(printed.values()), key=lambda v: -direction * v)
    best, second = (
        {i for i, value in printed.items() if len(places) > place and value == places[place]} for place in (0, 1)
    )
    return best, second
