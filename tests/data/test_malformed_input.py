"""What people feed a reader by mistake: each time a sentence that names file, line and a way out, and nothing left."""

from __future__ import annotations

import gzip
import os
import re
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, StudioError
from mdaf_core.base.settings import get_settings
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.browse import entries, starting_folder
from tests.data.raw_files import (
    TAOBAO_START,
    USER_BEHAVIOR_START,
    write_criteo,
    write_ml_1m,
    write_ml_100k,
    write_ml_csv,
    write_taobao_ads,
    write_user_behavior,
)

pytestmark = pytest.mark.usefixtures("home")

Change = Callable[[Path], Any]
"""Spoils a file; returns the line at fault where it is another than the case says."""

WAY_OUT = re.compile(
    r"Correct|skip_bad_rows|[Ee]xpected|unpack|[Ss]ave|[Rr]emove|rename|[Cc]hoose|[Tt]ake|[Ss]et |Columns of the file|"
    r"positive_from|must|[Pp]repare|[Ff]ree|[Aa]llow|[Gg]ive"
)


def _write_table(folder: Path) -> None:
    draw = np.random.default_rng(0)
    pl.DataFrame(
        {
            "clk": draw.integers(0, 2, 300),
            "uid": draw.integers(0, 30, 300),
            "when": 1_600_000_000 + draw.integers(0, 864_000, 300),
            "ad": draw.integers(0, 20, 300),
            "price": draw.normal(size=300).round(3),
            "seen": ["1^2"] * 300,
            "kinds": ["1^1"] * 300,
        }
    ).write_csv(folder / "log.csv")


TABLE = {"label": "clk", "user": "uid", "timestamp": "when", "item": "ad", "numeric": "price"}


@dataclass(frozen=True)
class Format:
    """How to write a sound input, which of its files is spoiled, and how a line of it looks."""

    write: Callable[[Path], Any]
    file: str
    separator: str
    header: bool
    source: str
    options: dict[str, Any]


FORMATS = {
    "user-behavior": Format(
        lambda f: write_user_behavior(f / "UserBehavior.csv", 300), "UserBehavior.csv", ",", False, "user-behavior", {}
    ),
    "taobao-ads": Format(lambda f: write_taobao_ads(f, 300), "raw_sample.csv", ",", True, "taobao-ads", {}),
    "criteo": Format(lambda f: write_criteo(f / "train.txt", 300), "train.txt", "\t", False, "criteo", {}),
    "ml-100k": Format(lambda f: write_ml_100k(f, 300), "u.data", "\t", False, "movielens", {}),
    "ml-1m": Format(lambda f: write_ml_1m(f, 300), "ratings.dat", "::", False, "movielens", {}),
    "ml-csv": Format(lambda f: write_ml_csv(f, 300), "ratings.csv", ",", True, "movielens", {}),
    "table": Format(_write_table, "log.csv", ",", True, "table", TABLE),
}
LINE = 150


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().split(b"\n")


def _line(change: Callable[[bytes, bytes], bytes], at: int = LINE) -> Callable[[Format], Change]:
    """Change one line (given with the separator), counted from 1."""

    def of(form: Format) -> Change:
        def spoil(path: Path) -> int:
            lines = _lines(path)
            lines[at - 1] = change(lines[at - 1], form.separator.encode())
            path.write_bytes(b"\n".join(lines))
            return at

        return spoil

    return of


def _whole(change: Callable[[bytes], bytes]) -> Callable[[Format], Change]:
    def of(_form: Format) -> Change:
        return lambda path: path.write_bytes(change(path.read_bytes())) and None

    return of


def _directory(_form: Format) -> Change:
    def spoil(path: Path) -> None:
        path.unlink()
        path.mkdir()

    return spoil


def _pipe(_form: Format) -> Change:
    def spoil(path: Path) -> None:
        path.unlink()
        os.mkfifo(path)

    return spoil


