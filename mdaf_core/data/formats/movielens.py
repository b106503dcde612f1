"""MovieLens as GroupLens ships it: 100K, 1M, and the CSV releases (20M, 25M, 32M, latest)."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl
from pydantic import Field

from mdaf_core.base.entries import whole_number
from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.formats.base import (
    RawTable,
    Size,
    Source,
    expect_files,
    id_fields,
)
from mdaf_core.data.formats.options import SourceOptions
from mdaf_core.data.reading import files
from mdaf_core.data.reading.blocks import check_file, check_kind, fingerprint_file
from mdaf_core.data.reading.described import positions, undescribed
from mdaf_core.data.reading.layout import ID_RANGE, Column, Layout
from mdaf_core.data.reading.text import EXAMPLES, Text, read_text, shrink
from mdaf_core.data.reading.times import TIME_RANGE, check_published
from mdaf_core.data.store.outcomes import stars
from mdaf_core.data.store.schema import FieldSpec

# u.item's genre flags, in the order of its last 19 columns (u.genre).
GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
NO_GENRE = "(no genres listed)"
AGES = {1: "under 18", 18: "18-24", 25: "25-34", 35: "35-44", 45: "45-49", 50: "50-55", 56: "56 and over"}
OCCUPATIONS = (
    "other", "academic/educator", "artist", "clerical/admin", "college/grad student", "customer service",
    "doctor/health care", "executive/managerial", "farmer", "homemaker", "K-12 student", "lawyer", "programmer",
    "retired", "sales/marketing", "scientist", "self-employed", "technician/engineer", "tradesman/craftsman",
    "unemployed", "writer",
)  # fmt: skip
EXPECTED = "a MovieLens folder with u.data (100K), ratings.dat (1M) or ratings.csv (20M, 25M, 32M, latest)"

_TIME = Column("timestamp", between=TIME_RANGE)
_STARS = Column("rating", "float", between=(0.5, 5))
_RATING = (Column("user", between=ID_RANGE), Column("item", between=ID_RANGE), _STARS, _TIME)
_100K_RATINGS = Layout(_RATING, "\t", expected="tab-separated user, item, rating, timestamp")
_1M_RATINGS = Layout(_RATING, "::", expected="user::item::rating::timestamp")
_CSV_RATINGS = Layout(
    (Column("userId", between=ID_RANGE), Column("movieId", between=ID_RANGE), _STARS, _TIME),
    header=True,
    expected="a CSV file with the header userId,movieId,rating,timestamp",
)
_100K_ITEMS = Layout(
    (
        Column("item"),
        Column("title", "text"),
        Column("released", "text", optional=True),
        Column("video", "text", optional=True),
        Column("url", "text", optional=True),
        *(Column(f"genre {name}", "text", choices=("0", "1")) for name in GENRES),
    ),
    "|",
    latin1=True,
    expected="pipe-separated movies as in u.item (24 fields)",
)
_100K_USERS = Layout(
    (
        Column("user"),
        Column("age"),
        Column("gender", "text", choices=("M", "F")),
        Column("occupation", "text"),
        Column("zip", "text", optional=True),
    ),
    "|",
    latin1=True,
    expected="pipe-separated users as in u.user (5 fields)",
)
_1M_MOVIES = Layout(
    (Column("item"), Column("title", "text"), Column("genres", "text")),
    "::",
    latin1=True,
    expected="item::title::genres",
)
_1M_USERS = Layout(
    (
        Column("user"),
        Column("gender", "text", choices=("M", "F")),
        Column("age"),
        Column("occupation"),
        Column("zip", "text", optional=True),
    ),
    "::",
    latin1=True,
    expected="user::gender::age::occupation::zip",
)


class MovieLensOptions(SourceOptions):
    """Options of `movielens`."""

    positive_from: float = Field(4.0, ge=0.5, le=5, description="Ratings of at least this many stars are positives.")


def read(path: Path, options: MovieLensOptions, progress: Progress) -> RawTable:
    """Read a MovieLens folder (or its ratings file)."""
    folder, ratings_file = _find(path)
    reader = {"u.data": _read_100k, "ratings.dat": _read_1m, "ratings.csv": _read_csv}[ratings_file]
    return reader(folder, options, progress)


def _find(path: Path) -> tuple[Path, str]:
    """The folder (or archive) and its ratings file; a folder that only holds the folder will do."""
    whole = files.is_folder(path)
    folder = path if whole else path.parent
    nested = [child for child in sorted(folder.iterdir()) if files.is_folder(child)] if path.is_dir() else []
    for candidate in [folder, *nested]:
        for name in ("u.data", "ratings.dat", "ratings.csv"):
            if files.exists(candidate / name) and (whole or path.name.removesuffix(".gz") == name):
                return candidate, name
    raise BadInputError(f"Expected {EXPECTED}.", path)


def _layout(ratings: Layout, options: MovieLensOptions) -> Layout:
    return ratings.with_optional("rating") if options.new_rows else ratings


def _read_100k(folder: Path, options: MovieLensOptions, progress: Progress) -> RawTable:
    layouts = {"u.data": _100K_RATINGS, "u.item": _100K_ITEMS, "u.user": _100K_USERS}
    flags = [f"genre {name}" for name in GENRES]
    first = pl.coalesce(pl.when(pl.col(flag) == "1").then(pl.lit(flag.removeprefix("genre "))) for flag in flags)
    return _read_three(folder, layouts, first.fill_null(NO_GENRE), "MovieLens-100K", options, progress)


def _read_1m(folder: Path, options: MovieLensOptions, progress: Progress) -> RawTable:
    layouts = {"ratings.dat": _1M_RATINGS, "movies.dat": _1M_MOVIES, "users.dat": _1M_USERS}
    first = pl.col("genres").str.split("|").list.first()
    table = _read_three(folder, layouts, first, "MovieLens-1M", options, progress)
    table.titles["age"] = pl.DataFrame({"id": list(AGES), "title": list(AGES.values())})
    table.titles["occupation"] = pl.DataFrame({"id": range(len(OCCUPATIONS)), "title": list(OCCUPATIONS)})
    return table


def _read_three(
    folder: Path, layouts: dict[str, Layout], genre: pl.Expr, title: str, options: MovieLensOptions, progress: Progress
) -> RawTable:
    """Ratings, movies and users, in files of these names."""
    (rated, of_ratings), *others = layouts.items()
    skip = options.skip_bad_rows
    ratings = read_text(folder / rated, _layout(of_ratings, options), skip_bad_rows=skip, progress=progress)
    items, users = (read_text(folder / name, layout, skip_bad_rows=skip) for name, layout in others)
    movies = items.frame.select("item", "title", genre.alias("category"))
    people = users.frame.select("user", "age", "gender", "occupation")
    texts = (ratings, items, users)
    inputs = {name: text.fingerprint for name, text in zip(layouts, texts, strict=True)}
    notes = _undescribed(ratings.frame, movies, "item", folder / others[0][0])
    notes += _undescribed(ratings.frame, people, "user", folder / others[1][0])
    return _table(folder / rated, ratings.frame, movies, people, title, inputs, texts, notes, options)


def _read_csv(folder: Path, options: MovieLensOptions, progress: Progress) -> RawTable:
    ratings = read_text(
        folder / "ratings.csv",
        _layout(_CSV_RATINGS, options),
        skip_bad_rows=options.skip_bad_rows,
        progress=progress,
        keep=shrink,
        stage="ratings",
    )
    movies = _movies_csv(folder / "movies.csv")
    frame = ratings.frame.rename({"userId": "user", "movieId": "item"})
    inputs = {"ratings.csv": ratings.fingerprint, "movies.csv": fingerprint_file(folder / "movies.csv")}
    notes = _undescribed(frame, movies, "item", folder / "movies.csv")
    name = folder.stem if folder.name.startswith("ml-") else "CSV release"
    return _table(folder / "ratings.csv", frame, movies, None, f"MovieLens, {name}", inputs, (ratings,), notes, options)


def _movies_csv(path: Path) -> pl.DataFrame:
    """Columns item, title, category of movies.csv, whose titles may be quoted."""
    check_file(path, "movies.csv with the header movieId,title,genres")
    items, titles, categories = [], [], []
    try:
        with files.open_input(path) as opened:
            content = opened.read(1 << 30)
            check_kind(content, path, "movies.csv with the header movieId,title,genres")
            text = content.decode("utf-8-sig")
            lines = csv.reader(io.StringIO(text, newline=""), strict=True)
            for values in lines:
                if lines.line_num == 1:
                    if values != ["movieId", "title", "genres"]:
                        raise BadInputError("The header must name movieId,title,genres.", path, 1, ",".join(values))
                    continue
                movie = whole_number(values[0]) if len(values) == 3 else None
                if movie is None or movie > ID_RANGE[1]:
                    raise BadInputError(
                        f"A movie must have an integer movieId up to {ID_RANGE[1]:,}, a title and genres: correct it.",
                        path,
                        lines.line_num,
                        ",".join(values),
                    )
                items.append(movie)
                titles.append(values[1])
                categories.append(values[2].split("|")[0])
    except UnicodeDecodeError:
        raise BadInputError("The file is not UTF-8 text.", path) from None
    except csv.Error as error:
        raise BadInputError(
            f"The file is not well-formed CSV ({error}): correct it, or take another copy.", path, lines.line_num
        ) from None
    return pl.DataFrame(
        {"item": items, "title": titles, "category": categories},
        schema={"item": pl.Int64, "title": pl.String, "category": pl.String},
    )


def _undescribed(ratings: pl.DataFrame, table: pl.DataFrame, key: str, path: Path) -> list[str]:
    """A note where ratings name users or movies that `path`, read into `table`, does not describe.

    Raises:
        BadInputError: it describes one twice.
    """
    at = positions(ratings[key].cast(pl.Int64), table[key], path)
    return undescribed(path.name, "movie" if key == "item" else "user", ratings[key], at, "ratings")


def _table(
    path: Path,
    ratings: pl.DataFrame,
    movies: pl.DataFrame,
    people: pl.DataFrame | None,
    title: str,
    inputs: dict[str, dict[str, object]],
    texts: Sequence[Text],
    notes: list[str],
    options: MovieLensOptions,
) -> RawTable:
    frame = ratings.with_columns(
        pl.col("item").cast(pl.Int64),
        pl.col("user").cast(pl.Int64),
        label=(pl.col("rating") >= options.positive_from).cast(pl.UInt8),
    ).join(movies.select("item", "category"), on="item", how="left", maintain_order="left")
    notes = notes + check_published(frame["timestamp"].cast(pl.Int64), path)
    traits = [] if people is None else ["age", "gender", "occupation"]
    if people is not None:
        frame = frame.join(people, on="user", how="left", maintain_order="left")
    rows = frame.select("label", "user", "item", "category", *traits, "timestamp")
    return RawTable(
        rows=rows,
        fields=[
            *id_fields("Movie", "First genre of the movie"),
            *(FieldSpec(name=trait, description=f"{trait.capitalize()} of the user") for trait in traits),
        ],
        history_fields=["item", "category"],
        events=rows.select("user", "timestamp", "item", "category", positive="label").with_columns(
            outcome=stars(frame["rating"])
        ),
        titles={"item": movies.select(pl.col("item").alias("id"), "title")},
        title=title,
        label=f"rated {options.positive_from:g} stars or more",
        timezone="UTC",
        timezone_assumed=True,
        inputs=inputs,
        skipped_rows=sum(text.skipped for text in texts),
        examples={"skipped": [line for text in texts for line in text.examples.get("skipped", [])][:EXAMPLES]},
        notes=notes,
    ).with_calendar()


def _check(path: Path, _options: MovieLensOptions) -> None:
    folder, ratings_file = _find(path)
    beside = {"u.data": ("u.item", "u.user"), "ratings.dat": ("movies.dat", "users.dat")}
    expect_files(folder, beside.get(ratings_file, ("movies.csv",)), EXPECTED)


def _default_name(path: Path | None, _options: MovieLensOptions) -> str:
    if path is None:
        return "movielens"
    folder, ratings_file = _find(path)
    release = {"u.data": "ml-100k", "ratings.dat": "ml-1m"}.get(ratings_file)
    return f"movielens-{release or (folder.stem if folder.name.startswith('ml-') else 'csv')}"


def _size(path: Path, _options: MovieLensOptions) -> Size:
    folder, ratings_file = _find(path)
    lines = files.count_lines(folder / ratings_file)
    # Ratings are joined with movies, all columns of a row in memory; of the small releases with users, too.
    return Size(lines=lines, read=20, rows=lines, events=lines, fields=5, history_fields=2, held=45)


SOURCE = Source(
    name="movielens",
    title="MovieLens: 100K, 1M, 20M, 25M, 32M or latest",
    path_help="the folder or .zip of a release",
    options=MovieLensOptions,
    read=read,
    default_name=_default_name,
    size=_size,
    check=_check,
    main_file=lambda path: _find(path)[1],
    event_rule=lambda _options: "rows",
    place=40,
)
