"""Ali-CCP (Tianchi data set 408): impressions of Taobao's recommendations, clicked or not, bought or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, Self, get_args

import polars as pl
from pydantic import Field, model_validator

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import RawTable, Size, Source
from mdaf_core.data.formats.options import SourceOptions, SplitKind, given_split, numeric_scaling
from mdaf_core.data.reading.described import positions, undescribed
from mdaf_core.data.reading.files import count_lines, exists, find, is_folder
from mdaf_core.data.reading.layout import Column, Layout
from mdaf_core.data.reading.parts import Part, read_parts
from mdaf_core.data.reading.text import Text, read_text, shrink
from mdaf_core.data.store.scaling import Transform
from mdaf_core.data.store.schema import FieldSpec

ROWS, COMMON = "sample_skeleton_{}.csv", "common_features_{}.csv"
EXPECTED = f"the folder with {ROWS.format('train')} and {COMMON.format('train')}, and those of the test part"

Single = Literal[
    "profile", "group", "gender", "age", "consumption_1", "consumption_2", "occupation", "geography", "shop", "brand",
    "position", "intention", "category_match", "shop_match", "brand_match", "intention_match",
]  # fmt: skip
Listed = Literal["past_categories", "past_shops", "past_brands", "past_intentions", "intention", "intention_match"]
Valued = Literal["category_match", "shop_match", "brand_match", "intention_match"]


class _Feature(NamedTuple):
    """Its id in the files, whether it is in the file of the users, and what it is."""

    id: str
    common: bool
    words: str


_FEATURES = {
    "user": _Feature("101", True, "User"),
    "profile": _Feature("121", True, "Profile of the user"),
    "group": _Feature("122", True, "Group of the user's profile"),
    "gender": _Feature("124", True, "Gender of the user"),
    "age": _Feature("125", True, "Age of the user"),
    "consumption_1": _Feature("126", True, "Consumption level of the user, first kind"),
    "consumption_2": _Feature("127", True, "Consumption level of the user, second kind"),
    "occupation": _Feature("128", True, "Whether the user works"),
    "geography": _Feature("129", True, "Where the user lives"),
    "past_categories": _Feature("109_14", True, "Category the user turned to before"),
    "past_shops": _Feature("110_14", True, "Shop the user turned to before"),
    "past_brands": _Feature("127_14", True, "Brand the user turned to before"),
    "past_intentions": _Feature("150_14", True, "Intention node the user turned to before"),
    "item": _Feature("205", False, "Item"),
    "category": _Feature("206", False, "Category of the item"),
    "shop": _Feature("207", False, "Shop of the item"),
    "intention": _Feature("210", False, "Intention node of the item"),
    "brand": _Feature("216", False, "Brand of the item"),
    "category_match": _Feature("508", False, "Item's category among the user's past ones"),
    "shop_match": _Feature("509", False, "Item's shop among the user's past ones"),
    "brand_match": _Feature("702", False, "Item's brand among the user's past ones"),
    "intention_match": _Feature("853", False, "Item's intention node among the user's past ones"),
    "position": _Feature("301", False, "Place on the page"),
}
_ALWAYS = ("item", "category", "user")
_ONE = r"[0-9A-Za-z_]+\x02[0-9]+\x03[-+.0-9eE]+"
_LIST = (
    rf"{_ONE}(\x01{_ONE})*",
    r"field, \x02, feature, \x03, value, joined by \x01",
)
_IMPRESSIONS = Layout(
    (
        Column("sample", "text"),
        Column("click", "text", choices=("0", "1")),
        Column("conversion", "text", choices=("0", "1")),
        Column("index", "text"),
        Column("features", "int"),
        Column("list of features", "text", like=_LIST),
    ),
    expected="sample_skeleton_train.csv of Ali-CCP: sample, click, conversion, index of common features, number of "
    "features, features, without a header",
)
_USERS = Layout(
    (Column("index", "text"), Column("features", "int"), Column("list of features", "text", like=_LIST)),
    expected="common_features_train.csv of Ali-CCP: index, number of features, features, without a header",
)


class AliCcpOptions(SourceOptions):
    """Options of `ali-ccp`."""

    split: SplitKind = given_split()
    label: Literal["click", "conversion"] = Field(
        "click",
        description="click: of all impressions. conversion: whether a click led to a purchase, of clicks alone.",
    )
    without_click: Literal["drop", "keep"] = Field(
        "drop",
        description="Impressions with a purchase and no click, which cannot be and which published work leaves out: "
        "leave them out, or keep them as not clicked. They are counted.",
        json_schema_extra={"with": {"label": ["click"]}},
    )
    fields: list[Single] = Field(
        [name for name in get_args(Single) if name != "intention"],
        description="Inputs beside item, category and user. Of a field that has several ids in a row (intention, "
        "intention_match) the one with the largest value is taken.",
    )
    lists: list[Listed] = Field(
        [], description="Fields that are lists of ids with values, of which the list_ids largest become inputs each."
    )
    list_ids: int = Field(3, ge=1, le=20, description="Ids taken of each of the lists, those with the largest values.")
    values: list[Valued] = Field([], description="Fields whose value is an input too, as a number.")
    numeric_scaling: Transform = numeric_scaling("standard")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        both = sorted(set(self.fields) & set(self.lists))
        if both:
            raise ValueError(f"{both[0]} is in fields and in lists: take one of them")
        return self


def read(path: Path, options: AliCcpOptions, progress: Progress) -> RawTable:
    """Read the parts: of each the impressions, and the users' features, which impressions name by an index."""
    parts, counted = _parts(path, options), Counter[str]()
    names = [*_ALWAYS, *options.fields, *options.lists]

    def text_of(layout: Layout, file: Path, stage: str, share: Progress) -> Text:
        own = Counter[str]()
        text = read_text(
            file,
            layout,
            skip_bad_rows=options.skip_bad_rows,
            progress=share,
            keep=lambda block: _keep(block, names, options, own),
            counted=own,
            stage=stage,
        )
        counted.update(text.counted)
        return text

    half, users = 0.5 / len(parts), []
    for i, part in enumerate(parts):

        def share(done: float, words: str, first: float = i * half) -> None:
            progress(first + done * half, words)

        users.append(text_of(_USERS, part.path.parent / part.path.name.replace(*_OTHER), f"users-{i}", share))
    notes: list[str] = []

    def impressions(file: Path, stage: str, share: Progress) -> Text:
        at = [part.path for part in parts].index(file)
        text = text_of(_layout(options), file, stage, lambda done, words: share(0.5 + done / 2, words))
        own, first = users[at].frame, sum(len(one.frame) for one in users[:at])
        place = positions(text.frame["index"], own["index"], file.parent / users[at].name)
        notes.extend(undescribed(users[at].name, "index", text.frame["index"], place))
        text.frame = text.frame.drop("index").with_columns((place + first).alias("user's place"))
        return text

    text, inputs = read_parts(parts, impressions, progress)
    place, about = text.frame["user's place"], pl.concat([one.frame for one in users]).drop("index")
    rows = text.frame.drop("user's place").with_columns(_small(values).gather(place) for values in about)
    if rows.is_empty():
        raise BadInputError(f"No impression is left that has a {options.label}: take label=click.", parts[0].path)
    if counted["without click"] and options.label == "click":
        verb = "left out, as in published work" if options.without_click == "drop" else "kept as not clicked"
        notes.append(f"{counted['without click']:,} impressions have a purchase and no click: they were {verb}.")
    for name in names:
        if counted[name] and name not in options.lists:
            notes.append(
                f"{name} ({_FEATURES[name].id}) has several ids in {counted[name]:,} lines: the one with the largest "
                f"value was taken; lists={name} takes {options.list_ids} of them."
            )
    inputs |= {one.name: one.fingerprint for one in users}
    return RawTable(
        rows=rows,
        fields=list(_fields(options)),
        title=f"Ali-CCP, {options.label}s",
        label=_LABELS[options.label],
        numeric_scaling=options.numeric_scaling,
        inputs=inputs,
        skipped_rows=text.skipped + sum(one.skipped for one in users),
        examples=text.examples,
        notes=notes,
    )