# What can happen to every text file: name → (how, words of the message, whether a line is named).
EVERYWHERE: dict[str, tuple[Callable[[Format], Change], str, bool]] = {
    "empty": (_whole(lambda _: b""), "empty", False),
    "only line ends": (_whole(lambda _: b"\n\n\n"), "no line|no row|empty|header|no column|0 or 1", False),
    "a folder": (_directory, "folder|no such file", False),
    "a pipe": (_pipe, "no regular file", False),
    "truncated gzip": (_whole(lambda content: gzip.compress(content)[:500]), "gzip|end", False),
    "zip": (_whole(lambda content: b"PK\x03\x04" + content), "ZIP|zip", False),
    "UTF-16 without a mark": (_whole(lambda content: content.decode().encode("utf-16-le")), "UTF-16 or UTF-32", False),
    "UTF-32": (_whole(lambda content: content.decode().encode("utf-32")), "in UTF-32", False),
    "UTF-16": (_whole(lambda content: content.decode().encode("utf-16")), "UTF-16", False),
    "binary": (_whole(lambda content: bytes(range(256)) * 20 + content), "not a text file|not UTF-8", False),
    "a line too short": (_line(lambda line, sep: sep.join(line.split(sep)[:2])), "fields", True),
    "a line too long": (_line(lambda line, sep: line + sep + b"1"), "fields", True),
    "an empty line": (_line(lambda _line, _sep: b""), "empty|fields|0 or 1", True),
    "another separator": (_line(lambda line, sep: line.replace(sep, b";")), "fields", True),
    "Latin-1": (_line(lambda line, sep: line.replace(sep, b"\xe9" + sep, 1)), "UTF-8|integer|0 or 1", True),
    "a NUL": (_line(lambda line, sep: line.replace(sep, b"\0" + sep, 1)), "text file|NUL|integer|0 or 1|one of", False),
    "a byte order mark within": (_line(lambda line, _sep: b"\xef\xbb\xbf" + line), "integer|0 or 1|one of", True),
    "words for a number": (_line(lambda line, sep: b"many" + line[line.index(sep) :]), "integer|0 or 1|one of", True),
    "an open quote": (_line(lambda line, _sep: b'"' + line), "integer|fields|0 or 1|one of", True),
}  # fmt: skip


@dataclass(frozen=True)
class Case:
    form: str
    spoil: Change
    words: str
    line: int | None = None
    file: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    any_line: bool = False


def _put(text: str, at: int = LINE) -> Change:
    """Put a line in the place of another; \\n ends it."""

    def spoil(path: Path) -> None:
        lines = _lines(path)
        lines[at - 1] = text.encode()
        path.write_bytes(b"\n".join(lines))

    return spoil


def _first(text: str | None) -> Change:
    """Another first line, or none."""

    def spoil(path: Path) -> None:
        lines = _lines(path)
        path.write_bytes(b"\n".join(([] if text is None else [text.encode()]) + lines[1:]))

    return spoil


def _before(text: str, at: int = 1) -> Change:
    def spoil(path: Path) -> None:
        lines = _lines(path)
        path.write_bytes(b"\n".join([*lines[: at - 1], text.encode(), *lines[at - 1 :]]))

    return spoil


def _columns(change: Callable[[pl.DataFrame], pl.DataFrame]) -> Change:
    def spoil(path: Path) -> None:
        change(pl.read_csv(path)).write_csv(path)

    return spoil


def _parquet(change: Callable[[bytes], bytes]) -> Change:
    def spoil(path: Path) -> None:
        pl.read_csv(path).write_parquet(path)
        path.write_bytes(change(path.read_bytes()))

    return spoil


def _as_parquet(**changed: pl.Expr) -> Change:
    return lambda path: pl.read_csv(path).with_columns(**changed).write_parquet(path)


B, A = USER_BEHAVIOR_START, TAOBAO_START
BEHAVIOR_HEADER = "user_id,item_id,category_id,behavior,timestamp"
ADS_HEADER = "user,time_stamp,adgroup_id,pid,nonclk,clk"
PRICED = "1,1,1600000000,1"

