"""New rows as a data set's source reads them: its own files, or one plain table with the names of the fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import Progress
from mdaf_core.data.apply.pieces import cut
from mdaf_core.data.formats import table
from mdaf_core.data.formats.base import EventRule, RawTable, Source, check_path, rows_as_events
from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.reading.files import exists, expand, first_line, header, is_folder, is_packed, open_input
from mdaf_core.data.reading.json_lines import looks_like_json_lines
from mdaf_core.data.reading.stages import stages_in
from mdaf_core.data.reading.table_file import delimiter_of
from mdaf_core.data.store.schema import DatasetMeta

SHOWN = ("user", "item", "timestamp")
"""Columns of the input that predictions are told apart by, where rows have them."""
CALENDAR = ("hour", "dayofweek")
"""Fields that are made of the time."""


@dataclass
class NewFile:
    """A file of new rows, and how it is read.

    Attributes:
        meta: of the data set that the rows are added to.
        path: the file or folder; beside: folder with the other files of the source, where `path` holds rows alone.
        scratch: an empty folder for what is read.
    """

    meta: DatasetMeta
    path: Path
    scratch: Path
    beside: Path | None = None
    skip_bad_rows: bool = False

    def __post_init__(self) -> None:
        self.source: Source = get_source(self.meta.source)
        known = {name: value for name, value in self.meta.options.items() if name in self.source.options.model_fields}
        self.options: Any = self.source.options.model_validate(known)

    def read(self, progress: Progress) -> Iterator[RawTable]:
        """Its rows in order, in one or more tables.

        Raises:
            BadInputError: as the source's reader; of a plain table as that of `table`.
            UsageError: the path is none, or the rows lack what belongs to them.
        """
        try:
            yield from self._read(progress)
        except BadInputError as error:
            words = error.problem.replace("prepare with skip_bad_rows=true", "predict with --skip-bad-rows")
            raise BadInputError(words, error.path, error.line, error.text) from None

    def _read(self, progress: Progress) -> Iterator[RawTable]:
        reads_tables = self.source.name == table.SOURCE.name
        is_file = exists(self.path) and not self.path.is_dir()
        if is_file and (reads_tables or (self._holds_one_file() and self._is_plain())):
            yield from self._tables(self.options if reads_tables else self._plain_options(), progress, not reads_tables)
            return
        if not self.source.path_help or reads_tables:
            expected = "a file" if reads_tables else f"a table with the columns {', '.join(self._columns())}"
            raise BadInputError(f"There is no such file; expected {expected}.", self.path)
        path = check_path(self.source, self._composed())
        options = self.options.for_new_rows(self.skip_bad_rows)
        with self._told_of_the_path(), stages_in(self.scratch / "read"):
            if self.source.check is not None and path is not None:
                self.source.check(path, options)
            raw = self.source.read(path, options, progress)
        yield raw

    def shown_names(self, taken: Sequence[str]) -> dict[str, str]:
        """What the input calls user, item and timestamp; as here, where that is one of the names `taken`."""
        names = {name: name for name in SHOWN}
        if self.source.name == table.SOURCE.name:
            names |= {name: getattr(self.options, name) or name for name in SHOWN}
        return {name: own if own not in taken else name for name, own in names.items()}

    # One plain table -----------------------------------------------------------------------------------------------

    def _columns(self) -> list[str]:
        """Of a plain table: fields that are not made of the time, and what orders rows and tells users apart."""
        meta, names = self.meta, [field.name for field in self.meta.fields if field.name not in CALENDAR]
        made_of_time = any(field.name in CALENDAR for field in meta.fields)
        needed = [("user", bool(meta.history_fields)), ("timestamp", bool(meta.history_fields) or made_of_time)]
        return [*names, *(name for name, wanted in needed if wanted and name not in names)]

    def _holds_one_file(self) -> bool:
        """Whether the path is a file by itself, or an archive of one."""
        if not is_folder(self.path):
            return True
        try:
            with open_input(self.path):
                return True
        except BadInputError:
            return False

    def _is_plain(self) -> bool:
        """Whether the file is a table whose columns are named as the fields: half of the names tell."""
        if self.source.is_own(self.path):
            return False
        with open_input(self.path) as opened:
            start = opened.read(65536)
        if start.startswith(b"PAR1") or looks_like_json_lines(start):
            return True
        named = header(self.path, delimiter_of(first_line(self.path)))
        return len(set(self._columns()).intersection(named)) >= max(1, len(self._columns()) / 2)

    def _plain_options(self) -> table.TableOptions:
        """How `table` reads such a table."""
        meta, columns = self.meta, self._columns()
        own = [name for name in ("item", "category", "user") if name in columns]
        numbers = [*meta.numeric, *self.source.numbers(self.options)]
        return table.TableOptions.model_validate(
            {name: name for name in own}
            | {
                "timestamp": "timestamp" if "timestamp" in columns else None,
                "timestamp_unit": meta.time_unit if meta.calendar else "order",
                "timezone": meta.timezone,
                "categorical": [c for c in columns if c not in (*own, *numbers, "timestamp")],
                "numeric": [c for c in columns if c in numbers],
                "calendar": False,
                "history": "none",
                "delimiter": delimiter_of(first_line(self.path)),
            }
        )

    def _tables(self, options: table.TableOptions, progress: Progress, plain: bool) -> Iterator[RawTable]:
        options = options.for_new_rows(self.skip_bad_rows)
        columns = table.used_columns(options)
        if not is_packed(self.path):  # of what is packed, the first piece tells
            table.require_columns(self.path, options)
        delimiter = "\t" if ".tsv" in self.path.suffixes and options.delimiter == "," else options.delimiter
        for piece in cut(self.path, self.scratch, columns, header=not options.names, delimiter=delimiter):
            with piece.told_of_the_file():
                raw = table.read(piece.path, options, lambda *_: None)
            progress(piece.share, f"Reading {self.path.name}: {piece.share:.0%}")
            yield self._as_of_source(raw) if plain else raw

    def _as_of_source(self, raw: RawTable) -> RawTable:
        """A plain table's rows as the source's own: numbers become ids, rows that are events enter the log."""
        numbers = [name for name in self.source.numbers(self.options) if name in raw.rows.columns]
        rows = raw.rows.with_columns(self.source.from_numbers(pl.col(name)).alias(name) for name in numbers)
        rule: EventRule = self.source.event_rule(self.options)
        events = None
        names = self.meta.history_fields
        if names and rule != "none" and set(names) <= set(rows.columns):
            events = rows_as_events(rows, rule, names)
        raw.rows, raw.events, raw.history_fields = rows, events, list(names)
        return raw

    # The source's own files ----------------------------------------------------------------------------------------

    def _composed(self) -> Path:
        """The path; or where it holds rows alone, a folder in which they stand beside the source's other files."""
        if self.source.main_file is None or is_folder(self.path) or not self.path.exists():
            if self.beside is not None:
                raise UsageError("--beside goes with a path that is the file of rows of a source of several files.")
            return self.path
        holder, main = self._holder()
        if holder == self.path.parent and self.path.name.startswith(main):
            return self.path
        folder = self._input
        folder.mkdir()
        for file in holder.iterdir():
            if file.is_file() and not file.name.startswith(main):
                (folder / file.name).symlink_to(file.resolve())
        ending = self.path.suffix if self.path.suffix in (".gz", ".zip") else ""
        (folder / (main + ending)).symlink_to(self.path.resolve())
        return folder

    def _holder(self) -> tuple[Path, str]:
        """The folder with the source's other files, and the name of its file of rows."""
        assert self.source.main_file is not None
        beside = self.path.parent if self.beside is None else expand(self.beside)
        try:
            main = self.source.main_file(beside)
            nested = sorted(child for child in beside.iterdir() if child.is_dir()) if self.beside is not None else []
            found = next((folder for folder in [beside, *nested] if exists(folder / main)), None)
            if found is not None or self.beside is not None:
                return found or beside, main
        except (BadInputError, OSError):
            pass
        where = f"{beside} does not hold them. " if self.beside is not None else ""
        raise UsageError(
            f"{self.path.name} holds rows alone: say with --beside where the source's other files are. {where}Expected "
            f"{self.source.path_help}; or take a table with the columns {', '.join(self._columns())}."
        )

    @property
    def _input(self) -> Path:
        return self.scratch / "input"

    @contextmanager
    def _told_of_the_path(self) -> Iterator[None]:
        """What is wrong with a file of the composed folder is wrong with the file it stands for."""
        try:
            yield
        except BadInputError as error:
            if error.path is None or not Path(error.path).is_relative_to(self._input):
                raise
            raise BadInputError(error.problem, Path(error.path).resolve(), error.line, error.text) from None
