"""What the columns of a table seem to be, from their names and first rows: a proposal that people correct."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import polars as pl

from mdaf_core.data.sources.table import TableOptions
from mdaf_core.data.sources.table_file import read_head

ROWS = 1000

LABELS = ("label", "click", "clicked", "clk", "isclick", "isclicked", "target", "y", "conversion", "converted", "buy")
RATINGS = ("rating", "ratings", "stars", "score")
USERS = ("user", "userid", "uid", "customerid", "visitor", "visitorid", "memberid", "deviceid")
ITEMS = (
    "item", "itemid", "iid", "ad", "adid", "adgroup", "adgroupid", "movie", "movieid", "product", "productid", "sku",
    "article", "articleid", "news", "newsid", "video", "videoid", "goods", "goodsid", "creative", "creativeid",
)  # fmt: skip
CATEGORIES = ("category", "categoryid", "cate", "cateid", "cat", "catid", "genre", "genres", "topic")
TIMES = ("timestamp", "time", "ts", "datetime", "date", "eventtime", "clicktime", "createdat", "when")
_PAST = re.compile(r"his(t(ory)?)?|seq(uence)?|list|past|prev(ious)?|recent|click(ed)?|buy|bought|s")
_AMOUNT = re.compile(r"price|amount|cost|count|num|cnt|duration|length|score|ratio|rate|age|position")
_LARGEST_AS_SECONDS = (("s", 1e11), ("ms", 1e14), ("us", 1e17), ("ns", float("inf")))


@dataclass
class Proposal:
    """A mapping to begin with.

    Attributes:
        options: of the source `table`, those that differ from their defaults.
        reasons: option → why, as a phrase.
        left_out: columns that nothing is proposed for.
        rows: the first rows of the file (CSV: as text).
    """

    options: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    rows: pl.DataFrame = field(default_factory=pl.DataFrame)


def propose(path: Path) -> Proposal:
    """Propose options for a file.

    Raises:
        BadInputError: it cannot be read as a table.
    """
    rows, delimiter = read_head(path, ROWS)
    proposal = Proposal(rows=rows)
    if delimiter != TableOptions.model_fields["delimiter"].default and path.suffix.lower() != ".tsv":
        proposal.options["delimiter"] = delimiter
        proposal.reasons["delimiter"] = f"the header is parted by {delimiter!r}"
    columns = {name: _Column(rows[name]) for name in rows.columns}
    lists = {name: column for name, column in columns.items() if column.is_list}
    plain = {name: column for name, column in columns.items() if not column.is_list}

    def take(option: str, name: str | None, why: str) -> None:
        if name is not None:
            proposal.options[option], proposal.reasons[option] = name, why
            plain.pop(name, None)

    _label(plain, proposal, take)
    when = _named(plain, TIMES, lambda column: column.unit is not None or column.is_iso)
    if when is not None and (unit := plain[when].unit) not in (None, "s"):
        proposal.options["timestamp_unit"] = unit
        proposal.reasons["timestamp_unit"] = f"{when} is of the size of Unix {unit}"
    take("timestamp", when, "by its name, and its values are times")
    take("user", _named(plain, USERS), "by its name")
    take("item", _named(plain, ITEMS), "by its name")
    take("category", _named(plain, CATEGORIES), "by its name")
    _histories(lists, proposal)
    numeric = [name for name, column in plain.items() if column.is_amount]
    categorical = [name for name, column in plain.items() if not column.is_amount and not column.is_key]
    if numeric:
        proposal.options["numeric"], proposal.reasons["numeric"] = numeric, "fractions, or amounts by their name"
    if categorical:
        proposal.options["categorical"], proposal.reasons["categorical"] = categorical, "values that come back"
    used = {name for value in proposal.options.values() for name in (value if isinstance(value, list) else [value])}
    proposal.left_out = [name for name in columns if name not in used]
    return proposal


class _Column:
    """What the first values of a column look like."""

    def __init__(self, values: pl.Series):
        self.name = re.sub(r"[^a-z0-9]", "", values.name.lower())
        parts = re.split(r"[^A-Za-z0-9]+|(?<=[a-z])(?=[A-Z])", values.name)
        self.tokens = [part.lower() for part in parts if part]
        self.nested = values.dtype.is_nested() or values.dtype == pl.Duration
        present = values.drop_nulls()
        self.text = pl.Series(dtype=pl.String) if self.nested else present.cast(pl.String)
        self.size = len(present)
        numbers = self.text.cast(pl.Float64, strict=False)
        self.numbers = numbers if self.size and not numbers.null_count() else None
        self.temporal = values.dtype.is_temporal()
        self.distinct = self.text.n_unique()

    @property
    def separator(self) -> str:
        """What joins the ids of a list in text: of '^', '|' and ';', that of most values; '' for single values."""
        shares = {mark: float(self.text.str.contains(mark, literal=True).mean() or 0) for mark in "^|;"}  # type: ignore[arg-type]
        best = max(shares, key=lambda mark: shares[mark])
        needed = 0.2 if best == "^" or any(_PAST.fullmatch(token) for token in self.tokens) else 2
        return best if shares[best] >= needed else ""

    @property
    def is_list(self) -> bool:
        return self.nested or (self.size > 0 and self.numbers is None and self.separator != "")

    @property
    def is_binary(self) -> bool:
        return self.size > 0 and bool(
            self.text.str.to_lowercase().is_in(["0", "1", "0.0", "1.0", "true", "false"]).all()
        )

    @property
    def is_whole(self) -> bool:
        return self.numbers is not None and bool((self.numbers == self.numbers.round()).all())

    @property
    def is_amount(self) -> bool:
        if self.numbers is None:
            return False
        return not self.is_whole or any(_AMOUNT.fullmatch(token) for token in self.tokens)

    @property
    def is_key(self) -> bool:
        """Another value in every row: the number of the row, or free text."""
        return self.size == 0 or (self.size >= 20 and self.distinct == self.size)

    @property
    def unit(self) -> str | None:
        """Of a numeric time; None where the values cannot be Unix times since 1973."""
        if self.numbers is None or not self.size or float(self.numbers.min()) < 1e8:  # type: ignore[arg-type]
            return None
        return next(unit for unit, limit in _LARGEST_AS_SECONDS if float(self.numbers.max()) < limit)  # type: ignore[arg-type]

    @property
    def is_iso(self) -> bool:
        return self.temporal or (self.size > 0 and bool(self.text.str.contains(r"^\s*\d{4}-\d{2}-\d{2}").all()))


def _named(columns: dict[str, _Column], names: tuple[str, ...], suits: Any = lambda _column: True) -> str | None:
    """The column with the first of these names, among those that suit."""
    found = {column.name: name for name, column in reversed(columns.items()) if suits(column)}
    return next((found[name] for name in names if name in found), None)


def _label(plain: dict[str, _Column], proposal: Proposal, take: Any) -> None:
    label = _named(plain, LABELS, lambda column: column.is_binary)
    if label is not None:
        take("label", label, "by its name, and it holds 0 and 1")
        return
    rating = _named(plain, RATINGS, lambda column: column.numbers is not None)
    if rating is not None and float(plain[rating].numbers.max()) <= 5:  # type: ignore[union-attr, arg-type]
        proposal.options["positive_from"], proposal.reasons["positive_from"] = 4.0, "stars of one to five"
        take("label", rating, "by its name, and it holds ratings")
        return
    binary = [name for name, column in plain.items() if column.is_binary and column.distinct == 2]
    if len(binary) == 1:
        take("label", binary[0], "the only column of zeros and ones")


def _histories(lists: dict[str, _Column], proposal: Proposal) -> None:
    """Ready-made histories belong to the field whose name theirs holds: `item_history`, `cate_his`, `click_list`."""
    for option, target, names in (("history_item", "item", ITEMS), ("history_category", "category", CATEGORIES)):
        if target not in proposal.options:
            continue
        matching = [name for name, column in lists.items() if _core(column) in names]
        if not matching and target == "item":  # `click_history`: of items, if nothing else claims it
            matching = [name for name, column in lists.items() if _core(column) == ""]
        if matching:
            proposal.options[option] = matching[0]
            proposal.reasons[option] = f"lists, by their name of the {target}"
            separator = lists[matching[0]].separator
            if not lists[matching[0]].nested and separator not in ("", "^"):
                proposal.options["history_separator"] = separator
                proposal.reasons["history_separator"] = f"{matching[0]} is joined by {separator!r}"


def _core(column: _Column) -> str:
    """The name without the words that say it is a history."""
    return "".join(token for token in column.tokens if not _PAST.fullmatch(token))
