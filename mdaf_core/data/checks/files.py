"""Are the files as they were written, and do codes mean what they should?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mdaf_core.data.audit import Check, content_hashes
from mdaf_core.data.checks.base import Written, check
from mdaf_core.data.schema import FIRST_ID, PADDING, SPLITS, UNKNOWN


def integrity(data: Written) -> Iterator[Check]:
    recorded = data.meta.fingerprint.get("content", {})
    actual = content_hashes(data.dataset.path)
    changed = sorted(path for path in recorded.keys() | actual.keys() if recorded.get(path) != actual.get(path))
    wrong = [split for split in SPLITS if len(data.rows[split]) != data.meta.splits[split].rows]
    if not changed and not wrong:
        sentence = f"All {len(actual)} files are as the preparation wrote them."
    else:
        sentence = f"Changed since the preparation: {', '.join(changed) or 'row counts'}. Prepare the data set again."
    yield check("integrity", "Files as written", "fail" if changed or wrong else "pass", len(changed), sentence)


def reserved_codes(data: Written) -> Iterator[Check]:
    wrong: dict[str, float] = {}
    for field in data.categorical:
        codes = data.dataset.vocabulary(field.name)["code"].to_numpy()
        count = int((codes < FIRST_ID).sum()) + len(codes) - len(np.unique(codes))
        for rows in data.rows.values():
            values = rows.columns[field.name]
            count += int(((values <= PADDING) | (values >= field.vocabulary_size)).sum())
        if field.name in data.events:
            values = data.events[field.name]
            count += int(((values <= PADDING) | (values >= field.vocabulary_size)).sum())
        wrong[field.name] = count
    total = sum(wrong.values())
    yield check(
        "reserved-codes",
        "Reserved codes",
        "fail" if total else "pass",
        total,
        f"{total:,.0f} codes are wrong (a real id on code 0 or 1, one code for two ids, or a code without an id)."
        if total
        else "Codes 0 (padding) and 1 (unknown) stand for no real id, and every other code for exactly one.",
        {name: value for name, value in wrong.items() if value},
    )


def vocabulary(data: Written) -> Iterator[Check]:
    foreign: dict[str, float] = {}
    least = int(data.meta.options.get("min_count", 1))
    example = ""
    for field in data.categorical:
        table = data.dataset.vocabulary(field.name)
        codes = table["code"].to_numpy()
        values = data.rows["train"].columns[field.name]
        size = max(int(codes.max(initial=0)), int(values.max(initial=0)), field.vocabulary_size) + 1
        seen = np.bincount(values, minlength=size)
        strangers = np.flatnonzero(seen[codes] < least)
        foreign[field.name] = len(strangers) + abs(len(codes) + FIRST_ID - field.vocabulary_size)
        if least == 1:  # then every id of a training row has a code
            foreign[field.name] += int(seen[UNKNOWN])
        if len(strangers) and not example:
            example = f", for instance {field.name} {table['id'][int(strangers[0])]!r}"
    total = sum(foreign.values())
    sentence = (
        f"{total:,.0f} ids do not come from training rows{example}: the vocabulary knows what a model may not know."
        if total
        else "Every id of every vocabulary occurs in training rows, and was counted there alone."
    )
    yield check(
        "vocabulary-training",
        "Vocabulary from training rows",
        "fail" if total else "pass",
        total,
        sentence,
        {name: value for name, value in foreign.items() if value},
    )
