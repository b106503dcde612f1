"""Do ids and numbers tell the label by how they are written?"""

from __future__ import annotations

import numpy as np
import polars as pl

from mdaf_core.data.audit.base import Written
from mdaf_core.data.audit.labels import LEAK_AUC
from mdaf_core.data.audit.registry import Answer, check
from mdaf_core.data.audit.sample import drawn
from mdaf_core.data.audit.scores import auc, auc_error, rates_of
from mdaf_core.data.store.describe import field_word
from mdaf_core.data.store.schema import FIRST_ID

_ROWS = 100_000
_MOST_IDS = 2_000_000
_TELLING = 0.8
_ROUNDING = 2e-6  # of numbers that went through 32 bits
_ROWS_AN_ID = 20
"""Ids with more rows than this have rates of their own; they are judged as such (`label-leak`)."""

_ASPECTS = {
    "first character": pl.col("id").str.slice(0, 1),
    "last character": pl.col("id").str.slice(-1, 1),
    "length": pl.col("id").str.len_chars().cast(pl.String),
    "first word": pl.col("id").str.extract(r"^([\p{L}]+)"),
    "last word": pl.col("id").str.extract(r"([\p{L}]+)\P{L}*$"),
    "parity": (pl.col("id").str.extract(r"(\d)\D*$").cast(pl.Int64, strict=False) % 2).cast(pl.String),
}


@check("written-ids", "How ids are written", place=160)
def written_ids(data: Written) -> Answer | None:
    """Ids too rare to have rates of their own (of requests, impressions, sessions), by their spelling: one half of the
    training rows is judged by the other."""
    at = np.random.default_rng(0).permutation(drawn(len(data.rows["train"]), _ROWS))
    label = data.rows["train"].label[at].astype(np.int64)
    half = len(at) // 2
    if any(len(np.unique(part)) < 2 for part in (label[:half], label[half:])):
        return None
    found: list[tuple[float, str, str]] = []
    details: dict[str, float] = {}
    for field in data.categorical:
        ids = field.vocabulary_size - FIRST_ID
        if not 20 < ids <= _MOST_IDS or len(data.rows["train"]) > _ROWS_AN_ID * ids:
            continue
        table = data.dataset.vocabulary(field.name).filter(pl.col("code") >= FIRST_ID)
        codes = data.rows["train"].columns[field.name][at]
        table = table.filter(pl.Series(np.isin(table["code"].to_numpy(), codes)))  # few of millions
        size = max(int(table["code"].max() or 0), int(codes.max(initial=0))) + 1  # type: ignore[arg-type]
        for name, aspect in _ASPECTS.items():
            of_code = np.zeros(size, np.int64)
            kinds = table.select(aspect.fill_null("").alias("kind"))["kind"].rank("dense").cast(pl.Int64).to_numpy()
            of_code[table["code"].to_numpy()] = kinds
            values = of_code[np.clip(codes, 0, size - 1)]
            if len(np.unique(values)) * 20 > half:
                continue
            reached = auc(label[half:], rates_of(values[half:], values[:half], label[:half]))
            details[f"{field.name}: {name}"] = reached
            if reached - 0.5 > max(_TELLING - 0.5, 5 * auc_error(label[half:])):
                found.append((reached, field.name, name))
    for field in data.meta.fields:
        if field.kind == "numeric":
            values = field.numbers(data.rows["train"].columns[field.name][at])
            is_whole = (np.abs(values - np.round(values)) <= _ROUNDING * np.maximum(np.abs(values), 1)).astype(np.int64)
            reached = auc(label[half:], rates_of(is_whole[half:], is_whole[:half], label[:half]))
            details[f"{field.name}: decimals"] = reached
            if reached - 0.5 > max(_TELLING - 0.5, 5 * auc_error(label[half:])):
                found.append((reached, field.name, "presence of decimals"))
    if not details:
        return None
    reached, field_name, name = max(found, default=(max(details.values()), "", ""))
    word = field_word(field_name)
    return Answer(
        "fail" if found and reached > LEAK_AUC else "warn" if found else "pass",
        reached,
        f"The {name} of {word!r} alone reaches AUC {reached:.4f} on training rows: the label is written into it."
        if found
        else "How rare ids are written (ends, words, length, parity), and decimals of numbers, reach AUC "
        f"{reached:.4f} at most.",
        details,
        todo=f"Leave {word!r} out, or write its values alike for positives and negatives.",
        examples=lambda: data.examples({"train": np.sort(at[:20])}),
    )
