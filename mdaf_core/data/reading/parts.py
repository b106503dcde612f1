"""Training, validation and test rows in files or folders of their own: which is which part, read one after another."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.base.progress import Progress
from mdaf_core.data.reading.files import exists, is_folder
from mdaf_core.data.reading.text import EXAMPLES, Text
from mdaf_core.data.store.schema import SPLITS, Split

PARTS = pl.Enum(SPLITS)
"""Type of a column that says the part of each row."""
WORDS: dict[str, Split] = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""What parts are called in names of files and in columns."""


class Part(NamedTuple):
    """A file, and the part that all its rows are; None where it is not divided, or divided by a column."""

    split: Split | None
    path: Path


def part_of(name: str) -> tuple[Split, str] | None:
    """The part that a file's name says, and the name without that word; None where it says none, or several."""
    tokens = re.split(r"([\W_]+)", name.lower())
    said = [token for token in tokens if token in WORDS]
    return (WORDS[said[0]], "".join(token for token in tokens if token not in WORDS)) if len(said) == 1 else None


def parts_beside(path: Path) -> dict[Split, Path]:
    """The file and those beside it whose names differ only in the word for the part; empty where it has no such name,
    or there is no test file."""
    own = part_of(path.name)
    if own is None or not path.parent.is_dir():
        return {}
    found: dict[Split, Path] = {}
    for file in sorted(path.parent.iterdir()):
        named = part_of(file.name)
        if named and named[1] == own[1] and file.is_file():
            found.setdefault(named[0], file)
    found[own[0]] = path
    return {split: found[split] for split in SPLITS if split in found} if {"train", "test"} <= found.keys() else {}


def parts_in(folder: Path) -> dict[Split, Path]:
    """The files of a folder that are the parts of one table.

    Raises:
        BadInputError: there are none, or those of several tables.
    """
    files = sorted(file for file in folder.iterdir() if file.is_file())
    groups = {named[1]: file for file in files if (named := part_of(file.name)) and parts_beside(file)}
    if len(groups) == 1:
        return parts_beside(next(iter(groups.values())))
    held = ", ".join(file.name for file in files[:8]) or "no file"
    what = "several tables in parts" if groups else "no training and test file by their names (train.csv, test.csv)"
    raise BadInputError(f"This folder holds {what}: name the file, or set train_path. It holds {held}.", folder)


def unused(taken: Collection[str], name: str) -> str:
    """The name, with a number behind it where it is taken: files of two folders may be called alike."""
    return next(one for n in range(1, len(taken) + 2) if (one := name if n == 1 else f"{name} {n}") not in taken)


def with_part(frame: pl.DataFrame, split: Split | None) -> pl.DataFrame:
    """The frame with its part in the column `split`, in pieces as its other columns have: else they would be copied."""
    if split is None:
        return frame
    lengths = frame.to_series(0).chunk_lengths() if frame.width else [frame.height]
    pieces = [pl.Series("split", [split], dtype=PARTS).new_from_index(0, length) for length in lengths]
    return frame.with_columns(pl.concat(pieces, rechunk=False))


def read_parts(
    parts: Sequence[Part], read: Callable[[Path, str, Progress], Text], progress: Progress
) -> tuple[Text, dict[str, dict[str, Any]]]:
    """Read files of lines one after another, in their order.

    Args:
        read: reads a file, with the name of its stage, as `read_text`.

    Returns:
        What was read of all, as of one file, with a column `split` where the files are parts; and `RawTable.inputs`.
    """
    whole, frames = Text(pl.DataFrame()), []
    inputs: dict[str, dict[str, Any]] = {}
    sizes = [max(1, path.stat().st_size if path.is_file() else 1) for _, path in parts]
    for i, (split, path) in enumerate(parts):
        before, own = sum(sizes[:i]) / sum(sizes), sizes[i] / sum(sizes)

        def within(share: float, message: str, before: float = before, own: float = own) -> None:
            progress(before + own * share, message)

        text = read(path, f"rows-{split}" if split else "rows", within)
        frames.append(with_part(text.frame, split))
        inputs[unused(inputs, text.name)] = text.fingerprint
        whole.skipped += text.skipped
        whole.dropped += text.dropped
        for kind, found in text.examples.items():
            kept = whole.examples.setdefault(kind, [])
            kept += found[: EXAMPLES - len(kept)]
    whole.frame = pl.concat(frames, how="vertical_relaxed", rechunk=False)
    return whole, inputs


_ARCHIVES = (".zip", ".tar.gz", ".tgz")


def part_folders(
    path: Path, main: str, expected: str, labelled: Callable[[Path], bool]
) -> tuple[list[Part], list[str]]:
    """The folders (or archives) that hold the parts of a data set, training first; and sentences on those that are
    none. A part without labels is none; where no other is named test, the one that is named validation (or dev) is it,
    as is usual with these sets.

    Args:
        path: one that holds `main` itself, undivided; or one with a folder for each part.
        main: the file of rows in each; expected: what is expected, for messages.
        labelled: whether a folder's rows have labels.

    Raises:
        BadInputError: there is no such folder, or those of several sets; or labels are lacking.
    """
    folder = path if is_folder(path) else path.parent
    if exists(folder / main):
        if not labelled(folder):
            raise BadInputError(f"{_UNLABELLED} Take another part, or predict these rows.", folder / main)
        return [Part(None, folder)], []
    sets: dict[str, dict[Split, Path]] = {}
    for child in sorted(folder.iterdir(), key=lambda child: child.is_file()) if folder.is_dir() else []:
        name = next((child.name.removesuffix(end) for end in _ARCHIVES if child.name.endswith(end)), child.name)
        named = part_of(name)
        if named and is_folder(child) and exists(child / main):
            sets.setdefault(named[1], {}).setdefault(named[0], child)
    if len(sets) != 1:
        held = ", ".join(sorted(child.name for child in folder.iterdir())[:8]) if folder.is_dir() else ""
        what = "parts of several data sets: take a folder with one" if sets else f"no {main}"
        where = "This folder" if folder == path else f"The folder of {path.name}"
        raise BadInputError(f"{where} holds {what}; expected {expected}.{f' It holds {held}.' if held else ''}", path)
    found = next(iter(sets.values()))
    bare = {split: child for split, child in found.items() if not labelled(child)}
    kept = {split: child for split, child in found.items() if split not in bare}
    if "test" not in kept and "val" in kept:
        kept["test"] = kept.pop("val")
    if bare and len(kept) < 2:
        child = next(iter(bare.values()))
        raise BadInputError(
            f"{_UNLABELLED} It can be no part of a data set; put the part beside it that is named validation or dev, "
            "which is the usual test, or take one folder and another split.",
            child / main,
        )
    notes = [
        f"{child.name} was not read: its rows have no labels. "
        + ("The part named validation or dev is the test." if split == "test" else "")
        for split, child in bare.items()
    ]
    parts = [Part(split, kept[split]) for split in SPLITS if split in kept]
    return [Part(None, parts[0].path)] if len(parts) == 1 else parts, [note.strip() for note in notes]


_UNLABELLED = "These rows have no labels, as the test part is published."
