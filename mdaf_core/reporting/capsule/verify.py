"""Whether every number of a capsule is what its predictions give: the file is made again from them, and compared."""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import BaseModel, Field, ValidationError

from mdaf_core.base.errors import BadInputError, StudioError, UsageError
from mdaf_core.base.files import reading
from mdaf_core.base.version import __version__
from mdaf_core.reporting.capsule import page
from mdaf_core.reporting.capsule.rebuilt import metrics_of
from mdaf_core.reporting.capsule.record import CLOSE, FORMAT, Record, different
from mdaf_core.reporting.capsule.scores import CARRIED, Columns, restored, unpack
from mdaf_core.runs.predictions import REPLACED_COLUMNS

SECTIONS = {"record": "Record", "predictions": "Predictions", "page": "File"}
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


class Difference(BaseModel):
    """One thing that is not as it should be."""

    where: str
    in_file: str = ""
    should_be: str = ""

    @property
    def sentence(self) -> str:
        """As people read it."""
        said = f": the file says {self.in_file}" if self.in_file else ""
        return f"{self.where}{said}{f', it should be {self.should_be}' if self.should_be else ''}"


class Verified(BaseModel):
    """What was found. `numbers` of the page and the charts were made again from `predictions` rows and runs."""

    seal: str = Field(description="Of the file as it should be: whoever was told it knows that nothing was changed.")
    numbers: int
    rows: int
    runs: int
    predictions: str = Field(description="Where they were: 'within the file', or a path.")
    notes: list[str] = []
    differences: list[Difference] = []


