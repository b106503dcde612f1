"""What tests of the audit share."""

from __future__ import annotations

import pytest

from mdaf_core.data.audit.report import Audit
from mdaf_core.data.prepare import pipeline
from mdaf_core.data.store.dataset import PreparedDataset


@pytest.fixture
def audited_by_the_test(home, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    """Preparing leaves audit and statistics out: the test audits once, what it may have altered meanwhile."""

    def nothing(dataset: PreparedDataset, *_: object, **__: object) -> Audit:
        return Audit(dataset=dataset.name, created="", checks=[])

    monkeypatch.setattr(pipeline, "audit_dataset", nothing)
    monkeypatch.setattr(pipeline, "write_statistics", nothing)
