"""EB-NeRD, the Ekstra Bladet news data set: page views with the articles in view, click histories, the articles."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import polars as pl
from pydantic import Field, field_validator

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import (
    RawTable,
    Size,
    Source,
    expect_files,
    id_fields,
)
from mdaf_core.data.formats.options import SourceOptions, SplitKind, given_split
from mdaf_core.data.reading.blocks import fingerprint_file
from mdaf_core.data.reading.described import positions, undescribed
from mdaf_core.data.reading.files import exists, find
from mdaf_core.data.reading.parts import Part, part_folders, with_part
from mdaf_core.data.reading.table_file import TableFile, values_of
from mdaf_core.data.store.schema import TICKS, FieldSpec, TimeUnit

ROWS, HISTORY, ARTICLES = "behaviors.parquet", "history.parquet", "articles.parquet"
EXPECTED = f"the folder with {ARTICLES} and the folders train and validation, each with {ROWS} and {HISTORY}"
_IN_VIEW, _CLICKED = "article_ids_inview", "article_ids_clicked"
_LATE = dict.fromkeys(("read_time", "scroll_percentage"), "of the page that is open, known only when it is left")
_LATE |= dict.fromkeys(("next_read_time", "next_scroll_percentage"), "of what was clicked, known only after the click")
_LATE |= dict.fromkeys(
    ("total_inviews", "total_pageviews", "total_read_time"), "of the week after the article was published"
)
"""Columns that are no inputs, and why."""

ContextField = Literal["device_type", "is_sso_user", "is_subscriber", "gender", "postcode", "age", "page"]
ArticleField = Literal["article_type", "premium", "sentiment_label"]
_WORDS: dict[str, str] = {
    "device_type": "Device",
    "is_sso_user": "Whether the user was logged in",
    "is_subscriber": "Whether the user subscribed when the data set was made",
    "gender": "Gender of the user",
    "postcode": "Kind of district the user lives in",
    "age": "Age of the user, in tens",
    "page": "Article that the page shows; missing on the front page",
    "article_type": "Type of the article",
    "premium": "Whether the article is for subscribers",
    "sentiment_label": "Sentiment of the article",
}
_TITLES: dict[str, dict[str, str]] = {
    "device_type": {"0": "unknown", "1": "desktop", "2": "mobile", "3": "tablet"},
    "gender": {"0": "male", "1": "female"},
    "postcode": {
        "0": "metropolitan", "1": "rural district", "2": "municipality", "3": "provincial", "4": "big city"
    },
}  # fmt: skip


class EbnerdOptions(SourceOptions):
    """Options of `ebnerd`."""

    split: SplitKind = given_split()
    history: Literal["fixed", "all"] = Field(
        "fixed",
        description="fixed: a row's history is what history.parquet of its own part holds of the user, as published: "
        "clicks before that part's week. all: the clicks of all parts' files that are earlier than the row.",
    )
    context: list[ContextField] = Field(
        ["device_type", "is_sso_user", "gender", "postcode", "age"],
        description="Inputs of the page view: those, is_subscriber (as of when the data set was made, so known late) "
        "and page (the article that is open, null on the front page; not the one to be predicted).",
    )
    article_fields: list[ArticleField] = Field(
        ["article_type", "premium"],
        description="Further inputs of the article. Its total_inviews, total_pageviews and total_read_time are of the "
        "week after it was published, and none.",
    )

    @field_validator("context", "article_fields", mode="before")
    @classmethod
    def _refuse_what_is_known_later(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value if isinstance(value, list) else []
        late = next((name for name in (str(one).strip() for one in names) if name in _LATE), None)
        if late is not None:
            raise ValueError(f"{late} is {_LATE[late]}: it is no input")
        return value


def read(path: Path, options: EbnerdOptions, progress: Progress) -> RawTable:
    """Read a part, or the folder that holds the parts."""
    parts, notes = _parts(path, options)
    inputs: dict[str, dict[str, Any]] = {}
    shown: list[pl.DataFrame] = []
    past: list[pl.DataFrame] = []
    for i, (split, folder) in enumerate(parts):
        progress(i / (len(parts) + 1), f"Reading {folder.name}")
        clicks = _clicks(folder)
        rows, said = _in_view(folder, options, clicks, first=sum(map(len, past)))
        shown.append(with_part(rows, split))
        past.append(clicks)
        notes += said
        for name in (ROWS, HISTORY):
            inputs[f"{folder.name}/{name}" if split else name] = fingerprint_file(folder / name)
    articles_file = _articles_file(path, parts)
    articles = TableFile(articles_file).read(["article_id", "title", "category_str", *options.article_fields])
    inputs[ARTICLES] = fingerprint_file(articles_file)

    progress(len(parts) / (len(parts) + 1), "Putting rows together")
    histories = pl.concat(past)
    rows = pl.concat(shown).with_columns(pl.col("history").fill_null(len(histories)))
    events = histories.with_row_index("history").filter(pl.col("item").list.len() > 0).explode("timestamp", "item")
    if options.history == "all":
        events, rows = events.drop("history").unique(maintain_order=True), rows.drop("history")
    else:
        events = events.drop("user")
    unit = _unit(rows["timestamp"], events["timestamp"])
    rows, events = (frame.with_columns(pl.col("timestamp") // (1_000_000 // TICKS[unit])) for frame in (rows, events))
    rows, place = _described(rows, articles, options.article_fields, articles_file)
    notes += undescribed(ARTICLES, "article", rows["item"], place)
    events, _ = _described(events, articles, [], articles_file)
    inputs_of_rows = [*options.context, *options.article_fields]
    return RawTable(
        rows=rows,
        fields=[
            *id_fields("Article in view", "Category of the article"),
            *(FieldSpec(name=name, description=_WORDS[name]) for name in inputs_of_rows),
        ],
        history_fields=["item", "category"],
        events=events,
        titles=_titles(articles, options),
        title="EB-NeRD, histories " + ("before the week" if options.history == "fixed" else "up to the page view"),
        label="clicked (0: in view on the same page and not clicked)",
        time_unit=unit,
        timezone="UTC",
        timezone_assumed=True,
        inputs=inputs,
        notes=notes,
    ).with_calendar()


def _clicks(folder: Path) -> pl.DataFrame:
    """A user a row: user, and lists: timestamp (microseconds) and item, oldest first.

    Raises:
        BadInputError: the lists are none, or of unequal length, or hold nothing known.
    """
    path = folder / HISTORY
    frame = TableFile(path).read(["user_id", "impression_time_fixed", "article_id_fixed"])
    _expect(frame, "impression_time_fixed", pl.List(pl.Datetime), "lists of times", path)
    _expect(frame, "article_id_fixed", pl.List(pl.Int64), "lists of article ids", path)
    frame = frame.select(
        user="user_id",
        timestamp=pl.col("impression_time_fixed").list.eval(pl.element().dt.epoch("us")).fill_null([]),
        item=pl.col("article_id_fixed").fill_null([]),
    )
    uneven = frame.filter(
        (pl.col("timestamp").list.len() != pl.col("item").list.len())
        | pl.col("timestamp").list.eval(pl.element().is_null()).list.any()
        | pl.col("item").list.eval(pl.element().is_null()).list.any()
    )
    if len(uneven):
        raise BadInputError(
            f"The history of user {uneven['user'][0]} (and of {len(uneven) - 1:,} others) has times without an "
            "article, or articles without a time: take the file as published.",
            path,
        )
    return frame


def _in_view(folder: Path, options: EbnerdOptions, clicks: pl.DataFrame, first: int) -> tuple[pl.DataFrame, list[str]]:
    """A row an article in view, with `history`, where its user stands among all histories (`first`: where those of this
    part begin); and sentences on what is odd."""
    path = folder / ROWS
    file, columns = TableFile(path), {"page": "article_id"}
    read = dict.fromkeys([columns.get(name, name) for name in options.context])
    labelled = not options.new_rows or _CLICKED in file.columns()
    views = file.read(["impression_id", "user_id", "impression_time", _IN_VIEW, *[_CLICKED] * labelled, *read])
    _expect(views, "impression_time", pl.Datetime, "times", path)
    for name in (_IN_VIEW, *[_CLICKED] * labelled):
        _expect(views, name, pl.List(pl.Int64), "lists of article ids", path)
    views = views.with_row_index("view").with_columns(
        pl.col("impression_time").dt.epoch("us").alias("timestamp"),
        *(pl.col(columns.get(name, name)).cast(pl.Int32).alias(name) for name in options.context),
        history=positions(views["user_id"], clicks["user"].alias("user"), folder / HISTORY) + first,
    )
    rows = (
        views.filter(pl.col(_IN_VIEW).list.len() > 0)
        .select(
            "view", "timestamp", "history", *options.context,
            user="user_id", item=_IN_VIEW, impression="impression_id",
        )
        .explode("item")
    )  # fmt: skip
    notes = []
    label = pl.Series("label", [None], pl.UInt8).new_from_index(0, len(rows))
    if labelled:
        clicked = _pairs(views.select("view", item=_CLICKED).explode("item").drop_nulls())
        label = _pairs(rows).is_in(clicked.implode()).cast(pl.UInt8).alias("label")
        unseen = clicked.n_unique() - int(label.sum())
        if unseen > 0:
            notes.append(f"{folder.name}: {unseen:,} clicked articles are not among those in view: they are no rows.")
    late = clicks.select(late=pl.col("timestamp").list.max() >= views["timestamp"].min())["late"].sum()
    if late:
        notes.append(
            f"{folder.name}: the histories of {late:,} users go on after the part's first page view, while published "
            "ones end before its week: each row reads what is earlier than itself."
        )
    return rows.drop("view").with_columns(label), notes


def _pairs(frame: pl.DataFrame) -> pl.Series:
    """(N,) view and item as one number."""
    return frame.select(pl.col("view").cast(pl.Int64) * 2**32 + pl.col("item").cast(pl.Int64)).to_series()


def _expect(frame: pl.DataFrame, name: str, dtype: Any, words: str, path: Path) -> None:
    found = frame.schema[name]
    wanted, inner = (dtype.inner, getattr(found, "inner", None)) if isinstance(dtype, pl.List) else (dtype, found)
    if inner is None or not (inner.is_integer() if wanted == pl.Int64 else isinstance(inner, pl.Datetime)):
        raise BadInputError(
            f"The column {name!r} must hold {words}, it holds {found}: take the file as published.", path
        )


def _described(
    frame: pl.DataFrame, articles: pl.DataFrame, fields: Sequence[str], path: Path
) -> tuple[pl.DataFrame, pl.Series]:
    """With the category, and these fields, of each item; and where it stands among the articles (null: nowhere)."""
    place = positions(frame["item"], articles["article_id"], path)
    words = articles.select(pl.col("category_str").alias("category"), *fields).select(
        pl.all().cast(pl.String).cast(pl.Categorical)
    )
    return frame.with_columns(words[name].gather(place).alias(name) for name in words.columns), place


def _unit(*times: pl.Series) -> TimeUnit:
    """The coarsest unit that keeps these microseconds apart."""
    return next((u for u in TICKS if all((t % (1_000_000 // TICKS[u]) == 0).all() for t in times)), "us")


def _titles(articles: pl.DataFrame, options: EbnerdOptions) -> dict[str, pl.DataFrame]:
    titles = {"item": articles.select(pl.col("article_id").alias("id"), "title")}
    for name in (name for name in options.context if name in _TITLES):
        titles[name] = pl.DataFrame({"id": list(_TITLES[name]), "title": list(_TITLES[name].values())})
    return titles


def _articles_file(path: Path, parts: list[Part]) -> Path:
    places = [parts[0].path, parts[0].path.parent, path]
    found = next((place / ARTICLES for place in places if exists(place / ARTICLES)), None)
    if found is None:
        raise BadInputError(f"There is no {ARTICLES} in it or in the folder above; expected {EXPECTED}.", parts[0].path)
    return found


def _parts(path: Path, options: EbnerdOptions) -> tuple[list[Part], list[str]]:
    parts, notes = part_folders(
        path, ROWS, EXPECTED, lambda folder: options.new_rows or _CLICKED in TableFile(folder / ROWS).columns()
    )
    for _, folder in parts:
        expect_files(folder, [HISTORY], EXPECTED)
    _articles_file(path, parts)
    return parts, notes


def _files(path: Path, options: EbnerdOptions) -> list[Path]:
    parts, _ = _parts(path, options)
    files = [folder / name for _, folder in parts for name in (ROWS, HISTORY)]
    return [find(file).file for file in (*files, _articles_file(path, parts))]


def _size(path: Path, options: EbnerdOptions) -> Size:
    folders = [folder for _, folder in _parts(path, options)[0]]
    rows = sum(values_of(folder / ROWS, _IN_VIEW) for folder in folders)
    events = sum(values_of(folder / HISTORY, "article_id_fixed") for folder in folders)
    fields = 5 + len(options.context) + len(options.article_fields)
    held = 100 + 4 * fields + 28 * events / max(1, rows)
    return Size(rows, 0, rows, events, fields=fields, history_fields=2, held=held)


def _is_own(file: Path) -> bool:
    table = TableFile(file)
    return table.kind == "parquet" and _IN_VIEW in table.columns()


SOURCE = Source(
    name="ebnerd",
    title="EB-NeRD: page views of news with the articles in view, and click histories with times",
    path_help=EXPECTED,
    options=EbnerdOptions,
    read=read,
    default_name=lambda path, options: f"ebnerd-{options.history}",
    files=_files,
    size=_size,
    check=lambda path, options: _parts(path, options) and None,
    main_file=lambda _path: ROWS,
    is_own=_is_own,
    place=47,
)
