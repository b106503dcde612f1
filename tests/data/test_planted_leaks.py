"""Labels that leak into inputs in ways that no single score shows, each planted, and what the audit says of data that
is merely hard, skewed or well explained: nothing."""

from __future__ import annotations

import pytest

from mdaf_core.data.audit import audit_dataset
from mdaf_core.data.dataset import PreparedDataset
from tests.data.leaks import CLEAN, LEAKS, Leak

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize("leak", [leak for leak in LEAKS if leak.quick], ids=str)
def test_a_planted_leak_is_found_for_its_reason(leak: Leak, tmp_path):
    dataset = leak.prepare(tmp_path)
    found = {check.id: check for check in audit_dataset(PreparedDataset(dataset.path)).checks if check.status != "pass"}
    assert set(found) & set(leak.ids), {check.id: check.sentence for check in found.values()}
    for id in set(found) & set(leak.ids):
        assert found[id].sentence.endswith(".") and found[id].todo.endswith(".") and found[id].examples


@pytest.mark.parametrize("clean", CLEAN, ids=str)
def test_nothing_is_said_of_clean_data(clean: Leak, tmp_path):
    dataset = clean.prepare(tmp_path)
    said = [check for check in audit_dataset(dataset).checks if check.status != "pass" and check.id not in clean.ids]
    assert {check.id: check.sentence for check in said} == {}