_OTHER = ("sample_skeleton_", "common_features_")
_LABELS = {
    "click": "clicked (0: shown and not clicked)",
    "conversion": "bought after the click (0: clicked and not bought)",
}


def _keep(block: pl.DataFrame, names: Sequence[str], options: AliCcpOptions, counted: Counter[str]) -> pl.DataFrame:
    """Of a block of either file: index, label where there is one, and the columns of these features."""
    made = [pl.col("index").cast(pl.Categorical)]
    impressions = "click" in block.columns
    if impressions:
        clicked, odd = pl.col("click") == "1", (pl.col("click") == "0") & (pl.col("conversion") == "1")
        counted["without click"] += int(block.select(odd.sum()).item())
        made.append((pl.col(options.label) == "1").cast(pl.UInt8).alias("label"))
        if options.label == "conversion" and not options.new_rows:
            block = block.filter(clicked)
        elif options.without_click == "drop" and not options.new_rows:
            block = block.filter(~odd)
    own = [name for name in names if _FEATURES[name].common != impressions]
    return shrink(block.select(made).with_columns(_picked(block["list of features"], own, options, counted)))


def _picked(
    features: pl.Series, names: Sequence[str], options: AliCcpOptions, counted: Counter[str]
) -> list[pl.Series]:
    """(N,) columns of these features: the id with the largest value (`name_1` to `name_n` of lists), and the value."""
    wanted = "|".join(_FEATURES[name].id for name in names)
    found = features.alias("found").to_frame().with_row_index("row")
    found = found.with_columns(pl.col("found").str.extract_all(rf"(^|\x01)({wanted})\x02[^\x03]+\x03[^\x01]+"))
    parts = pl.col("found").str.strip_chars_start("\x01").str.split_exact("\x02", 1)
    found = found.explode("found").drop_nulls().select("row", parts.struct.rename_fields(["id", "feature"]))
    by_id = found.unnest("found").partition_by("id", as_dict=True, include_key=False)
    columns = []
    for name in names:
        own = by_id.get((_FEATURES[name].id,), pl.DataFrame(schema={"row": pl.UInt32, "feature": pl.String}))
        own = own.with_columns(pl.col("feature").str.split_exact("\x03", 1).struct.rename_fields(["feature", "value"]))
        own = own.unnest("feature").with_columns(pl.col("feature").cast(pl.Int64), pl.col("value").cast(pl.Float64))
        repeats = (own["row"].diff() == 0).any()
        if repeats:
            own = own.sort("row", "value", descending=[False, True], maintain_order=True)
        own = own.with_columns(nth=pl.int_range(pl.len()).over("row") if repeats else pl.lit(0))
        counted[name] += int((own["nth"] == 1).sum())

        def nth(n: int, column: str, name: str, own: pl.DataFrame = own) -> pl.Series:
            chosen = own.filter(pl.col("nth") == n)
            empty = pl.Series(name, [None], own.schema[column]).new_from_index(0, len(features))
            return empty.scatter(chosen["row"], chosen[column])

        if name in options.lists:
            columns += [nth(n, "feature", f"{name}_{n + 1}") for n in range(options.list_ids)]
        else:
            columns.append(nth(0, "feature", name))
        if name in options.values:
            columns.append(nth(0, "value", f"{name}_value"))
    return columns


