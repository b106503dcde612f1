"""Runs of others as one table of figures: who, on what, with which seed and settings, and what was measured."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import polars as pl

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.words import some
from mdaf_core.data.store.schema import EVALUATED
from mdaf_core.metrics.registry import titles
from mdaf_core.runs.published.columns import (
    FINISHED,
    NO_FIGURE,
    PART_WORDS,
    PARTS,
    YES,
    Columns,
    Part,
    number,
    without_seed,
)
from mdaf_core.runs.published.metric import ReportedMetric, key_of, likeness, metric_of, tokens

_INFINITE = 1e300  # MLflow's infinity is the largest double
_DROPPED = 2  # zeros at the end of a figure, at most
ALL = "all runs"
"""The data set, or the model, of a table that does not tell several apart."""


@dataclass(frozen=True)
class Run:
    """One line of somebody's table. Figures: metric → value.

    Attributes:
        seed, setting: as the table calls them; '' where it does not say.
    """

    data_set: str
    model: str
    setting: str = ""
    seed: str = ""
    val: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    shown: dict[str, float] = field(default_factory=dict)
    digits: dict[str, int] = field(default_factory=dict)
    """Decimals of a shown figure."""
    is_mean: bool = False
    """Whether the table gives a spread beside its figures, so that they are means of an unknown number of runs."""

    def figures(self, part: Part) -> dict[str, float]:
        return {"val": self.val, "test": self.test, "shown": self.shown}[part]

    @property
    def key(self) -> tuple[Any, ...]:
        """All of it, to sort by: what is said never depends on the order of lines."""
        parts = (tuple(sorted(self.figures(part).items())) for part in PARTS)
        return (self.data_set, self.model, self.setting, _natural(self.seed), *parts, self.is_mean)


@dataclass(frozen=True)
class Published:
    """Runs of others, sorted, each once.

    Attributes:
        notes: what was left out or taken as what, a sentence each.
        source: where the figures are from, in a line.
        lines: how many the table has, with those that were left out.
    """

    runs: list[Run]
    metrics: dict[str, ReportedMetric]
    notes: list[str] = field(default_factory=list)
    source: str = ""
    lines: int = 0

    @property
    def digest(self) -> str:
        """Of the figures, whatever the file they came in."""
        return hashlib.sha256(repr([(run.key, run.digits) for run in self.runs]).encode()).hexdigest()[:12]


def build(frame: pl.DataFrame, columns: Columns, lower: Iterable[str] = (), higher: Iterable[str] = ()) -> Published:
    """The runs of a table of text.

    Args:
        lower, higher: metrics of which smaller (larger) values are better, whatever their names say.

    Raises:
        UsageError: no column holds figures, or `lower` names no metric of the table.
        BadInputError: no line has a figure, or two lines of a long table are of the same figure.
    """
    if not any(columns.figures(part) for part in EVALUATED):
        raise UsageError(
            f"No column holds figures of a metric. Name one: --test METRIC=COLUMN. Columns: {some(frame.columns, 40)}."
        )
    notes: list[str] = []
    read = len(frame)
    frame = frame.unique()
    lines = list(frame.iter_rows(named=True))
    if any("fold" in tokens(column) for column in columns.seed):
        notes.append(
            "Folds stand for seeds: they share training rows, so that p values over them are rather too small."
        )
    if columns.state:
        lines = _finished(lines, columns, notes)
    raw = [_Line(line, columns) for line in lines]
    if columns.metric or columns.part:
        raw = _joined(raw)
    keys = sorted({metric for line in raw for part in PARTS for metric in line.figures[part]})
    metrics = {key: _metric(key, raw, columns) for key in sorted(keys, key=lambda k: (likeness(k), k))}
    for wanted, direction in ((lower, -1), (higher, 1)):
        for name in wanted:
            key = key_of(tokens(name))
            if key not in metrics:
                raise UsageError(f"There is no metric {name!r} in the table. Metrics: {', '.join(metrics) or 'none'}.")
            metrics[key] = metrics[key].model_copy(update={"direction": direction})
    runs = [run for run in sorted((line.run(metrics) for line in raw), key=lambda run: run.key) if run.val or run.test]
    empty = Counter(line.of for line in raw if not (line.figures["val"] or line.figures["test"]))
    if runs and not any(run.test for run in runs):
        runs = [replace(run, val={}, test=run.val) for run in runs]
        notes.append("There are no test figures; those of validation, which were chosen by, are compared.")
    if not runs:
        raise BadInputError("No line has a figure: all cells of these columns are empty or hold no number.")
    if empty:
        notes.append(f"{_lines(sum(empty.values()))} without a figure left out: {_counted(empty)}.")
    words = Counter(word for line in raw for word in line.words)
    if words:
        notes.append(f"{sum(words.values()):,} cells hold words, not a figure, and are left out: {_counted(words)}.")
    runs = _printed(runs)
    # Without a seed, figures of two trainings may well agree; a seed is run once.
    once = [run for i, run in enumerate(runs) if i == 0 or not run.seed or run.key != runs[i - 1].key]
    if again := read - len(frame) + len(runs) - len(once):
        notes.append(f"{_lines(again)} the same as another, and counted once.")
    percent = [metric.title for metric in metrics.values() if metric.percent]
    if percent:
        notes.append(f"Given in percent, and divided by 100: {', '.join(percent)}.")
    return Published(once, metrics, notes, lines=read)


class _Line:
    """A line's names and figures, as they stand in the table."""

    def __init__(self, line: dict[str, str | None], columns: Columns):
        def text(column: str | None) -> str:
            return re.sub(r"\s+", " ", line[column] or "").strip()[:200] if column else ""

        self.data_set = text(columns.data_set) or ALL
        self.model = text(columns.model) or ALL
        self.seed = ", ".join(_whole(text(column)) for column in columns.seed if text(column))
        if columns.seed_in_model:
            self.model, self.seed = without_seed(self.model)
        self.is_mean = any(number(text(column)) is not None for column in columns.spread)
        self.setting = ", ".join(_assigned(c, text(c), len(columns.setting)) for c in columns.setting if text(c))
        self.figures: dict[Part, dict[str, float]] = {"val": {}, "test": {}, "shown": {}}
        self.digits: dict[str, int] = {}
        self.words: list[str] = []
        part = PART_WORDS.get(text(columns.part).lower(), "test") if columns.part else "test"
        named = key_of(tokens(text(columns.metric))) if columns.metric else ""
        for own in PARTS:
            into = part if columns.part and own == "test" else own
            if into is None:  # training rows
                continue
            for metric, column in columns.figures(own).items():
                cell = line[column]
                value = number(cell)
                if value is None or not abs(value) < _INFINITE:
                    if value is None and cell and cell.strip().lower() not in NO_FIGURE:
                        self.words.append(repr(cell.strip()[:40]))
                    continue
                key = _key(named, metric) if named else metric
                self.is_mean |= own != "shown" and bool(re.search(r"±|\+/?-", cell or ""))
                self.figures[into][key] = value
                if into == "shown" or (into == "test" and text(columns.flag).lower() in YES):
                    self.figures["shown"][key], self.digits[key] = value, _digits(cell or "")

    @property
    def of(self) -> str:
        return f"{self.model} on {self.data_set}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        return self.data_set, self.model, self.setting, self.seed

    def run(self, metrics: dict[str, ReportedMetric]) -> Run:
        scaled = {
            part: {m: v / 100 if metrics[m].percent and v > 1 else v for m, v in values.items()}
            for part, values in self.figures.items()
        }
        digits = {m: d + 2 * metrics[m].percent for m, d in self.digits.items()}
        return Run(self.data_set, self.model, self.setting, self.seed, digits=digits, is_mean=self.is_mean, **scaled)