def verify(path: Path, predictions: Path | None = None) -> Verified:
    """Make a capsule again from its predictions, and name every place where the file is another.

    Args:
        predictions: a folder of runs (`artifacts/runs`, or files RUN.parquet), or the file that came beside the
            capsule; None: those within it, else the file beside it.

    Raises:
        UsageError: no such file. BadInputError: it is no capsule, or one that cannot be read.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    with reading(path, "Name a file that `mdaf capsule` made."):
        text = path.read_bytes().decode("utf-8")
    found = page.blocks(text)
    if not {"record", "predictions", "library", "seal"} <= found.keys():
        raise BadInputError("This is no capsule, or not all of one: `mdaf capsule STUDY --out FILE` makes them.", path)
    record = _record(found["record"], path)
    inside, packed = _inside(found["predictions"], path)
    scores, whence = inside, "within the file"
    if predictions is not None or record.beside:
        scores, whence = _beside(record, predictions or path.with_name(record.beside))
    missing = [run.facts["run_id"] for run in record.scored if set(CARRIED) - set(scores.get(run.facts["run_id"], ()))]
    if missing:
        raise BadInputError(f"There are no predictions of run {', '.join(missing)}.", path)
    remade = page.document(record, scores, packed, found["library"])
    shown, numbers = _compare(text, remade)
    differences = [
        *(_rows(record, inside, scores) if inside is not scores else ()),
        *_as_written(found["record"], remade),
        *_sealed(text, remade, record, scores),
        *_metrics(record, scores),
        *_library(found["library"], record),
        *shown,
    ]
    if not differences and page.shell(text) != page.shell(remade):
        differences.append(Difference(where=_line(page.shell(text), page.shell(remade))))
    first = next(iter(scores.values()))
    return Verified(
        seal=page.seal_id(json.loads(page.blocks(remade)["seal"])), numbers=numbers, rows=len(first["label"]),
        runs=len(record.scored), predictions=whence, notes=list(_notes(record)), differences=differences,
    )  # fmt: skip


def _record(text: str, path: Path) -> Record:
    try:
        raw = json.loads(text)
        if raw.get("format") != FORMAT:
            raise BadInputError(
                f"It has format {raw.get('format')!r}, this version reads {FORMAT}: use that which made it.",
                path,
            )
        return Record.model_validate(raw)
    except (ValueError, AttributeError, ValidationError) as error:
        raise BadInputError(f"Its record cannot be read: {str(error).splitlines()[0]}.", path) from None


def _inside(text: str, path: Path) -> tuple[dict[str, Columns], bytes]:
    try:
        packed = base64.b64decode(text, validate=True)
        return (unpack(packed) if packed else {}), packed
    except (binascii.Error, StudioError) as error:
        raise BadInputError(
            f"Its predictions were changed, and cannot be read: {str(error).rstrip('.')}.", path
        ) from None


def _beside(record: Record, place: Path) -> tuple[dict[str, Columns], str]:
    """Predictions from a folder of runs, or from the file beside the capsule."""
    if place.is_file():
        with reading(place, "Name the file that came with the capsule."):
            return unpack(place.read_bytes()), str(place)
    if not place.is_dir():
        raise UsageError(f"There are no predictions at {place}: name their folder or file with --predictions.")
    out: dict[str, Columns] = {}
    for run in record.scored:
        run_id = run.facts["run_id"]
        kept = Path("artifacts", "predictions", f"{record.split}.parquet")
        file = next((f for f in (place / run_id / kept, place / f"{run_id}.parquet") if f.is_file()), None)
        if file is None:
            raise UsageError(f"There are no predictions of run {run_id} in {place}: RUN/{kept} or RUN.parquet.")
        with reading(file, "Name a folder of runs as `mdaf` keeps them."):
            frame = pl.read_parquet(file)
            names = [*CARRIED, *(n for n in REPLACED_COLUMNS if record.gates and n in frame.columns)]
            out[run_id] = {name: frame[name].to_numpy() for name in names}
    return out, str(place)


def _named(record: Record, run_id: str) -> str:
    run = next((run for run in record.runs if run.facts["run_id"] == run_id), None)
    return f"{run.facts['configuration']}, seed {run.facts['seed']}" if run else run_id


def _rows(record: Record, inside: Mapping[str, Columns], other: Mapping[str, Columns]) -> Iterator[Difference]:
    """Where predictions within the file are not those beside it: run, column, first row."""
    for run_id, columns in inside.items():
        for name, values in columns.items():
            there = other.get(run_id, {}).get(name)
            where = f"Predictions › {_named(record, run_id)} › {name}"
            if there is None or len(there) != len(values):
                yield Difference(where=f"{where}: other rows than beside it")
            else:
                yield from _apart(where, columns, name, there)


def _apart(where: str, columns: Columns, name: str, right: NDArray[Any]) -> Iterator[Difference]:
    """The first row of a column that is not as it should be, and how many more are not."""
    values = columns[name]
    if len(apart := np.flatnonzero((values != right) & ~((values != values) & (right != right)))):
        at = int(apart[0])
        more = f" and {len(apart) - 1:,} more" if len(apart) > 1 else ""
        where = f"{where} › row {columns['row_id'][at]}{more}"
        yield Difference(where=where, in_file=repr(values[at].item()), should_be=repr(right[at].item()))


def _metrics(record: Record, scores: Mapping[str, Columns]) -> Iterator[Difference]:
    """Where what a training wrote down of itself is not what its predictions give."""
    for run in record.scored:
        assert run.result is not None
        run_id = run.facts["run_id"]
        for key, (held, value) in different(getattr(run.result, record.split), metrics_of(scores[run_id])).items():
            where = f"Record › {_named(record, run_id)} › {key} as its training wrote it"
            yield Difference(where=where, in_file=repr(held), should_be=repr(value))


def _notes(record: Record) -> Iterator[str]:
    made, mine = record.program, __version__
    if made["version"] != mine:
        yield f"Made by version {made['version']}, checked by {mine}: words and markup may differ for that alone."
    if _drawing(record) != version("vl-convert-python"):
        yield f"The drawing library is of vl-convert {_drawing(record)}, not the one here: it was not compared."


def _drawing(record: Record) -> str:
    return str(record.program["versions"].get("vl-convert-python"))


def _library(script: str, record: Record) -> Iterator[Difference]:
    """Whether the drawing library is that of its version, where that is here."""
    if _drawing(record) == version("vl-convert-python") and script != page.library():
        yield Difference(where="File › drawing library: it is not that of its version")


def _as_written(text: str, remade: str) -> Iterator[Difference]:
    """The record says nothing that is not read."""
    if json.loads(text) != json.loads(page.blocks(remade)["record"]):
        yield Difference(where="Record: it holds what a record does not")


def _sealed(text: str, remade: str, record: Record, scores: Mapping[str, Columns]) -> Iterator[Difference]:
    """Parts of the file whose digest is not that of the seal."""
    should = json.loads(page.blocks(remade)["seal"])
    try:
        seal = json.loads(page.blocks(text)["seal"])
        for section, name in SECTIONS.items():
            mine, theirs = should[section], seal[section]
            for part in dict.fromkeys([*mine, *theirs]):
                if mine.get(part) == theirs.get(part):
                    continue
                if section == "predictions":
                    yield from _column(part, mine, theirs, record, scores)
                else:
                    yield Difference(where=f"{name} › {part}: changed since it was sealed")
        if f"Seal <code>{page.seal_id(seal)}</code>" not in text:
            yield Difference(where="Page › Seal: it is not the seal's number")
    except (ValueError, KeyError, AttributeError, TypeError):
        yield Difference(where="Seal: it cannot be read")


def _column(
    part: str, mine: dict[str, str], theirs: dict[str, str], record: Record, scores: Mapping[str, Columns]
) -> Iterator[Difference]:
    """The rows of a column that were changed since it was sealed: another run has it still, or it was one row."""
    run, _, name = part.partition(" ")
    where, was = f"Predictions › {_named(record, run)} › {name}, changed since it was sealed", None
    if part in mine and part in theirs:
        same = next((other.partition(" ") for other, seal in mine.items() if seal == theirs[part]), None)
        was = scores[same[0]][same[2]] if same else restored(scores[run][name], theirs[part])
    if was is None or len(was) != len(scores[run][name]):
        yield Difference(where=f"{where} in more than one row, or its seal was")
    else:
        yield from _apart(where, scores[run], name, was)


# ---- the page --------------------------------------------------------------------------------------------------------


class _Said(NamedTuple):
    where: str
    text: str


class _Reader(HTMLParser):
    """All that a page says, each with the words of `data-at` around it."""

    EMPTY = {"meta", "br", "link", "img"}
    SHOWN = {"title", "aria-label", "content"}

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.places: list[tuple[str, str]] = []
        self.said: list[_Said] = []
        self.silent = False
        self.drawn: list[str] = []  # style and scripts

    @property
    def where(self) -> str:
        return " › ".join(place for _, place in self.places if place) or "Page"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.silent = tag == "style" or (tag == "script" and given.get("class") != "spec")
        if tag not in self.EMPTY:
            self.places.append((tag, given.get("data-at") or ""))
        self.said += [_Said(self.where, value) for key, value in attrs if key in self.SHOWN and value]

    def handle_endtag(self, tag: str) -> None:
        self.silent = False
        while self.places and self.places.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.silent:
            self.drawn.append(data)
        elif data.strip():
            self.said.append(_Said(self.where, data))


def _read(text: str) -> _Reader:
    reader = _Reader()
    reader.feed(page.shell(text))
    reader.close()
    return reader


def _compare(text: str, remade: str) -> tuple[list[Difference], int]:
    """What the page says otherwise than it should, and how many numbers were compared."""
    mine, right = _read(text), _read(remade)
    said, should = mine.said, right.said
    numbers = 0
    out: list[Difference] = []
    if mine.drawn != right.drawn:
        out.append(Difference(where="File › style or script: it is another"))
    if len(said) != len(should):
        out.append(Difference(where=f"Page: it has {len(said)} texts, not the {len(should)} it should have"))
    for one, other in zip(said, should, strict=False):
        numbers += len(_NUMBER.findall(_data_of(other.text)))
        if one == other:
            continue
        if one.where != other.where:
            out.append(Difference(where=f"{one.where}: this is not where it should be", in_file=_short(one.text)))
            break  # nothing behind it is in its place
        out += _chart(one, other) if other.text.startswith("{") else _texts(one, other)
    return out, numbers


def _data_of(text: str) -> str:
    """A text, or of a chart its data: sizes of type are no results."""
    return json.dumps(json.loads(text).get("datasets", {})) if text.startswith("{") else text


def _texts(one: _Said, other: _Said) -> list[Difference]:
    mine, theirs = _float(one.text), _float(other.text)
    if mine is not None and theirs is not None and math.isclose(mine, theirs, rel_tol=CLOSE, abs_tol=CLOSE):
        return []
    words, right = one.text.split(), other.text.split()
    if len(words) == len(right) and len(words) > 12:  # a sentence: what differs in it
        apart = [i for i, (a, b) in enumerate(zip(words, right, strict=True)) if a != b]
        first, last = max(apart[0] - 3, 0), apart[-1] + 4
        words, right = words[first:last], right[first:last]
    return [Difference(where=one.where, in_file=_short(" ".join(words)), should_be=_short(" ".join(right)))]


def _float(text: str) -> float | None:
    """The number in a tooltip: all its digits. What is rounded for people must be the same text."""
    try:
        return float(text) if "." in text and len(text) > 9 else None
    except ValueError:
        return None


def _short(text: str) -> str:
    return repr(text if len(text) < 200 else text[:200] + "…")


def _chart(one: _Said, other: _Said) -> Iterator[Difference]:
    try:
        mine = json.loads(one.text)
    except ValueError:
        yield Difference(where=f"{one.where} › chart: it cannot be read")
        return
    yield from _walk(mine, json.loads(other.text), f"{one.where} › chart")


def _walk(mine: Any, right: Any, where: str) -> Iterator[Difference]:
    """Places in a specification at which two differ."""
    if isinstance(mine, dict) and isinstance(right, dict) and mine.keys() == right.keys():
        name = next((str(right[key]) for key in ("configuration", "name") if isinstance(right.get(key), str)), "")
        for key in right:
            yield from _walk(mine[key], right[key], f"{where} › {f'{name}, ' if name else ''}{key}")
    elif isinstance(mine, list) and isinstance(right, list) and len(mine) == len(right):
        for i, (a, b) in enumerate(zip(mine, right, strict=True)):
            yield from _walk(a, b, f"{where} {i + 1}")
    elif _same(mine, right):
        return
    else:
        yield Difference(where=where, in_file=_short(str(mine)), should_be=_short(str(right)))


def _same(mine: Any, right: Any) -> bool:
    numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (mine, right))
    return math.isclose(mine, right, rel_tol=CLOSE, abs_tol=CLOSE) if numbers else bool(mine == right)


def _line(text: str, right: str) -> str:
    """Where two pages that say the same are not the same."""
    for i, (a, b) in enumerate(zip(text.splitlines(), right.splitlines(), strict=False), 1):
        if a != b:
            return f"File › markup, line {i} of what is not sealed apart"
    return "File › markup at its end"
