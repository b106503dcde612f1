"""Are the files as they were written, and do codes mean what they should?"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from mdaf_core.data.audit.base import EXAMPLES, Written
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.store.content import altered_files, content_hashes
from mdaf_core.data.store.counts import occurrences
from mdaf_core.data.store.schema import FIRST_ID, PADDING, SPLIT_NAMES, SPLITS, UNKNOWN


@check("integrity", "Files as written", place=10)
def integrity(data: Written) -> Answer | None:
    recorded, actual = data.meta.fingerprint.get("content", {}), content_hashes(data.dataset.path)
    changed = altered_files(recorded, actual)
    wrong = [split for split in SPLITS if len(data.rows[split]) != data.meta.splits[split].rows]
    everything = changed or [f"rows/{split}.arrow" for split in wrong]
    if not changed and not wrong:
        sentence = f"All {len(actual)} files are as the preparation wrote them."
    else:
        sentence = f"Changed since the preparation: {', '.join(everything)}."
    return Answer(
        "fail" if everything else "pass",
        len(everything),
        sentence,
        todo="Prepare the data set again: runs on it could not be compared with earlier ones.",
        examples=lambda: [
            {"file": path, "prepared as": recorded.get(path, "-")[:12], "found": actual.get(path, "-")[:12]}
            for path in everything
        ],
    )


@check("reserved-codes", "Reserved codes", place=110)
def reserved_codes(data: Written) -> Answer | None:
    wrong: dict[str, float] = {}
    examples: list[dict[str, Any]] = []
    for field in data.categorical:
        table = data.dataset.vocabulary(field.name)
        count = int((table["code"] < FIRST_ID).sum())
        count += sum(len(table) - table[name].n_unique() for name in ("code", "id"))
        if count:
            twice = pl.col("code").is_duplicated() | pl.col("id").is_duplicated()
            taken = table.filter((pl.col("code") < FIRST_ID) | twice).head(EXAMPLES)
            examples += [{"field": field.name, "where": "vocabulary"} | row for row in taken.to_dicts()]
        columns = {f"{SPLIT_NAMES[split]} rows": rows.columns[field.name] for split, rows in data.rows.items()}
        if field.name in data.events:
            columns["histories"] = data.events[field.name]
        for where, values in columns.items():
            if values.min(initial=FIRST_ID) > PADDING and values.max(initial=0) < field.vocabulary_size:
                continue
            strange = values[(values <= PADDING) | (values >= field.vocabulary_size)]
            count += len(strange)
            for code in np.unique(strange[:EXAMPLES]):
                examples.append({"field": field.name, "where": where, "code": int(code), "id": None, "title": None})
        wrong[field.name] = count
    total = sum(wrong.values())
    return Answer(
        "fail" if total else "pass",
        total,
        f"{total:,.0f} codes are wrong (a real id on code 0 or 1, one code for two ids, two codes for one id, "
        "or a code without an id)."
        if total
        else "Codes 0 (padding) and 1 (unknown) stand for no real id, and every other code for exactly one.",
        {name: value for name, value in wrong.items() if value},
        todo="Prepare the data set again: a model would take one id for another, or read outside its table.",
        examples=lambda: examples,
    )


@check("vocabulary-training", "Where vocabularies come from", place=100)
def vocabulary(data: Written) -> Answer | None:
    foreign: dict[str, float] = {}
    least = int(data.meta.options.get("min_count", 1))
    examples: list[dict[str, Any]] = []
    for field in data.categorical:
        table = data.dataset.vocabulary(field.name)
        codes = table["code"].to_numpy()
        values = data.rows["train"].columns[field.name]
        size = max(int(codes.max(initial=0)), int(values.max(initial=0)), field.vocabulary_size) + 1
        seen = occurrences(values, size)
        strangers = np.flatnonzero(seen[codes] < least)
        foreign[field.name] = len(strangers) + abs(len(codes) + FIRST_ID - field.vocabulary_size)
        if least == 1:  # then every id of a training row has a code
            foreign[field.name] += int(seen[UNKNOWN])
        for at in strangers[:EXAMPLES].tolist():
            rows = {"training rows": int(seen[codes[at]])}
            examples.append({"field": field.name} | table.row(at, named=True) | rows)
    total = sum(foreign.values())
    example = f", for instance {examples[0]['field']} {examples[0]['id']!r}" if examples else ""
    sentence = (
        f"{total:,.0f} ids do not come from training rows{example}: the vocabulary knows what a model may not know."
        if total
        else "Every id of every vocabulary occurs in training rows, and was counted there alone."
    )
    return Answer(
        "fail" if total else "pass",
        total,
        sentence,
        {name: value for name, value in foreign.items() if value},
        todo="Prepare the data set again: codes must be given from training rows alone.",
        examples=lambda: examples,
    )