def _key(named: str, own: str) -> str:
    """The metric of a figure whose line names one: `error` of accuracy is not accuracy."""
    wrong_way = metric_of(own, own, []).direction < metric_of(named, named, []).direction
    return named if not wrong_way or own in ("value", "score") else f"{named}_{own}"


def _joined(lines: list[_Line]) -> list[_Line]:
    """Lines of one figure each as lines of one run each."""
    groups: dict[tuple[str, ...], list[_Line]] = defaultdict(list)
    for line in lines:
        groups[line.key].append(line)
    out = []
    for key, group in sorted(groups.items()):
        first = group[0]
        for line in group[1:]:
            for part, values in line.figures.items():
                for metric, value in values.items():
                    if first.figures[part].setdefault(metric, value) != value:
                        raise BadInputError(
                            f"Two lines give a figure each of {metric} ({part}) of the same run, "
                            f"{first.of}{f', seed {key[3]}' if key[3] else ''}: name the column that tells them apart "
                            "(--seed or --setting)."
                        )
            first.digits |= line.digits
            first.is_mean |= line.is_mean
            first.words += line.words
        out.append(first)
    return out


def _finished(lines: list[dict[str, Any]], columns: Columns, notes: list[str]) -> list[dict[str, Any]]:
    def state(line: dict[str, Any]) -> str:
        return (line[columns.state or ""] or "").lower()

    states = Counter(map(state, lines))
    left = {state: count for state, count in states.items() if state and state not in FINISHED}
    if left:
        said = ", ".join(f"{count:,} {state}" for state, count in sorted(left.items()))
        notes.append(f"{_lines(sum(left.values()))} of runs that did not finish left out ({said}).")
    return [line for line in lines if state(line) not in left]


