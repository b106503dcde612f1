"""Folders of reczoo/Datasets, on which BARS' leaderboards stand: parts given, columns as each set has them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import polars as pl
from pydantic import Field

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats import avazu, criteo
from mdaf_core.data.formats.base import RawTable, Size, Source, expect_files
from mdaf_core.data.formats.options import Implied, SplitKind, given_split, min_count, numeric_scaling
from mdaf_core.data.formats.parts import PartsOptions, files_of_parts, part_files
from mdaf_core.data.reading.files import count_lines, exists, header, is_folder, open_input, unpacked_size
from mdaf_core.data.reading.layout import Layout
from mdaf_core.data.reading.parts import Part, read_parts
from mdaf_core.data.reading.reczoo_sets import FILES, SETS, Published, by_columns
from mdaf_core.data.reading.table_file import TableFile
from mdaf_core.data.reading.table_files import TableFiles
from mdaf_core.data.reading.text import Text, read_text, shrink
from mdaf_core.data.reading.times import read_times
from mdaf_core.data.store.scaling import Transform
from mdaf_core.data.store.schema import EVALUATED, FieldSpec

BY_COLUMNS = "by columns"
_SET = Literal[
    "by columns", "Criteo_x1", "Criteo_x4", "Avazu_x1", "Avazu_x4", "Frappe_x1", "MovielensLatest_x1", "TaobaoAd_x1",
    "AmazonElectronics_x1", "KuaiVideo_x1", "MicroVideo1.7M_x1", "KKBox_x1",
]  # fmt: skip
_EXPECTED = "a folder (or .zip) of reczoo/Datasets, with train.csv, test.csv and, where it is published, valid.csv"
_WITH_LISTS: dict[str, Any] = {"with": {"history": ["given", "brand"]}}
_CUT = 100
"""Clicks of a user, the first ones, that KuaiVideo_x1's conversion script keeps of a list."""


class ReczooOptions(PartsOptions):
    """Options of `reczoo`."""

    dataset: _SET = Field(
        "by columns", description="Which published set it is; else the columns of the training file tell."
    )
    split: SplitKind = given_split(always=True)
    min_count: int = min_count(0, least=0, more=" 0: as BARS' settings of the set have it.")
    history: Literal["given", "brand", "none"] = Field(
        "given",
        description="given: the lists of the set, oldest first; of TaobaoAd_x1 those of categories. brand: of "
        "TaobaoAd_x1, those of brands in their place. none: no histories.",
    )
    newest: int = Field(
        100, ge=1, description="Events of a list that are kept, from its end.", json_schema_extra=_WITH_LISTS
    )
    numeric_scaling: Transform = numeric_scaling("standard")

    @classmethod
    def implied(cls, chosen: dict[str, Any]) -> dict[str, Implied]:
        known = SETS.get(chosen.get("dataset", ""))
        return super().implied(chosen) | ({"min_count": Implied(known.min_count, "dataset", False)} if known else {})

    def at(self, path: Path | None) -> Self:
        """With the set that is there, and its `min_count`."""
        if path is None:
            return self
        published = _set_of(_parts(path, self)[0].path, self)
        return self.model_copy(update={"dataset": published.name, "min_count": self.min_count or published.min_count})


def read(path: Path, options: ReczooOptions, progress: Progress) -> RawTable:
    """Read the files of a set."""
    parts = _parts(path, options)
    published = _set_of(parts[0].path, options)
    if published.name == "Avazu_x4":
        raw = avazu.read(path, _with_files(path, options), progress)
    elif published.quoted:
        raw = _whole(parts, published, options, progress)
    else:
        raw = _by_blocks(parts, published, options, progress)
    sums = {name: facts["md5"] for name, facts in raw.inputs.items()}
    raw.title = f"{published.name} of reczoo" + (", the published files" if sums == published.md5 else "")
    raw.label = published.label
    raw.notes = [*published.notes, *raw.notes]
    return raw


def _by_blocks(parts: list[Part], published: Published, options: ReczooOptions, progress: Progress) -> RawTable:
    """Files without quotes, block by block."""
    lists = _lists(published, options)

    def read_file(file: Path, stage: str, progress: Progress) -> Text:
        def keep(block: pl.DataFrame) -> pl.DataFrame:
            return shrink(block.select(*_columns(published, block.columns), *_split(published, lists, options.newest)))

        skip, layout = options.skip_bad_rows, _layout(file, published, options)
        return read_text(file, layout, skip_bad_rows=skip, progress=progress, keep=keep, stage=stage)

    text, inputs = read_parts(parts, read_file, progress)
    raw = _table(text.frame, published, lists)
    raw.inputs, raw.skipped_rows, raw.examples = inputs, text.skipped, text.examples
    raw.numeric_scaling = options.numeric_scaling
    return raw


