"""A sample of rows of all parts that several checks share, and its inputs as few codes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mdaf_core.data.store.dataset import Rows
from mdaf_core.data.store.schema import SPLITS, FieldSpec, Split

_MOST = {"train": 200_000, "val": 100_000, "test": 100_000}
_POINT_SHARE, _POINT_ROWS = 0.002, 20
_MOST_POINTS, _MOST_BINS, _BIN_ROWS = 64, 100, 100


class Coded(NamedTuple):
    """An input as codes.

    Attributes:
        codes: (N,) int64.
        words: of each code, for people; None for ids, whose codes are those of the data set.
        missing: the code of a missing value; -1 where none is missing.
    """

    codes: np.ndarray
    words: list[str] | None
    missing: int


class Sample:
    """Rows of all parts, one behind the other: so many of each that a check is quick, drawn evenly over the part.

    Attributes:
        at: split → positions in the part; part: (N,) 0 training, 1 validation, 2 test; label: (N,) 0 or 1.
    """

    def __init__(self, rows: Mapping[Split, Rows], missing: dict[str, int], most: dict[str, int] | None = None):
        limits = _MOST if most is None else most
        self._rows, self._missing = rows, missing
        self._coded: dict[str, Coded] = {}
        self.at = {split: drawn(len(part), limits[split]) for split, part in rows.items()}
        self.part = np.repeat(np.arange(len(SPLITS)), [len(self.at[split]) for split in SPLITS])
        self.label = self.column("label").astype(np.int64)

    def column(self, name: str) -> np.ndarray:
        return np.concatenate([self._rows[split].columns[name][self.at[split]] for split in SPLITS])

    def positions(self, chosen: np.ndarray) -> dict[Split, np.ndarray]:
        """By split, the positions in it of those rows of the sample where `chosen` holds."""
        return {split: self.at[split][chosen[self.part == i]] for i, split in enumerate(SPLITS)}

    def coded(self, field: FieldSpec) -> Coded:
        if field.name not in self._coded:
            values = self.column(field.name)
            self._coded[field.name] = (
                Coded(np.maximum(values, 0).astype(np.int64), None, self._missing.get(field.name, -1))
                if field.kind == "categorical"
                else binned(field.numbers(values))
            )
        return self._coded[field.name]


def binned(values: np.ndarray) -> Coded:
    """Numbers as codes: 0 missing; each number that many rows share; then the others by quantiles."""
    missing = np.isnan(values)
    there = values[~missing]
    codes = np.zeros(len(values), np.int64)
    if not len(there):
        return Coded(codes, ["missing"], 0)
    numbers, inverse, counts = np.unique(there, return_inverse=True, return_counts=True)
    often = np.arange(len(numbers))
    if len(numbers) > _MOST_POINTS:
        often = np.argsort(counts, kind="stable")[::-1][:_MOST_POINTS]
        often = np.sort(often[counts[often] >= max(_POINT_ROWS, _POINT_SHARE * len(values))])
    point = np.full(len(numbers), -1)
    point[often] = np.arange(len(often))
    own = point[inverse]
    rest = there[own < 0]
    bins = int(np.clip(len(rest) // _BIN_ROWS, 1, _MOST_BINS))
    edges = np.unique(np.quantile(rest, np.linspace(0, 1, bins + 1)[1:-1])) if len(rest) else np.empty(0)
    found = 1 + np.where(own >= 0, own, len(often) + np.searchsorted(edges, there, "right"))
    codes[~missing] = found
    ends = [f"below {edges[0]:.6g}" if len(edges) else "of any other value"]
    ends += [f"from {low:.6g} to {high:.6g}" for low, high in pairwise(edges)]
    ends += [f"from {edges[-1]:.6g} on"] if len(edges) else []
    return Coded(codes, ["missing", *(f"{number:.6g}" for number in numbers[often]), *ends], 0 if missing.any() else -1)


def drawn(size: int, most: int) -> np.ndarray:
    """Positions of at most so many rows, ascending, one drawn from each of equally long stretches: where labels or
    inputs alternate in the file, evenly spaced positions would see one kind alone."""
    if size <= most:
        return np.arange(size)
    edges = np.linspace(0, size, most + 1).astype(np.int64)
    return edges[:-1] + (np.random.default_rng(0).random(most) * np.diff(edges)).astype(np.int64)
