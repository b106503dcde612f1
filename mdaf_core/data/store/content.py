"""Are a data set's files as they were written? By their hashes."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.dataset import PreparedDataset


def content_hashes(folder: Path) -> dict[str, str]:
    """sha256 of every Arrow file of a prepared data set, by its path inside the folder."""
    found = {}
    for path in sorted(folder.rglob("*.arrow")):
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def altered_files(recorded: dict[str, str], actual: dict[str, str]) -> list[str]:
    """Paths whose hashes differ, or that are in one of the two alone."""
    return sorted(path for path in recorded.keys() | actual.keys() if recorded.get(path) != actual.get(path))


def check_unaltered(dataset: PreparedDataset) -> None:
    """Read all files and compare them with what the preparation wrote.

    Raises:
        StudioError: names the files that were altered or are missing.
    """
    recorded = dataset.meta.fingerprint.get("content", {})
    altered = altered_files(recorded, content_hashes(dataset.path)) if recorded else []
    if altered:
        raise StudioError(
            f"Data set {dataset.name!r} is not as it was prepared: {', '.join(altered)} changed or missing. "
            "Prepare it again; results on it could not be compared with others."
        )
