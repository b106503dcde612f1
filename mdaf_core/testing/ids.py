"""Is every id told from every other, in vocabularies as large as real ones?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor

from mdaf_core.base.errors import StudioError
from mdaf_core.data.batches.loader import Batch
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.models.base import CTRModel
from mdaf_core.testing.base import Note, check
from mdaf_core.testing.data import clone
from mdaf_core.testing.subject import Subject, ask

CODES = 70_000
"""More than 16 bits count."""
PAIRS = {1: "the last two", 2**8: "cut to 8 bits", 2**16: "cut to 16 bits"}
"""How far apart codes are that are easily taken for one, and why they would be."""


@check("ids", "Ids of a large vocabulary are read, and told apart.")
def ids(subject: Subject) -> Iterable[str]:
    """Each field in turn has 70,000 codes: the last must not fail, nor predict the same as its neighbour or as
    those with the same last 8 or 16 bits, in the row's fields and in its history."""
    rows = subject.batch(rows=16)
    for column, (name, size) in enumerate(subject.features.categorical.items()):
        features = replace(subject.features, categorical={**subject.features.categorical, name: CODES})
        try:
            model = _moved(subject, features)
        except StudioError:
            continue  # it says that this is too much for it
        last = CODES - 1
        try:
            logits = {code: _asked(model, rows, column, name, code) for code in (last, *(last - p for p in PAIRS))}
        except Exception as error:
            yield (
                f"With {CODES:,} codes of {name} (of {size} in the examination else) the model fails: "
                f"{subject.said(error)} Read each field by its own name, column and size, as int64."
            )
            continue
        alike = [words for gap, words in PAIRS.items() if torch.equal(logits[last], logits[last - gap])]
        if alike and len(alike) < len(PAIRS):  # all: the field is not read
            yield Note(
                f"Codes of {name} are one to the model ({alike[0]}, of {CODES:,}): unless ids are meant to share "
                "vectors, keep them as int64 and in a table of all of them."
            )


def _moved(subject: Subject, features: FeatureSpec) -> CTRModel:
    """A fresh model whose weights are moved, in evaluation mode."""
    model = subject.build(features=features)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.is_floating_point():
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=draw))
    return model.eval()


def _asked(model: CTRModel, rows: Batch, column: int, name: str, code: int) -> Tensor:
    """Logits of the rows with this code in a field, and in every event."""
    given = clone(rows)
    given.categorical_BF[:, column] = code
    if name in given.history:
        given.history[name].fill_(code)
    return ask(model, given)
