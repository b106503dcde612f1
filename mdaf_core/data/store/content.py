"""Are a data set's files as they were written? By their hashes."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.dataset import PreparedDataset


def content_hashes(folder: Path) -> dict[str, str]:
    """sha256 of every Arrow file of a prepared data set, by its path inside the folder."""
    paths = sorted(folder.rglob("*.arrow"))
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(_sha256, paths))
    return {path.relative_to(folder).as_posix(): digest for path, digest in zip(paths, found, strict=True)}


def every_hash(dataset: PreparedDataset) -> dict[str, str]:
    """sha256 of every file of a data set, by its path inside the folder: of Arrow files as the preparation wrote it
    down, where it did; others are read."""
    recorded: dict[str, str] = dataset.meta.fingerprint.get("content", {}) or content_hashes(dataset.path)
    files = [path for path in dataset.path.rglob("*") if path.is_file() and not path.name.startswith(".")]
    names = {path.relative_to(dataset.path).as_posix(): path for path in files}
    return recorded | {name: _sha256(path) for name, path in names.items() if name not in recorded}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


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