def _whole(parts: list[Part], published: Published, options: ReczooOptions, progress: Progress) -> RawTable:
    """Files with free text, which may be quoted."""
    files = TableFiles([(split, TableFile(path, skip_bad_rows=options.skip_bad_rows)) for split, path in parts])
    progress(0.0, f"Reading {parts[0].path.name}")
    frame = files.read([name for name in files.columns() if name in published.columns])
    label = published.of("label")[0]
    odd = ~frame[label].is_in(["0", "1"]).fill_null(False) if label in frame.columns else pl.Series([False])
    if odd.any() and not options.new_rows:
        raise BadInputError(f"The field {label} must be 0 or 1.", *files.place(int(odd.arg_max() or 0)))
    rows, splits = frame.select(_columns(published, frame.columns)), files.splits()
    raw = _table(rows if splits is None else rows.with_columns(splits), published, {})
    raw.inputs, raw.skipped_rows, raw.examples = files.fingerprints(), files.ragged, {"skipped": files.examples}
    return raw


def _columns(published: Published, there: list[str]) -> Iterator[pl.Expr]:
    """The columns of rows, but for lists."""
    names = {"user": "user", "group": "user", "item": "item", "category": "category", "order": "timestamp"}
    for name, (part, _, _) in published.columns.items():
        values = pl.col(name)
        if part == "label":
            label = values if name in there else pl.lit(None, pl.String)
            yield label.cast(pl.Float64).cast(pl.Int8).alias("label")
        elif part in names or part in ("id", "code"):
            if published.name == "KKBox_x1":
                values = {"isrc": values.str.slice(0, 2), "bd": _age(values)}.get(name, values)
            yield values.alias(names.get(part, name))
        elif part == "number":
            yield values.cast(pl.Float32)
        elif part == "bucket":
            yield criteo.bucket(values).alias(name)


def _age(values: pl.Expr) -> pl.Expr:
    """The class of an age of 1 to 95: 1 up to 10 years, 2 up to 20, …, 7 from 61; else missing."""
    age = values.cast(pl.Float64, strict=False)
    return pl.when(age.is_between(1, 95)).then(((age / 10).ceil()).clip(1, 7).cast(pl.Int8))


def _lists(published: Published, options: ReczooOptions) -> dict[str, str]:
    """Column of ready-made lists → the field whose ids they hold."""
    if options.history == "none":
        return {}
    if options.history == "brand":
        return {"brand_his": "brand"}
    named = {"history_item": "item", "history_category": "category"}
    return {name: named[column.part] for name, column in published.columns.items() if column.part in named}


def _split(published: Published, lists: dict[str, str], newest: int) -> list[pl.Expr]:
    """Lists of ids, and whether there is something odd about those of a row."""
    made = []
    for name in lists:
        ids = pl.col(name).str.split("^").fill_null([])
        if published.columns[name].kind == "int":
            ids = ids.cast(pl.List(pl.Int32))
        made.append(ids.list.tail(newest).alias(name))
    if lists and published.name in _ODD:
        made.append(_ODD[published.name].alias("odd"))
    return made


def _length(name: str) -> pl.Expr:
    return pl.when(pl.col(name).is_null()).then(0).otherwise(pl.col(name).str.count_matches("^", literal=True) + 1)


_ODD = {
    "TaobaoAd_x1": (_length("btag_his") != _length("cate_his")) | (_length("cate_his") != _length("brand_his")),
    "KuaiVideo_x1": _length("pos_items") >= _CUT,
}


def _words(published: Published, frame: pl.DataFrame) -> list[str]:
    """Sentences on the lists of these rows."""
    count = f"{frame['odd'].sum() if 'odd' in frame.columns else 0:,} of {len(frame):,} rows"
    if published.name == "TaobaoAd_x1":
        return [
            f"btag_his, cate_his and brand_his are not equally long in {count}: zeros were stripped from each by "
            "itself, so that nothing says which brand belongs to which category. One of the lists is read."
        ]
    if published.name == "KuaiVideo_x1":
        return [
            f"pos_items is full ({_CUT} clicks) in {count}: the conversion script keeps the first {_CUT} clicks of a "
            "user, so that there it lacks the newest ones before the row."
        ]
    if published.name.startswith("MicroVideo") and frame["timestamp"].cast(pl.String).str.len_bytes().n_unique() > 1:
        return [
            "The conversion script put clicks in the order of their timestamps as texts; these are not equally long, "
            "so that 10 comes before 9: lists are not in order of time."
        ]
    return []


