"""A capsule from a study: as much of the predictions inside as fits."""

from __future__ import annotations

import json
from dataclasses import dataclass

from mdaf_core.base.errors import StudioError
from mdaf_core.reporting.capsule.anonymous import anonymous as without_names
from mdaf_core.reporting.capsule.page import blocks, document, library, seal_id
from mdaf_core.reporting.capsule.rebuilt import metrics_of
from mdaf_core.reporting.capsule.record import Record, different, take
from mdaf_core.reporting.capsule.scores import CARRIED, Columns, columns_of, pack
from mdaf_core.reporting.material import Material

MOST_BYTES = 5_000_000
BESIDE = ".predictions"


@dataclass(frozen=True)
class Capsule:
    """The file, and what lies beside it: its predictions where they do not fit inside, else nothing."""

    html: str
    beside: bytes
    record: Record

    @property
    def seal(self) -> str:
        """Its seal's number."""
        return seal_id(json.loads(blocks(self.html)["seal"]))

    @property
    def words(self) -> str:
        """What it holds, in a sentence."""
        inside = f"predictions are in {self.record.beside}, beside it" if self.beside else "predictions are inside"
        gates = "" if self.record.gates else ", without those of the branches: Gates are left out"
        return f"{len(self.html.encode()) / 1e6:.1f} MB; {inside}{gates}."


def capsule(
    material: Material,
    name: str | None = "study.html",
    *,
    anonymous: bool = False,
    title: str = "",
    most: int = MOST_BYTES,
) -> Capsule:
    """The capsule of a study.

    Predictions are inside; without those of the branches where the file would have more than `most` bytes; beside it
    where it still would.

    Args:
        name: of the file; that of predictions beside it follows from it. None: they are inside, however large.
        anonymous: see `anonymous`; with `title` in the place of the study's.

    Raises:
        UsageError: none of the study's runs has finished.
        StudioError: a run has no predictions, or its stored metrics are not those of its predictions.
    """
    record = take(material)
    if anonymous:
        record = without_names(record, title)
    elif title:
        record.study.title = title
    script = library()
    whole = {run.facts["run_id"]: columns_of(run.facts["run_id"], record.split, gates=True) for run in record.scored}
    _check(record, whole)
    packed = pack(whole)
    html = document(record, whole, packed, script)
    if len(html.encode()) <= most:
        return Capsule(html, b"", record)
    basic: dict[str, Columns] = {
        run: {key: values for key, values in columns.items() if key in CARRIED} for run, columns in whole.items()
    }
    small = pack(basic)
    if name is None or len(html.encode()) + (len(small) - len(packed)) * 4 / 3 <= most:
        record.gates = False
        return Capsule(document(record, basic, small, script), b"", record)
    record.beside = name.removesuffix(".html") + BESIDE
    return Capsule(document(record, whole, b"", script), packed, record)


def _check(record: Record, scores: dict[str, Columns]) -> None:
    """Nothing is sent out that its own predictions contradict."""
    for run in record.scored:
        assert run.result is not None
        found = different(getattr(run.result, record.split), metrics_of(scores[run.facts["run_id"]]))
        for key, (held, value) in found.items():
            raise StudioError(
                f"Run {run.facts['run_id'][:8]} ({run.facts['configuration']}, seed {run.facts['seed']}) holds "
                f"{key} = {held:.10g}, but its predictions give {value:.10g}: one of its files was changed. "
                "Train it again."
            )
