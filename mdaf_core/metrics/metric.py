"""What a metric is: how it is computed from scored rows, how it would vary over other users, and what is said of it."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, TypeVar

import numpy as np

from mdaf_core.base.errors import StudioError
from mdaf_core.metrics.jackknife import left_out
from mdaf_core.metrics.values import Floats, Scored, Undefined

Found = TypeVar("Found")
RESERVED = (
    *("rows", "positives", "users", "effective_users", "largest_user", "auc_se", "gauc_coverage", "oracle_auc"),
    *("oracle_share", "definitions", "undefined"),
)
"""What else stands beside the metrics of a run by its name, and is no metric's key."""
FIRST_DEFINITION = "1"
"""Of a metric of the program whose definition has never changed, and of those in results of before it was kept."""


@dataclass(frozen=True)
class Metric:
    """One figure of scored rows. What lists, help texts, tables, captions and sentences say of it is taken from here.

    Attributes:
        key: its name in commands, links and files: `pr_auc`.
        title: as headings, axes and lists begin with it: `Log loss`.
        direction: 1 where larger is better, -1 where smaller is.
        value: the metric of rows. Raises `Undefined`, with the reason, where it has none.
        errors: its sampling errors, one a unit of the rows, as `jackknife.errors` makes them. None: it is computed
            again without each unit in turn (`jackknife.left_out`): right for every metric, and slower.
        words: the title inside a sentence, where it is not the title with a small first letter.
        definition, undefined: in a line each, what it is and when it has no value.
        gain: (value, base rate) → what the value gains over predicting the base rate for every row; None: no margin of
            parity has a meaning, and `no_margin` says why.
        gain_words: its formula, for sentences: `AUC − 0.5`.
        in_bp: whether a margin in bp has a meaning, too: the metric's size does not depend on the click rate.
        note: said with every comparison by it.
        hint: said where the metric is chosen.
        place: order in lists; in one place by title.
        in_results: whether it stands in every table of results.
        version: raised when its definition changes: values that runs kept by another one are computed anew.
    """

    key: str
    title: str
    direction: Literal[1, -1]
    value: Callable[[Scored], float]
    errors: Callable[[Scored], Floats] | None = None
    words: str = ""
    definition: str = ""
    undefined: str = ""
    gain: Callable[[float, float], float] | None = None
    gain_words: str = ""
    in_bp: bool = False
    no_margin: str = ""
    note: str = ""
    hint: str = ""
    place: int = 100
    in_results: bool = False
    version: int = 1

    def __post_init__(self) -> None:
        if not self.words:
            inner = self.title[0].lower() + self.title[1:] if self.title[1:2].islower() else self.title
            object.__setattr__(self, "words", inner)
        if not self.no_margin and self.gain is None:
            why = "it declares no gain over predicting the base rate, so no margin of it has a meaning"
            object.__setattr__(self, "no_margin", f"parity in {self.words} cannot be shown: {why}")

    @cached_property
    def file(self) -> Path:
        """Where its value is computed."""
        function = getattr(self.value, "func", self.value)  # of a partial one: whose it is
        return Path(getattr(sys.modules.get(function.__module__), "__file__", None) or self.key)

    @cached_property
    def identity(self) -> str:
        """What tells one definition from another: the version, and of a plug-in a hash of its file."""
        if self.file.parent == Path(__file__).parent:
            return str(self.version)
        content = self.file.read_bytes() if self.file.is_file() else str(self.file).encode()
        return f"{self.version}-{hashlib.sha256(content).hexdigest()[:16]}"

    def of(self, rows: Scored) -> float:
        """Its value.

        Raises:
            Undefined: it has none, or its code failed; the reason is a sentence.
        """
        value = self._run(lambda: float(self.value(rows)))
        if not np.isfinite(value):
            raise Undefined(f"The {self.words} of these predictions is not a finite number.")
        return value

    def sampling_errors(self, rows: Scored) -> Floats:
        """(K,) sampling errors over the rows' units, see `jackknife`.

        Raises:
            Undefined: there are none, or its code failed; the reason is a sentence.
        """
        own = self.errors
        if own is None:
            return left_out(self.of, rows)
        found = self._run(lambda: np.asarray(own(rows), np.float64))
        units = int(rows.units.max(initial=-1)) + 1
        if found.shape != (units,) or not np.isfinite(found).all():
            raise Undefined(
                f"The metric {self.key!r} has no sampling errors: they must be {units:,} finite numbers, one a unit; "
                f"got shape {found.shape} ({self.file})."
            )
        return found

    def gained(self, value: float, base_rate: float) -> float | None:
        """What a value gains over predicting the base rate for every row; None for one label, or without a `gain`.

        Raises:
            Undefined: its code failed.
        """
        gain = self.gain
        return None if gain is None or not 0 < base_rate < 1 else self._run(lambda: float(gain(value, base_rate)))

    def _run(self, compute: Callable[[], Found]) -> Found:
        """What `compute` returns; a fault in a metric's code is a reason why it has no value, never an end."""
        try:
            return compute()
        except StudioError:
            raise
        except Exception as error:
            frames = traceback.extract_tb(error.__traceback__)
            line = next((f", line {one.lineno}" for one in reversed(frames) if one.filename == str(self.file)), "")
            said = str(error).rstrip(".")
            raise Undefined(
                f"The metric {self.key!r} failed: {type(error).__name__}: {said} ({self.file}{line})."
            ) from error