def _table(frame: pl.DataFrame, published: Published, lists: dict[str, str]) -> RawTable:
    """Rows, fields and events of what was read."""
    notes = _words(published, frame) if lists else []
    if {-1, 0} <= set(frame["label"].unique()):
        raise UsageError("Labels are 1, 0 and -1, of which -1 and 0 both say no: write one of them.")
    frame = frame.drop("odd", strict=False)
    if -1 in frame["label"]:  # a new column would copy the others
        frame = frame.with_columns(pl.col("label").replace(-1, 0))
    if "timestamp" in frame.columns and not frame["timestamp"].dtype.is_integer():
        found = read_times(frame["timestamp"], unit="order", format=None, timezone="UTC")
        if found.values.is_null().any():
            raise UsageError("The timestamp must be a number in every row: correct the files.")
        frame = frame.with_columns(found.values.alias("timestamp"))
    events = None
    if lists:
        events = frame.select(list(lists)).with_row_index("row").filter(pl.col(next(iter(lists))).list.len() > 0)
        frame, events = frame.drop(list(lists)), events.explode(list(lists)).rename(lists)
    buckets, codes = published.of("bucket"), published.of("code")
    return RawTable(
        rows=frame,
        fields=_fields(published),
        history_fields=list(lists.values()),
        events=events,
        as_text=dict.fromkeys(buckets, criteo.bucket_text) | dict.fromkeys(codes, criteo.hex_text),
        titles=dict.fromkeys(buckets, criteo.bucket_titles()) if buckets else {},
        calendar="timestamp" not in frame.columns,
        notes=notes,
    )


def _fields(published: Published) -> list[FieldSpec]:
    roles: dict[str, Any] = {"user": "user", "item": "item", "category": "category"}
    found = [
        FieldSpec(name=part, role=roles[part], description=f"Column {name}")
        if part in roles
        else FieldSpec(name=name, kind="numeric" if part == "number" else "categorical", description=_says(part))
        for name, (part, _, _) in published.columns.items()
        if part in roles or part in ("id", "code", "number", "bucket")
    ]
    return sorted(found, key=lambda spec: ["item", "category", "user", "context"].index(spec.role))


def _says(part: str) -> str:
    return {"number": "Number", "bucket": "Count, in buckets", "code": "Hashed id"}.get(part, "Id")


def _layout(file: Path, published: Published, options: ReczooOptions) -> Layout:
    """How a file is written, its columns in its own order."""
    names = header(file)
    expected = f"{published.name} of reczoo, with the header {','.join(names)}"
    layout = Layout(tuple(map(published.layout_column, names)), header=True, rule=_rule(published), expected=expected)
    return layout.with_optional(*published.of("label")) if options.new_rows else layout


def _rule(published: Published) -> tuple[pl.Expr, str] | None:
    """What must hold of lists."""
    lists = published.of("history_item", "history_category", "other_history")
    if not lists:
        return None
    sound = []
    for name in lists:
        one = r"-?\d+" if published.columns[name].kind == "int" else r"[^^]+"
        sound.append(pl.col(name).str.contains(rf"^{one}(\^{one})*$").fill_null(True))
    pair = published.of("history_item", "history_category")
    if len(pair) == 2:
        sound.append(_length(pair[0]) == _length(pair[1]))
    return pl.all_horizontal(sound), (
        f"The field {lists[0]} must be ids joined by ^, or empty"
        if len(lists) == 1
        else f"The fields {', '.join(lists)} must be ids joined by ^, or empty"
        + (f"; {pair[0]} and {pair[1]} equally long" if len(pair) == 2 else "")
    )


def _parts(path: Path, options: ReczooOptions) -> list[Part]:
    """The files there are: those of the folder by their published names, unless options name others."""
    return part_files(path, _with_files(path, options), "train.csv")


def _with_files(path: Path, options: ReczooOptions) -> ReczooOptions:
    """The options with the folder's files of the other parts."""
    if options.new_rows or not (is_folder(path) or path.name.startswith("train.csv")):
        return options
    folder = path if is_folder(path) else path.parent
    if is_folder(path) and not options.train_path:
        expect_files(path, ["train.csv"], _EXPECTED)
    named = {f"{split}_path": folder / FILES[split] for split in EVALUATED}
    there = {name: str(file) for name, file in named.items() if not getattr(options, name) and exists(file)}
    return options.model_copy(update=there)


