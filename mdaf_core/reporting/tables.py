"""Tables for the paper: LaTeX (booktabs), Markdown and CSV from one description."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING

import polars as pl

from mdaf_core.errors import UsageError
from mdaf_core.evaluation.verdicts import DIRECTIONS
from mdaf_core.reporting import curve_frames, frames
from mdaf_core.reporting.material import SPLIT_WORDS
from mdaf_core.reporting.paragraph import METRICS, not_comparable, titled

if TYPE_CHECKING:
    from mdaf_core.data.schema import Split
    from mdaf_core.evaluation.comparison import StudyComparison
    from mdaf_core.reporting.material import Material
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
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "−": r"$-$",
    "–": "--",
    "×": r"$\times$",
    "Δ": r"$\Delta$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "<": r"$<$",
    ">": r"$>$",
    "⁻": r"$^{-}$",
    "⁴": r"$^{4}$",
    **_LATEX_MARKS,
}


def latex_escape(text: str) -> str:
    """Text for LaTeX: special characters escaped, the app's signs as mathematics.

    Characters that the fonts of plain pdfLaTeX do not have are written as their code point (`[U+4E2D]`).
    """
    return "".join(_latex_character(character) for character in unicodedata.normalize("NFC", text))


def _latex_character(character: str) -> str:
    if character in _LATEX_SPECIAL:
        return _LATEX_SPECIAL[character]
    if character.isspace():
        return " "
    accented = "\u00c0" <= character <= "\u017f" and unicodedata.normalize("NFD", character)[0].isascii()
    return character if accented or (character.isascii() and character.isprintable()) else f"[U+{ord(character):04X}]"


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
        """A float for a two-column paper, `table` or, where it is too wide for a column, `table*`; needs the packages
        booktabs and amssymb, and graphicx where even a page is too narrow.
        """
        heads = {heading: _broken(heading, values) for heading, values in self.cells.items()}
        environment, size, shrink = self._fit(heads)
        right = [all(_is_numeric(v) for v in values) for values in self.cells.values()]
        titles = [
            _head([latex_escape(part) for part in parts], r) for parts, r in zip(heads.values(), right, strict=True)
        ]
        rows = [
            " & ".join(self._latex_cell(heading, values[row], row) for heading, values in self.cells.items())
            for row in range(len(next(iter(self.cells.values()))))
        ]
        lines = [
            r"\begin{tabular}{@{}" + "".join("r" if r else "l" for r in right) + "@{}}",
            r"\toprule",
            " & ".join(titles) + r" \\",
            r"\midrule",
            *(row + r" \\" for row in rows),
            r"\bottomrule",
            r"\end{tabular}" + ("}" if shrink else ""),
        ]
        return "\n".join(
            [
                "% needs \\usepackage{booktabs,amssymb" + (",graphicx}" if shrink else "}"),
                rf"\begin{{{environment}}}[t]",
                r"\centering",
                rf"\caption{{{latex_escape(self.caption)}}}",
                rf"\label{{tab:{self.name}}}",
                rf"\{size}\setlength{{\tabcolsep}}{{{TABCOLSEP}pt}}",
                *([r"\resizebox{\textwidth}{!}{%"] if shrink else []),
                *lines,
                rf"\end{{{environment}}}",
                "",
            ]
        )

    def _latex_cell(self, heading: str, text: str, row: int) -> str:
        text = latex_escape(text)
        if row in self.best.get(heading, ()):
            return rf"\textbf{{{text}}}"
        return rf"\underline{{{text}}}" if row in self.second.get(heading, ()) else text

    def _fit(self, heads: dict[str, list[str]]) -> tuple[str, str, bool]:
        """Environment and size of type that this table fits into, and whether it has to be shrunk all the same."""
        widths = [
            max(
                map(
                    _ems,
                    [
                        *heads[heading],
                        *(text + "x" * (i in self.best.get(heading, ())) for i, text in enumerate(values)),
                    ],
                )
            )
            for heading, values in self.cells.items()
        ]
        gaps = 2 * TABCOLSEP * (len(widths) - 1)
        for environment, size, points, room in _FITS:
            if points * sum(widths) + gaps <= room:
                return environment, size, False
        return "table*", "scriptsize", True

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


TABCOLSEP = 4  # points on each side of a column
_FITS = (  # environment, size, its points, points there are in a column of 3.3 in or a page of 7 in
    ("table", "small", 9, 238),
    ("table", "footnotesize", 8, 238),
    ("table*", "small", 9, 504),
    ("table*", "footnotesize", 8, 504),
    ("table*", "scriptsize", 7, 504),
)


def _ems(text: str) -> float:
    """Width of a text in Computer Modern, in units of its size, a little generously."""
    return sum(
        0.3
        if c in " .,:;'|il[]()"
        else 0.8
        if c in "mwMW−±+▲▼◆%&@"
        else 0.52
        if c.islower()
        else 0.55
        if c.isdigit()
        else 0.75
        for c in text
    )


def _broken(heading: str, values: Sequence[str]) -> list[str]:
    """A heading much longer than its column in two lines, broken where they are most even."""
    if " " not in heading or len(heading) <= max(8, *map(len, values)):
        return [heading]
    words = heading.split(" ")
    halves = [(" ".join(words[:i]), " ".join(words[i:])) for i in range(1, len(words))]
    return list(min(halves, key=lambda pair: max(map(len, pair))))


def _head(lines: Sequence[str], right: bool) -> str:
    if len(lines) == 1:
        return lines[0]
    return rf"\shortstack[{'r' if right else 'l'}]{{" + r" \\ ".join(lines) + "}"


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

_SHOWN = ("auc", "gauc", "logloss")  # in every table of results, and the metric compared by


def results_table(comparison: StudyComparison, runs: Sequence[RunRecord]) -> PaperTable:
    """Mean ± sd over seeds of AUC, gAUC, log loss and what is compared by, and the difference to the reference."""
    frame = comparison.frame()
    names = frame["configuration"].to_list()
    final = frames.final_metrics(runs, comparison.split)
    by_name = {name: final.filter(pl.col("configuration") == name) for name in names}
    cells: dict[str, list[str]] = {"Configuration": names, "Seeds": [str(n) for n in frame["seeds"]]}
    best: dict[str, set[int]] = {}
    second: dict[str, set[int]] = {}
    columns: dict[str, list[float | None]] = {}
    sound = {c.configuration for c in comparison.configurations if c.summary}  # others mix settings or data
    refused = {c.configuration for c in not_comparable(comparison)}
    for metric in dict.fromkeys([*_SHOWN, comparison.metric]):
        heading = titled(metric)
        means = [_number(by_name[name][metric].mean()) if name in sound else None for name in names]
        spreads = [_number(by_name[name][metric].std()) if name in sound else None for name in names]
        cells[heading] = [_mean_sd(m, s, 4) for m, s in zip(means, spreads, strict=True)]
        ranked = [None if name in refused else mean for name, mean in zip(names, means, strict=True)]
        best[heading], second[heading] = _ranks(ranked, 4, DIRECTIONS[metric])
        columns |= {f"{metric}_mean": means, f"{metric}_sd": spreads}
    cells[f"Δ {METRICS[comparison.metric]}, bp [95% interval]"] = [
        f"{_signed(d)} [{_signed(low)}, {_signed(high)}]{MARKS.get(verdict, '')}" if low is not None
        else MISSING if d is None else _signed(d)
        for d, low, high, verdict in frame.select(
            "difference_bp", "difference_low_bp", "difference_high_bp", "verdict"
        ).iter_rows()
    ]  # fmt: skip
    data = frame.with_columns(pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items())
    return PaperTable(
        name=f"results-{comparison.split}" + ("" if comparison.metric == "auc" else f"-{comparison.metric}"),
        title=f"Results on {SPLIT_WORDS[comparison.split]} rows",
        caption=_results_caption(comparison),
        cells=cells,
        data=data,
        best=best,
        second=second,
    )


def _results_caption(comparison: StudyComparison) -> str:
    counts = sorted({len(c.values) for c in comparison.configurations})
    seeds = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    rows = f"{SPLIT_WORDS[comparison.split]} rows"
    if comparison.rows:
        rows = f"{comparison.rows:,} {rows}" + (f" of {comparison.users:,} users" if comparison.users else "")
    parts = [
        f"Results on {rows} of the weights of the best epoch on validation; "
        + ("one seed, so no variance is known." if counts == [1] else f"mean ± standard deviation over {seeds} seeds."),
        "Bold: best mean of a column, underlined: second; neither is a claim of significance.",
        f"Δ: {METRICS[comparison.metric]} minus that of {comparison.reference}, paired by seed "
        f"(1 bp = 0.0001)" + ("; below 0 is better." if DIRECTIONS[comparison.metric] < 0 else "."),
    ]
    marks = {MARKS[c.verdict] for c in comparison.configurations if c.verdict in MARKS}
    meanings = {
        "▲": "better than the reference",
        "▼": "worse",
        "◆": f"equivalent within {comparison.margin_words} (TOST)",
    }
    if comparison.tests:
        tested = comparison.margin_bp is not None
        shown = [f"{mark} {words}" for mark, words in meanings.items() if mark in marks]
        parts.append(
            f"{'; '.join(shown)}; no mark: {'neither' if tested else 'no difference'} shown"
            if shown
            else f"No difference{' and no equivalence' if tested else ''} is shown"
            + f", at 5% after Holm's correction over {comparison.tests} comparison{'s' * (comparison.tests > 1)}."
        )
    parts += [
        f"{c.configuration} is not comparable with the reference"
        + (f": {'; '.join(c.notes).rstrip('.')}." if c.notes else ".")
        for c in not_comparable(comparison)
    ]
    return " ".join(parts)


def cost_table(data: pl.DataFrame) -> PaperTable:
    """Parameters, multiply-adds, speed, epochs, time and memory of each configuration, from `frames.ledger`."""

    def column(name: str, pattern: str) -> list[str]:
        return [MISSING if v is None else format(v, pattern) for v in data[name]]

    return PaperTable(
        name="cost",
        title="What each configuration cost",
        caption="Cost of each configuration: embedding and dense parameters, multiply-adds a row at the mean history "
        "length; training speed, epochs and wall time of a run (means over its seeds); largest peak memory; and how "
        "many settings of this kind of model were tried on the same data. Speed, time and memory as measured where "
        "each run was trained.",
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
    both = {kind: curve_frames.overfitting(runs, kind, each=False) for kind in ("eval", "online")}
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
        caption=f"{_over_seeds(runs)} Gap: train minus validation AUC, signed, with the train AUC measured in "
        "evaluation mode (eval) or accumulated while training (online), at the best epoch and at the last.",
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


def _over_seeds(runs: Sequence[RunRecord]) -> str:
    names = [run.configuration for run in runs]
    counts = sorted({names.count(name) for name in names})
    if counts == [1]:
        return "One run of each configuration."
    return f"Means over {counts[0]} seeds." if len(counts) == 1 else f"Means over {counts[0]} to {counts[-1]} seeds."


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


def gates_table(runs: Sequence[RunRecord], split: Split) -> PaperTable:
    """Of each trained gate: g over the rows, what replacing it costs, and the verdict.

    Raises:
        UsageError: no gate, or none that can be tested on these rows.
    """
    data = frames.gate_costs(runs, split)
    if data.is_empty():
        raise UsageError("No finished run of this study has a gate that can be tested on these rows.")
    gates = data.partition_by("configuration", "seed", maintain_order=True)

    def costs(place: int) -> list[str]:
        rows = [gate.row(place, named=True) for gate in gates]
        return [f"{_signed(r['cost_bp'])} [{_signed(r['low_bp'])}, {_signed(r['high_bp'])}]" for r in rows]

    return PaperTable(
        name=f"gates-{split}",
        title="Whether the gates are adaptive",
        caption=f"Gates on {SPLIT_WORDS[split]} rows: mean and standard deviation over rows of g, the weight of the "
        "sequential branch; AUC as learned; and what replacing g by its mean, or shuffling g over the rows, costs "
        "in bp of AUC [95% interval over users, for this trained model]. Adaptive: each of both costs is above 0 at "
        "5%.",
        cells={
            "Configuration": [gate["configuration"][0] for gate in gates],
            "Seed": [str(gate["seed"][0]) for gate in gates],
            "g": [_mean_sd(gate["mean_g"][0], gate["sd_g"][0], 3) for gate in gates],
            "AUC": [MISSING if gate["auc"][0] is None else f"{gate['auc'][0]:.4f}" for gate in gates],
            "Mean instead, bp": costs(0),
            "Shuffled, bp": costs(1),
            "Adaptive": ["yes" if gate["verdict"][0] == "adaptive" else "not shown" for gate in gates],
        },
        data=data,
    )


# ---- what there is ---------------------------------------------------------------------------------------------------

TABLES: dict[str, tuple[str, Callable[[Material], PaperTable]]] = {
    "results": ("Results", lambda material: results_table(material.comparison, material.runs)),
    "overfitting": ("Overfitting", lambda material: overfitting_paper_table(material.runs)),
    "cost": ("Cost", lambda material: cost_table(material.ledger)),
    "gates": ("Gates", lambda material: gates_table(material.gated, material.split)),
}


def make_table(material: Material, name: str) -> PaperTable:
    """One of `TABLES`.

    Raises:
        UsageError: unknown name, or the study has nothing finished to make it from.
    """
    if name not in TABLES:
        raise UsageError(f"There is no table {name!r}. Known: {', '.join(TABLES)}.")
    material.require_runs()
    return TABLES[name][1](material)