def _small(values: pl.Series) -> pl.Series:
    """Ids of few different values in a byte each: there are many more impressions than users."""
    distinct = values.unique().drop_nulls().cast(pl.String).sort()
    return values.cast(pl.String).cast(pl.Enum(distinct)) if len(distinct) < 255 else values


def _fields(options: AliCcpOptions) -> Iterator[FieldSpec]:
    roles: dict[str, Literal["item", "category", "user"]] = {"item": "item", "category": "category", "user": "user"}
    for name in (*_ALWAYS, *options.fields):
        yield FieldSpec(name=name, role=roles.get(name, "context"), description=_FEATURES[name].words)
    for name in options.lists:
        words = _FEATURES[name].words
        yield from (FieldSpec(name=f"{name}_{n}", description=words) for n in range(1, options.list_ids + 1))
    for name in options.values:
        yield FieldSpec(name=f"{name}_value", kind="numeric", description=_FEATURES[name].words)


def _layout(options: AliCcpOptions) -> Layout:
    return _IMPRESSIONS.with_optional("click", "conversion") if options.new_rows else _IMPRESSIONS


def _parts(path: Path, options: AliCcpOptions) -> list[Part]:
    """The files of impressions, each beside that of its users; as the archives unpack, and one below the other.

    Raises:
        BadInputError: there is none, or one without its users.
    """
    folder = path if is_folder(path) else path.parent
    if options.new_rows and folder != path:  # this file alone
        if not path.name.startswith(_OTHER[0]) or not exists(folder / path.name.replace(*_OTHER)):
            raise BadInputError(
                f"New rows are a file {ROWS.format('…')} beside its {COMMON.format('…')}: name and place it so.", path
            )
        return [Part(None, path)]
    parts = []
    for part in ("train", "test"):
        places = [folder, folder / f"sample_{part}", folder / f"sample_{part}.tar.gz", folder / part]
        found = next((place for place in places if exists(place / ROWS.format(part))), None)
        if found is not None:
            if not exists(found / COMMON.format(part)):
                raise BadInputError(f"There is no {COMMON.format(part)} beside {ROWS.format(part)}.", found)
            parts.append(Part("train" if part == "train" else "test", found / ROWS.format(part)))
    if not parts:
        raise BadInputError(f"There is no {ROWS.format('train')} here; expected {EXPECTED}.", path)
    return parts if len(parts) == 2 else [Part(None, parts[0].path)]


def _check(path: Path, options: AliCcpOptions) -> None:
    _parts(path, options)


def _files(path: Path, options: AliCcpOptions) -> list[Path]:
    return [
        find(Path(str(part.path).replace(*names))).file
        for part in _parts(path, options)
        for names in (("", ""), _OTHER)
    ]


def _size(path: Path, options: AliCcpOptions) -> Size:
    rows = sum(count_lines(part.path) for part in _parts(path, options))
    names = [*_ALWAYS, *options.fields, *(name for name in options.lists for _ in range(options.list_ids))]
    of_users = sum(_FEATURES[name].common for name in names)
    read = 5 + 4 * (len(names) - of_users)
    held = 14 + of_users + 250_000_000 / rows  # what a block of lists of features becomes, however many rows there are
    return Size(rows, read, rows, 0, fields=len(names) + len(options.values), history_fields=0, held=held)


SOURCE = Source(
    name="ali-ccp",
    title="Ali-CCP: impressions of recommendations, clicked and bought",
    path_help=EXPECTED,
    options=AliCcpOptions,
    read=read,
    default_name=lambda _path, options: f"ali-ccp-{options.label}",
    files=_files,
    size=_size,
    check=_check,
    place=32,
)