SPECIAL: dict[str, Case] = {
    "behaviour: a header": Case("user-behavior", _before(BEHAVIOR_HEADER), "looks like a header", 1),
    "behaviour: a header within": Case("user-behavior", _before(BEHAVIOR_HEADER, LINE), "header once more", LINE),
    "behaviour: negative id": Case("user-behavior", _put(f"-7,1,1,pv,{B}"), "user_id must lie between", LINE),
    "behaviour: huge id": Case("user-behavior", _put(f"1,{10**30},1,pv,{B}"), "item_id must be an integer", LINE),
    "behaviour: id beyond 32 bits": Case("user-behavior", _put(f"1,{10**12},1,pv,{B}"), "item_id must lie", LINE),
    "behaviour: time in words": Case("user-behavior", _put("1,1,1,pv,2017-11-25"), "timestamp must be", LINE),
    "behaviour: time with a fraction": Case("user-behavior", _put(f"1,1,1,pv,{B}.5"), "timestamp must be", LINE),
    "behaviour: no time": Case("user-behavior", _put("1,1,1,pv,"), "timestamp is empty", LINE),
    "behaviour: another behaviour": Case("user-behavior", _put(f"1,1,1,look,{B}"), "behavior must be one of", LINE),
    "behaviour: a value over two lines": Case("user-behavior", _put(f'1,"1\n2",1,pv,{B}'), "fields", LINE),
    "behaviour: milliseconds": Case(
        "user-behavior",
        lambda path: path.write_text(re.sub(r"(\d{10})\n", r"\g<1>000\n", path.read_text())),
        "Unix time in ms",
    ),
    "behaviour: a time beyond 64 bits of differences": Case(
        "user-behavior", _put(f"1,1,1,pv,{-(2**63)}"), "timestamp must lie between", LINE,
        "", (("outside_window", "keep"),),
    ),
    "behaviour: digits of another script": Case(
        "user-behavior", _put(f"\u0661,1,1,pv,{B}"), "user_id must be an integer", LINE
    ),
    "behaviour: views alone": Case(
        "user-behavior",
        lambda path: path.write_text(re.sub("cart|fav|buy", "pv", path.read_text())),
        "label 0",
    ),
    "behaviour: old Macintosh line ends": Case(
        "user-behavior", lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\r")), "fields", 1
    ),
    "ads: no header": Case("taobao-ads", _first(None), "header must name", 1),
    "ads: a header twice": Case("taobao-ads", _before(ADS_HEADER, LINE), "header once more", LINE),
    "ads: columns in another order": Case(
        "taobao-ads", _first("time_stamp,user,adgroup_id,pid,nonclk,clk"), "header must name", 1
    ),
    "ads: clk of 2": Case("taobao-ads", _put(f"1,{A},1,430539_1007,0,2"), "clk must be one of", LINE),
    "ads: clk and nonclk": Case("taobao-ads", _put(f"1,{A},1,430539_1007,1,1"), "nonclk and clk", LINE),
    "ads: negative user": Case("taobao-ads", _put(f"-1,{A},1,430539_1007,1,0"), "user must lie", LINE),
    "ads: time in words": Case("taobao-ads", _put("1,today,1,430539_1007,1,0"), "time_stamp must be", LINE),
    "ads: nobody clicked": Case(
        "taobao-ads", lambda path: path.write_text(path.read_text().replace(",0,1\n", ",1,0\n")), "label 0"
    ),
    "ads: an ad twice": Case("taobao-ads", _put("1,1,1,1,1,1.0", 10), "described twice", 10, "ad_feature.csv"),
    "ads: a price in words": Case("taobao-ads", _put("9,1,1,1,1,cheap", 10), "price must be", 10, "ad_feature.csv"),
    "ads: no ad_feature": Case("taobao-ads", lambda path: path.unlink(), "There is no ", None, "ad_feature.csv"),
    "ads: a profile level in words": Case(
        "taobao-ads", _put("1,0,0,0,high,0,0,0,0", 10), "age_level must be", 10, "user_profile.csv",
        (("profile_fields", "age_level"),),
    ),
    "ads: the log cut short": Case(
        "taobao-ads", lambda path: path.write_bytes(path.read_bytes().rstrip()[:-8]), "fields|brand", 4001,
        "behavior_log.csv", (("history", "behavior-log"),),
    ),
    "criteo: label of 2": Case("criteo", _put("2" + "\t" * 39), "label must be one of", LINE),
    "criteo: no label": Case("criteo", _put("\t1" + "\t" * 38), "label is empty", LINE),
    "criteo: a count in words": Case("criteo", _put("1\tone" + "\t" * 38), "I1 must be an integer", LINE),
    "criteo: a short id": Case("criteo", _put("1" + "\t" * 13 + "\tabc" + "\t" * 25), "8 lowercase hexadecimal", LINE),
    "criteo: one label": Case(
        "criteo", lambda path: path.write_bytes(b"\n".join(b"0" + line[1:] for line in _lines(path)[:300])), "label 0"
    ),
    "movies: six stars": Case("ml-100k", _put("1\t1\t6\t880000000"), "rating must lie between", LINE),
    "movies: no stars": Case("ml-100k", _put("1\t1\t\t880000000"), "rating is empty", LINE),
    "movies: a movie twice": Case(
        "ml-100k", lambda path: path.write_bytes(path.read_bytes() * 2), "twice", None, "u.item"
    ),
    "movies: no u.user": Case("ml-100k", lambda path: path.unlink(), "There is no ", None, "u.user"),
    "movies: ratings as words": Case("ml-csv", _put("1,1,good,1000000000"), "rating must be a number", LINE),
    "movies: no header": Case("ml-csv", _first(None), "header must name", 1),
    "movies: an open quote in a title": Case("ml-csv", _put('5,"Film,Drama', 6), "CSV", None, "movies.csv"),
    "movies: a movie without an id": Case("ml-csv", _put("x,Film,Drama", 6), "integer movieId", 6, "movies.csv"),
    "table: parted by tabs": Case(
        "table", lambda path: path.write_text(path.read_text().replace(",", "\t")), r"parted by '.t': set delimiter"
    ),
    "table: spaces in its header": Case("table", _first("clk , uid,when,ad,price,seen,kinds"), "spaces around"),
    "table: an empty first line": Case("table", _before(""), "first line is empty"),
    "table: a header without a line end": Case(
        "table", lambda path: path.write_text("clk,uid,when,ad,price,seen,kinds"), "no rows below its header"
    ),
    "table: a time of 64 bits": Case("table", _put(f"1,1,{-(2**63)},1,0.5,,"), "when is unknown in 1 of 300", LINE),
    "table: no header": Case("table", _first(None), "no column 'clk'"),
    "table: a header twice": Case("table", _before("clk,uid,when,ad,price,seen,kinds", LINE), "0 or 1", LINE),
    "table: two columns of one name": Case("table", _first("clk,uid,when,ad,ad,seen,kinds"), "Two columns", 1),
    "table: label of 2": Case("table", _put(f"2,{PRICED[2:]},0.5,,"), "label clk must be 0 or 1", LINE),
    "table: one label": Case("table", _columns(lambda f: f.with_columns(clk=pl.lit(1))), "label 1"),
    "table: time in words": Case("table", _put("1,1,yesterday,1,0.5,,"), "time when must be", LINE),
    "table: no time": Case("table", _put("1,1,,1,0.5,,"), "time when is unknown in 1", LINE),
    "table: milliseconds": Case("table", _columns(lambda f: f.with_columns(pl.col("when") * 1000)), "timestamp_unit"),
    "table: an infinite number": Case("table", _put(f"{PRICED},inf,,"), "finite number", LINE),
    "table: a quoted value over two lines": Case("table", _put('1,1,1600000000,"1\n2",cheap,,'), "price must be", LINE),
    "table: lists of two lengths": Case(
        "table", _put(f"{PRICED},0.5,1^2,1"), "equally long", LINE, "",
        (("history_item", "seen"), ("history_category", "kinds"), ("category", "uid"), ("user", None)),
    ),
    "table: Parquet cut short": Case("table", _parquet(lambda content: content[:-200]), "Parquet"),
    "table: Parquet in name only": Case(
        "table", lambda path: path.write_bytes(b"PAR1" + path.read_bytes()), "Parquet"
    ),
    "table: lists for ids": Case(
        "table", lambda path: pl.read_csv(path).with_columns(ad=pl.concat_list("ad", "ad")).write_parquet(path), "lists"
    ),
    "table: a list for a label": Case("table", _as_parquet(clk=pl.concat_list("clk")), "'clk' holds lists"),
    "table: a span for a time": Case("table", _as_parquet(when=pl.duration(seconds="when")), "moments in time"),
    "table: NaN for a user": Case("table", _as_parquet(uid=pl.col("uid") / 0), "uid must be an id", 1),
    "table: records for a history": Case(
        "table", _as_parquet(seen=pl.struct("ad")), r"a column of its own, such as seen\.ad", None, "",
        (("history_item", "seen"),),
    ),
    "movies: an id beyond 32 bits": Case("ml-csv", _put(f"{10**20},x,y", 6), "integer movieId", 6, "movies.csv"),
    "movies: UTF-16 titles": Case(
        "ml-csv", lambda path: path.write_bytes(path.read_bytes().decode().encode("utf-16-le")), "UTF-16", None,
        "movies.csv",
    ),
    "table: times of every kind": Case(
        "table", _columns(lambda f: f.with_columns(when=pl.lit("25/11/2017"))), "timestamp_format=%d/%m/%Y"
    ),
}  # fmt: skip

