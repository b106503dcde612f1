"""Can this data set be trusted? Checks recomputed from the files alone, whoever wrote them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa

from mdaf_core.base import rights
from mdaf_core.base.errors import DamagedFileError
from mdaf_core.base.files import write_json
from mdaf_core.base.progress import Progress, no_progress
from mdaf_core.data.audit.base import Written
from mdaf_core.data.audit.hashes import drawn_groups, mixed_hash, shared
from mdaf_core.data.audit.registry import Registered, all_checks
from mdaf_core.data.audit.report import Audit, Check
from mdaf_core.data.audit.steps import steps_of
from mdaf_core.data.audit.together import forest_library
from mdaf_core.data.batches.history import earlier_ends
from mdaf_core.data.prepare import resources
from mdaf_core.data.prepare.order import stable_order
from mdaf_core.data.store.counts import occurrences, tally
from mdaf_core.data.store.dataset import PreparedDataset

_AT_ONCE = 2
"""Checks: most of their work is in libraries that let other threads run."""
MANY_ROWS = 10_000_000
"""From here on each check lets go of the files' pages."""


def audit_dataset(dataset: PreparedDataset, progress: Progress = no_progress, limit: int | None = None) -> Audit:
    """Run every check on the written files. Nothing that the preparation computed is taken on trust.

    Args:
        limit: bytes of memory that may be used; default: a preparation's. Two checks are at work at a time where it is
            ample: each may hold several columns.
    """
    try:
        checks = _run_checks(dataset, progress, resources.memory_limit(limit))
    except (DamagedFileError, OSError, pa.ArrowException, pl.exceptions.PolarsError, LookupError, ValueError) as error:
        checks = [
            Check(
                id="integrity",
                title="Files as written",
                status="fail",
                number=1,
                sentence=f"The data set's files cannot be read ({type(error).__name__}: {error}).",
                todo="Prepare the data set again.",
            )
        ]
    return Audit(dataset=dataset.name, created=datetime.now(UTC).isoformat(timespec="seconds"), checks=checks)


def _run_checks(dataset: PreparedDataset, progress: Progress, limit: int) -> list[Check]:
    """Every check that applies, the gravest questions first."""
    data, asked = Written(dataset), all_checks()
    found = []

    def alone(check: Registered) -> Check | None:
        answer = check.ask(data)
        data.close()
        return answer

    few = data.total <= MANY_ROWS
    pool = ThreadPoolExecutor(_AT_ONCE if resources.is_ample(data.total, limit) else 1)
    try:
        answers = [pool.submit(partial(check.ask, data) if few else partial(alone, check)) for check in asked]
        for i, check in enumerate(asked):
            progress(i / len(asked), f"Auditing: {check.id.replace('-', ' ')}")
            answer = answers[i].result()
            if answer is not None:
                found.append(answer)
    finally:
        pool.shutdown(cancel_futures=True)
    return found


def load_libraries() -> None:
    """Load what checks will ask for, and compile what counts and orders for them: libraries that are imported where
    they are used, and numba's first calls, with arrays as they are made and as they are mapped."""
    import scipy.special  # noqa: F401

    all_checks()
    times = np.zeros(2, np.int64)
    earlier_ends(times, times, np.empty(0, np.int32), times[:0])
    stable_order(np.array([1, 0]))
    for read_only in (False, True):
        codes, label = np.zeros(2, np.int32), np.zeros(2, np.uint8)
        codes.flags.writeable = label.flags.writeable = not read_only
        occurrences(codes, 1)
        tally(codes, label, 1)
    drawn_groups([codes.copy()], label == 0, 2)
    shared(mixed_hash([codes, times]))
    steps_of(codes.copy(), codes.copy(), times)
    forest_library()


def refresh_audit(dataset: PreparedDataset) -> Audit:
    """Audit again and store the result."""
    rights.check()
    audit = audit_dataset(dataset)
    write_json(dataset.path / "audit.json", audit.model_dump(mode="json"))
    return audit
