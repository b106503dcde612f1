"""Protocol twins: the same input with the same options, its rows split by time instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.reading.files import exists, expand
from mdaf_core.data.store.dataset import readable_datasets
from mdaf_core.data.store.schema import SPLITS, DatasetMeta

BY_TIME = ("time", "last-day")
"""Kinds of split in which no row trains that is later than one of test."""
_OF_SPLIT = {"split", "fractions", "val_from", "test_from", "split_seed", "expect_md5", "accept_md5"}


@dataclass(frozen=True)
class Request:
    """What `data.prepare.pipeline.prepare` and `tasks.prepare` take."""

    source: str
    path: Path | None
    name: str
    options: dict[str, Any]


def twin_request(meta: DatasetMeta, path: Path | None = None, name: str | None = None) -> Request:
    """How the twin of a data set is prepared: split by time, with the shares of rows that its parts have.

    Args:
        path: where the input lies now; default: where it lay when the data set was prepared.
        name: of the twin; default: that of the data set, and `-by-time`.

    Raises:
        UsageError: it is split by time already, its rows carry no time, or its input is not where it was.
    """
    if meta.split.get("kind") in BY_TIME:
        raise UsageError(f"Data set {meta.name!r} is split by time already: there is nothing to hold against it.")
    if not meta.has_time:
        raise UsageError(f"The rows of {meta.name!r} carry no time: no split of them is by time.")
    found = get_source(meta.source)
    where = path or (Path(meta.path) if meta.path else None)
    if found.path_help and (where is None or not exists(expand(where))):
        gone = f"is not at {where} any more" if where else "lies somewhere that was not recorded"
        raise UsageError(f"The input of {meta.name!r} {gone}: name its place (--path).")
    rows = [meta.splits[split].rows for split in SPLITS]
    kept = {key: value for key, value in meta.options.items() if key in found.options.model_fields}
    options = {key: value for key, value in kept.items() if key not in _OF_SPLIT or key.endswith("md5")}
    options |= {"split": "time", "fractions": [count / sum(rows) for count in rows]}
    return Request(meta.source, where, name or f"{meta.name[:72]}-by-time", options)


def same_input(one: DatasetMeta, other: DatasetMeta) -> bool:
    """Whether two data sets are of the same input, read with the same options but for those of the split."""
    if one.source != other.source or _sums(one) != _sums(other):
        return False
    try:
        files = set(get_source(one.source).options.given_files())  # their content is among the sums
    except StudioError:  # of a plug-in that is not at hand
        files = set()
    keys = (one.options.keys() & other.options.keys()) - _OF_SPLIT - files
    return all(one.options[key] == other.options[key] for key in keys)


def twins_of(meta: DatasetMeta) -> list[DatasetMeta]:
    """Prepared data sets of the same input with another split, those by time first."""
    found = [
        other
        for other in readable_datasets()[0]
        if other.name != meta.name and other.split != meta.split and same_input(meta, other)
    ]
    return sorted(found, key=lambda other: other.split.get("kind") not in BY_TIME)


def share_input(one: DatasetMeta, other: DatasetMeta) -> bool:
    """Whether two data sets were made from a file in common, however it was read: they hold the same users."""
    return bool(set(_sums(one)) & set(_sums(other)) - {"None"})


def _sums(meta: DatasetMeta) -> list[str]:
    return sorted(str(facts.get("sha256")) for facts in meta.fingerprint.get("inputs", {}).values())
