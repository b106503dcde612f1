"""Labels that leak into inputs in ways that no single score shows, each planted, and what the audit says of data that
is merely hard, skewed or well explained: nothing."""

from __future__ import annotations

import pytest

from mdaf_core.data.audit.audit import audit_dataset
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from tests.data.leaks import CLEAN, LEAKS, Leak
from tests.data.leaks.base import BASE, MAPPING, log

pytestmark = pytest.mark.usefixtures("audited_by_the_test")


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


@pytest.mark.parametrize("order", ["file", "order", "time"])
def test_the_audit_claims_no_more_of_the_order_than_the_input_says(order: str, tmp_path):
    frame = log(0, rows=2000)
    options = {
        "file": {"timestamp": None, "history": "none"},
        "order": {"timestamp_unit": "order"},
        "time": {"timezone": "Asia/Shanghai"},
    }[order]
    frame.write_parquet(tmp_path / "log.parquet")
    dataset = prepare("table", path=tmp_path / "log.parquet", name="data", options=MAPPING | BASE | options)
    checks = {check.id: check for check in audit_dataset(dataset).checks}
    said = checks["split-times"].title + checks["split-times"].sentence
    assert ("nothing says" in said and "in the file" in said) == (order == "file")
    assert ("no calendar" in said) == (order == "order")
    assert ("later than all training rows" in said) == (order != "file")
    assert ("timezone" in checks) == (order == "time")


def test_a_title_says_what_is_asked_not_the_answer(tmp_path):
    """It stands beside a cross as well as beside a tick."""
    for check in audit_dataset(CLEAN[0].prepare(tmp_path)).checks:
        words = check.title.lower().split()
        assert not {"no", "not", "every", "all", "strictly", "complete"} & set(words) or check.id in (
            "both-labels", "all-inputs", "blank-inputs",
        ), check.title  # fmt: skip


def test_from_a_tenth_one_user_is_warned_of(tmp_path):
    leak = next(leak for leak in LEAKS if str(leak) == "a_crawler")
    check = next(check for check in audit_dataset(leak.prepare(tmp_path)).checks if check.id == "concentrated-users")
    rows = leak.make(0)[0]
    share = (rows["user"] == 7).mean()
    assert "'7'" in check.sentence and "beside results" in check.todo
    assert check.number == pytest.approx(share, abs=0.03) and check.details["train largest share"] > 0.1
    head = rows[: round(0.8 * len(rows))]
    held = head.group_by("user").len()["len"]
    kish = held.sum() ** 2 / (held**2).sum()
    assert check.details["train effective users"] == pytest.approx(kish, rel=0.01)