CASES = {
    f"{form}: {name}": Case(form, how(FORMATS[form]), words, None, any_line=named)
    for form in FORMATS
    for name, (how, words, named) in EVERYWHERE.items()
} | SPECIAL


def _prepare(form: Format, folder: Path, options: dict[str, Any]) -> None:
    path = folder / form.file if form.source in ("table", "user-behavior") else folder
    prepare(form.source, path=path, name="data", options=form.options | options)


def _nothing_left() -> bool:
    home = get_settings().home
    return [path.name for path in home.rglob("*") if path.name not in ("mlflow.db", "datasets")] == []


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_bad_input_is_a_sentence_and_leaves_nothing(case: Case, tmp_path: Path):
    folder = tmp_path / "raw"
    folder.mkdir()
    form = FORMATS[case.form]
    form.write(folder)
    file = folder / (case.file or form.file)
    spoiled = case.spoil(file)
    line = spoiled if case.any_line else case.line
    with pytest.raises(StudioError) as error:
        _prepare(form, folder, dict(case.options))
    message = str(error.value)
    assert re.search(case.words, message), message
    assert message[-1] in ".…" and WAY_OUT.search(message), message
    assert len(message) < 600
    if isinstance(error.value, BadInputError) and error.value.path:
        assert Path(error.value.path) in (file, folder, file / file.name) and str(error.value.path) in message
    if line is not None:
        assert getattr(error.value, "line", None) == line and f"line {line}:" in message, message
    assert _nothing_left()


