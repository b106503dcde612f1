"""A check is a function with `@check`: found from its file, asked in its place, one a fault."""

import re
from pathlib import Path

import pytest

from mdaf_core.data.audit import audit, registry
from mdaf_core.data.audit.registry import Answer, all_checks, check
from mdaf_core.data.prepare.pipeline import prepare

ROOT = Path(registry.__file__).parent


def test_every_decorated_function_of_the_folder_is_asked():
    written = sum(len(re.findall(r"^@check\(", path.read_text(), re.MULTILINE)) for path in ROOT.glob("*.py"))
    assert len(all_checks()) == written > 40


def test_places_are_told_apart_and_ids_are_in_the_docs():
    places = [one.place for one in all_checks()]
    assert places == sorted(set(places))
    ids = [one.id for one in all_checks()]
    assert len(ids) == len(set(ids))  # a launch acknowledges one check by its id, and no other
    docs = (ROOT.parents[2] / "docs" / "data.md").read_text("utf-8")
    assert [one.id for one in all_checks() if f"`{one.id}`" not in docs] == []


@pytest.mark.usefixtures("home")
def test_a_new_check_is_one_function(monkeypatch):
    monkeypatch.setattr(registry, "_registered", dict(registry._registered))
    dataset = prepare("synthetic", name="data", options={"size": "tiny"})
    before = [one.id for one in audit.audit_dataset(dataset).checks]

    @check("few-rows", "Rows enough", place=35)
    def few_rows(data):
        return Answer("warn", data.total, "There are few rows.", {"rows": float("inf")}, todo="Take more.")

    @check("never-asked", "Nothing", place=36)
    def never_asked(data):
        return None

    found = audit.audit_dataset(dataset).checks
    ids = [one.id for one in found]
    assert [id for id in ids if id != "few-rows"] == before
    assert ids.index("few-rows") + 1 == ids.index("split-times")
    new = found[ids.index("few-rows")]
    assert (new.status, new.number, new.details, new.todo) == ("warn", 20000, {}, "Take more.")