def _printed(runs: list[Run]) -> list[Run]:
    """The runs with the decimals that a table shows a metric with: zeros at its end may have been dropped."""
    counts: dict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for run in runs:
        for metric, digits in run.digits.items():
            counts[run.data_set, metric][digits] += 1
    usual = {key: min(count, key=lambda d: (-count[d], -d)) for key, count in counts.items()}

    def of(run: Run, metric: str, digits: int) -> int:
        usually = usual[run.data_set, metric]
        return usually if 0 < usually - digits <= _DROPPED else digits

    return [replace(run, digits={m: of(run, m, d) for m, d in run.digits.items()}) for run in runs]


def _metric(key: str, lines: Sequence[_Line], columns: Columns) -> ReportedMetric:
    values = sorted(v for line in lines for part in PARTS for m, v in line.figures[part].items() if m == key)
    column = columns.test.get(key) or columns.val.get(key) or key
    words = [w for w in re.split(r"[_\s.]+", column) if w.lower() not in ("val", "test", "valid", "metrics", "params")]
    return metric_of(key, titles().get(key) or " ".join(words) or key, values)


def _whole(text: str) -> str:
    """A seed without what a frame of floats adds: `42.0` is 42."""
    return text[: -len(".0")] if re.fullmatch(r"\d+\.0", text) else text


def _natural(text: str) -> tuple[int, str]:
    return (int(text), "") if text.isdecimal() and len(text) < 19 else (-1, text)


def _assigned(column: str, value: str, of: int) -> str:
    return value if of == 1 else f"{column.split('.')[-1]}={value}"


def _digits(cell: str) -> int:
    """Decimals that a figure is printed with."""
    found = re.search(r"\.(\d+)", cell)
    exponent = re.search(r"[eE]([-+]?\d+)", cell)
    return max(0, (len(found[1]) if found else 0) - (int(exponent[1]) if exponent else 0) + 2 * ("%" in cell))


def _lines(count: int) -> str:
    return f"{count:,} line is" if count == 1 else f"{count:,} lines are"


def _counted(counts: Counter[str], most: int = 5) -> str:
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return some([f"{name} ({count:,})" for name, count in ordered], most)
