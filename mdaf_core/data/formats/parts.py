"""Options of sources whose parts may be given: training, validation and test rows in files of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from pydantic import Field, JsonValue, model_validator

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.formats.options import Implied, SourceOptions
from mdaf_core.data.reading.files import exists, expand, find, inside, is_folder
from mdaf_core.data.reading.parts import Part, parts_in

FILE: dict[str, JsonValue] = {"file": True}
"""Options that name further files of the input: a form lets them be browsed for."""


class PartsOptions(SourceOptions):
    """Options of a source whose parts may be files of their own. Names are looked up beside the training file first."""

    train_path: str | None = Field(
        None,
        json_schema_extra=FILE,
        description="File of the training rows, where the path is a folder that does not tell it by its name.",
    )
    val_path: str | None = Field(
        None,
        json_schema_extra=FILE,
        description="File of the validation rows, kept row for row (split given). Without it, beside a test file, they "
        "are made of training rows.",
    )
    test_path: str | None = Field(
        None, json_schema_extra=FILE, description="File of the test rows, kept row for row (split given)."
    )

    @classmethod
    def implied(cls, chosen: dict[str, Any]) -> dict[str, Implied]:
        by = next((name for name in ("test_path", "val_path") if chosen.get(name)), None)
        return {"split": Implied("given", by, False)} if by else {}

    @model_validator(mode="after")
    def _take_given_parts(self) -> Self:
        implied = self.implied(self.model_dump())
        if "split" in implied and "split" not in self.model_fields_set:
            self.split = implied["split"].value
        return self


def part_files(path: Path, options: PartsOptions, main: str | None = None) -> list[Part]:
    """The files to read, in the order of their rows: training, validation, test; or the one that holds all.

    Args:
        main: the file's name in a folder; None: the parts of a folder are told by their names.

    Raises:
        UsageError: the path is a file, and `train_path` another.
        BadInputError: an option names a file that is not there, or the folder holds no such files.
    """
    folder = path if is_folder(path) else path.parent
    if options.new_rows:
        return [Part(None, inside(path, main) if main else path)]
    named = {"train": options.train_path, "val": options.val_path, "test": options.test_path}
    found = {split: _located(name, folder, f"{split}_path") for split, name in named.items() if name}
    if "train" in found and folder != path and found["train"].resolve() != path.resolve():
        raise UsageError(
            f"The path is the training file {path.name} already: leave train_path out, or take its folder."
        )
    if "train" not in found:
        if main is None and path.is_dir():
            found = dict(parts_in(path)) | found
        else:
            found["train"] = inside(path, main) if main else path
    if len(found) == 1:
        return [Part(None, found["train"])]
    return [Part(split, found[split]) for split in ("train", "val", "test") if split in found]


def files_of_parts(parts: list[Part]) -> list[Path]:
    """Where the bytes of these files are; an archive of several once."""
    return list(dict.fromkeys(find(path).file for _, path in parts))


def absolute_files(options: SourceOptions, given: dict[str, Any], path: Path | None) -> dict[str, Any]:
    """Options as they were given, with the files that they name by their whole paths: a job runs in another folder.

    Raises:
        BadInputError: there is no such file.
    """
    folder = Path() if path is None else path if is_folder(path) else path.parent
    named = {name: getattr(options, name) for name in options.given_files()}
    return given | {name: str(_located(file, folder, name).resolve()) for name, file in named.items() if file}


def _located(name: str, folder: Path, option: str) -> Path:
    given = expand(Path(name))
    for path in (folder / given, given):
        if exists(path):
            return path
    raise BadInputError(f"There is nothing at the path of {option}, neither here nor beside the training file.", given)
