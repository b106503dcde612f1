"""The checks of the audit. Each reads the written files and answers with a status, a number and a sentence."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mdaf_core.data.audit import (
    clock,
    copies,
    encodings,
    files,
    groups,
    histories,
    labels,
    lists,
    scales,
    source,
    splits,
    texts,
    together,
    values,
)
from mdaf_core.data.audit.audit import Check
from mdaf_core.data.audit.base import Written
from mdaf_core.data.formats.base import Progress, no_progress
from mdaf_core.data.store.dataset import PreparedDataset

_QUESTIONS: tuple[Callable[[Written], Iterator[Check]], ...] = (
    files.integrity,
    histories.histories,
    lists.ready_made_lists,
    splits.splits,
    splits.interleaved,
    splits.repeated_rows,
    copies.copied_users,
    copies.rows_again,
    labels.labels,
    files.vocabulary,
    files.reserved_codes,
    labels.label_leak,
    values.deciding_values,
    labels.unknown_by_label,
    values.missing_by_label,
    texts.written_ids,
    encodings.encodings,
    together.inputs_together,
    clock.times_by_label,
    groups.one_label_groups,
    values.blank_inputs,
    scales.scales,
    source.unseen,
    groups.concentrated_users,
    source.input_notes,
)


def run_checks(dataset: PreparedDataset, progress: Progress = no_progress) -> list[Check]:
    """Every check that applies, the gravest questions first."""
    data = Written(dataset)
    found: list[Check] = []
    for i, question in enumerate(_QUESTIONS):
        progress(i / len(_QUESTIONS), f"Auditing: {question.__name__.replace('_', ' ')}")
        found += question(data)
    return found