def _labels() -> set[str]:
    return {name for one in SETS.values() for name in one.of("label")}


def _set_of(file: Path, options: ReczooOptions) -> Published:
    """The set of a file.

    Raises:
        BadInputError: its columns are those of none, or not those of the one that the options say.
    """
    names = header(file)
    there = {*names, *_labels()} if options.new_rows else set(names)
    published = by_columns(there) if options.dataset == BY_COLUMNS else SETS[options.dataset]
    missing = [] if published is None else [name for name in published.columns if name not in there]
    if published is None or missing:
        what = f"lacks the column {missing[0]} of {published.name}" if published and missing else "is of no known set"
        raise BadInputError(
            f"This file {what}. It has {', '.join(names[:40])}. Known: {', '.join(SETS)}; the source 'table' reads "
            "others.",
            file,
        )
    return published


def _check(path: Path, options: ReczooOptions) -> None:
    """Refuse files that lack a column, parts that are not there, and lists that the set does not have."""
    parts = _parts(path, options)
    published, *_ = [_set_of(file, options) for _, file in parts]
    if options.history == "brand" and published.name != "TaobaoAd_x1":
        raise UsageError(f"history=brand is for TaobaoAd_x1; {published.name} has no list of brands.")
    if options.split == "given" and not options.new_rows and parts[-1].split != "test":
        how = "its order" if published.of("order") else "the order of the file, as its rows carry no time"
        raise BadInputError(
            f"There is no test.csv beside it, so that no part of {published.name} is given: take the whole folder, or "
            f"set split=time, which goes by {how}.",
            path,
        )


def _size(path: Path, options: ReczooOptions) -> Size:
    parts = _parts(path, options)
    published = _set_of(parts[0].path, options)
    rows = sum(max(1, count_lines(file) - 1) for _, file in parts)
    if published.quoted:  # read whole, as a table is: see `table`
        used = len(published.columns)
        held = 20 * used + 2 * max(unpacked_size(file) for _, file in parts) / rows
        return Size(lines=rows, read=0, rows=rows, events=0, fields=used, history_fields=0, held=held)
    lists = _lists(published, options)
    events = round(rows * _events_a_row(parts[0].path, next(iter(lists)), options.newest)) if lists else 0
    widths = {"int": 4, "float": 4, "hex": 4, "text": 24}
    read = sum(widths[published.layout_column(name).kind] for name in published.columns) + 24 * events / rows
    fields = len(_fields(published)) + (2 if published.name == "Avazu_x4" else 0)
    return Size(
        lines=rows, read=read, rows=rows, events=events, fields=fields, history_fields=len(lists),
        held=_AUDITED + (_HELD[published.columns[next(iter(lists))].kind] * events / rows if lists else 0),
    )  # fmt: skip


_AUDITED = 25
"""Bytes a row that the audit holds of numbers and ids, as measured on 33 million rows of Criteo_x1."""
_HELD = {"int": 20, "text": 60}
"""Bytes an event of ready-made lists takes while they are put one after another."""


def _events_a_row(file: Path, column: str, newest: int) -> float:
    """By the file's beginning."""
    at = header(file).index(column)
    with open_input(file) as opened:
        lines = opened.read(1 << 20).decode("utf-8", "replace").splitlines()[1:-1]
    values = [line.split(",")[at] for line in lines if line.count(",") >= at]
    return sum(min(newest, value.count("^") + 1) for value in values if value) / max(1, len(values))


SOURCE = Source(
    name="reczoo",
    title="reczoo's folders, on which BARS' leaderboards stand: Criteo_x1, Frappe_x1, KuaiVideo_x1 and eight others",
    path_help=_EXPECTED,
    options=ReczooOptions,
    read=read,
    default_name=lambda _path, options: f"reczoo-{options.dataset.replace('_', '-')}",
    files=lambda path, options: files_of_parts(_parts(path, options)),
    size=_size,
    check=_check,
    sums=lambda _path, options: SETS[options.dataset].md5 if options.dataset in SETS else {},
    numbers=lambda options: criteo.NUMERIC if options.dataset == "Criteo_x4" else (),
    from_numbers=criteo.SOURCE.from_numbers,
    is_own=lambda file: by_columns({*header(file), *_labels()}) is not None,
    place=45,
)