def test_there_are_enough_of_them():
    assert len(CASES) >= 60


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "change",
    [
        lambda content: b"\xef\xbb\xbf" + content,
        lambda content: content.replace(b"\n", b"\r\n"),
        lambda content: content.rstrip(b"\n"),
        lambda content: content + b"\n\n\n",
    ],
    ids=["byte order mark", "Windows line ends", "no last line end", "empty lines at the end"],
)
def test_what_does_no_harm_is_taken(form: str, change: Callable[[bytes], bytes], tmp_path: Path):
    folder = tmp_path / "raw"
    folder.mkdir()
    FORMATS[form].write(folder)
    file = folder / FORMATS[form].file
    file.write_bytes(change(file.read_bytes()))
    _prepare(FORMATS[form], folder, {})


@pytest.mark.parametrize("form", FORMATS)
def test_files_that_may_not_be_read(form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / "raw"
    folder.mkdir()
    FORMATS[form].write(folder)
    file = folder / FORMATS[form].file
    file.chmod(0)
    if os.access(file, os.R_OK):  # the superuser may read everything
        genuine = Path.open

        def refuse(self: Path, *arguments: Any, **others: Any) -> Any:
            if self == file:
                raise PermissionError(13, "Permission denied", str(file))
            return genuine(self, *arguments, **others)

        monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadInputError, match="cannot be read: Permission denied"):
        _prepare(FORMATS[form], folder, {})
    assert _nothing_left()
    file.chmod(stat.S_IRUSR | stat.S_IWUSR)


@contextmanager
def _files_of_at_most(size: int) -> Iterator[None]:
    """The system refuses to write more to a file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [0, 2_000, 20_000])
def test_a_disk_that_takes_no_more(size: int, tmp_path: Path):
    write_user_behavior(tmp_path / "UserBehavior.csv")
    with pytest.raises(StudioError, match="could not be written") as error, _files_of_at_most(size):
        prepare("user-behavior", path=tmp_path, name="data")
    assert WAY_OUT.search(str(error.value)) and _nothing_left()
    prepare("user-behavior", path=tmp_path, name="data")


@pytest.mark.parametrize("path", ["/tmp/" + "a" * 5000, "/tmp/a\0b", "~nobody-of-that-name/x"])
def test_paths_that_cannot_be(path: str):
    with pytest.raises(BadInputError, match="nothing at this path"):
        prepare("user-behavior", path=Path(path))
    with pytest.raises(BadInputError, match="nothing to read"):
        entries(Path(path))
    assert starting_folder(Path(path)).is_dir()
