"""Parts that are folders, as publishers name them: `MINDsmall_train` and `MINDsmall_dev`, `train` and `validation`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.reading.files import exists, is_folder
from mdaf_core.data.reading.parts import Part, part_of
from mdaf_core.data.store.schema import SPLITS, Split

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
        raise BadInputError(
            f"This folder holds {what}; expected {expected}.{f' It holds {held}.' if held else ''}", path
        )
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
