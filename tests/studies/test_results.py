"""A study against its plan: what departs from it is marked, an interim look gives no word, changes are recorded."""

from __future__ import annotations

import json

import pytest

from mdaf_core.analysis.margins import AFTERWARDS, AT_LAUNCH, Margin
from mdaf_core.analysis.plan import NO_PLAN, Extension, GivenUp
from mdaf_core.base.errors import UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.metrics.registry import metrics
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper import bundle
from mdaf_core.reporting.topics.comparison.frames import comparison_table, condition_notes
from mdaf_core.runs import tracking
from mdaf_core.studies import changing, results, trainings
from mdaf_core.studies.store import get_study, update_study
from tests.reporting.example_study import make_study

WORDS = ("better", "worse", "parity", "not shown")


def words(comparison):
    return {c.configuration: c.verdict for c in comparison.configurations if c.verdict != "reference"}


def marked(comparison):
    return dict(comparison.frame().select("configuration", "marked").iter_rows())


def test_only_the_planned_comparison_has_words_without_a_mark(home):
    """Any of 6 metrics × 2 splits gives a false word in 23% of null studies: eleven of the twelve are marked."""
    study = make_study(["mdaf-full", "mdaf-static", "lr"], [1, 2, 3])
    unmarked = []
    for split in ("test", "val"):
        for metric in metrics():
            found = results.compare(study, split=split, metric=metric)
            given = [m for m in marked(found).values() if m.startswith(WORDS)]
            assert given
            if any(not m.endswith("†") for m in given):
                unmarked.append((split, metric))
    assert unmarked == [("test", "auc")]


def test_what_was_not_planned_is_said_everywhere(home):
    study = make_study(["mdaf-full", "lr"], [1, 2, 3])
    found = results.compare(study, split="val", metric="gauc", reference="lr", margin=Margin(size=30))
    text = " ".join(condition_notes(found))
    for what in ("the metric gAUC (planned: AUC)", "validation rows (planned: test rows)",
                 "the reference lr (planned: mdaf-full)", "the margin 30 bp (planned: none)"):  # fmt: skip
        assert what in text
    assert found.margin.origin == AFTERWARDS and AFTERWARDS in found.margin_words
    assert all("†" in word for word in comparison_table(found)["Verdict"] if "reference" not in word)
    material = Material(study, split="val", metric="gauc", margin=Margin(size=30))
    paragraph = " ".join(s.text for s in bundle.results(material))
    assert "Chosen after results were seen: the metric gAUC" in paragraph
    manifest = bundle.describe(material)["results"]
    assert manifest["chosen_after_results_were_seen"] and "gAUC" in manifest["conditions"][0]
    subset = results.compare(study, only=["mdaf-full"])
    assert "1 of 2 planned configurations (left out: lr)" in " ".join(condition_notes(subset))


def test_the_plan_itself_says_nothing_more(home):
    study = make_study(["mdaf-full", "lr"], [1, 2, 3])
    found = results.compare(study)
    assert found.conditions.sentences() == [] and "†" not in " ".join(marked(found).values())
    assert results.compare(study, split="test", metric="auc", reference="mdaf-full").conditions == found.conditions


def test_a_margin_of_the_plan_keeps_its_origin_and_belongs_to_its_metric(home):
    study = make_study(["mdaf-full", "lr"], [1, 2, 3])
    study.plan.margin = Margin(size=1, unit="%", origin=AT_LAUNCH)
    assert results.compare(study).margin.origin == AT_LAUNCH
    assert results.compare(study, margin=Margin(size=1, unit="%")).margin.origin == AT_LAUNCH
    assert results.compare(study, margin=Margin(size=2, unit="%")).margin.origin == AFTERWARDS
    assert results.compare(study, metric="gauc").margin is None


def test_a_study_of_before_has_no_plan_and_says_so(home):
    study = make_study(["mdaf-full", "lr"], [1, 2, 3])
    path = get_settings().studies_dir / f"{study.id}.json"
    old = json.loads(path.read_text())
    for key in ("plan", "extensions", "given_up"):
        del old[key]
    path.write_text(json.dumps(old))
    found = results.compare(get_study(study.id))
    assert found.conditions.plan is None and NO_PLAN in " ".join(condition_notes(found)).lower()
    assert marked(found)["lr"].endswith("‡")


def test_an_interim_look_gives_no_word(home):
    study = make_study(["mdaf-full", "mdaf-static", "lr"], [1, 2, 3, 4, 5], failed=[("lr", 4), ("lr", 5)])
    found = results.compare(study)
    assert words(found)["lr"] == "interim" and words(found)["mdaf-static"] in WORDS
    assert marked(found)["lr"] == "interim: 3 of 5 planned seeds"
    text = " ".join(condition_notes(found))
    assert "lr 3 of 5 planned seeds" in text and "lr seed 4, lr seed 5: failed; resume or retry it" in text
    assert next(c for c in found.configurations if c.configuration == "lr").difference is not None  # figures are shown
    assert "3 of 5 planned seeds" in " ".join(s.text for s in bundle.results(Material(study)))
    assert bundle.describe(Material(study))["results"]["interim"] == {"lr": "3 of 5 planned seeds"}
    # of the reference: nothing is decided
    late = make_study(["mdaf-full", "mdaf-static"], [1, 2, 3], failed=[("mdaf-full", 3)])
    assert set(words(results.compare(late)).values()) == {"interim"}


def test_a_run_that_failed_for_good_can_be_given_up_and_is_said(home):
    study = make_study(["mdaf-full", "mdaf-static", "lr"], [1, 2, 3], failed=[("lr", 3)])
    gone = changing.give_up(study.id)
    assert [(run.configuration, run.seed) for run in gone] == [("lr", 3)]
    found = results.compare(get_study(study.id))
    assert words(found)["lr"] in WORDS and marked(found)["lr"].endswith("†")
    assert not marked(found)["mdaf-static"].endswith("†")
    assert "lr: judged without seed 3, given up on" in " ".join(condition_notes(found))
    with pytest.raises(UsageError, match="no failed, cancelled or unqueued run"):
        changing.give_up(study.id)
    whole = make_study(["mdaf-full", "lr"], [1, 2, 3], failed=[("mdaf-full", 3)])
    changing.give_up(whole.id)
    assert "the reference is judged without seed 3" in " ".join(condition_notes(results.compare(get_study(whole.id))))


@pytest.mark.parametrize("seen", [True, False])
def test_added_seeds_are_recorded_and_marked_once_results_had_been_seen(home, seen):
    study = make_study(["mdaf-full", "lr"], [1, 2, 3])
    extension = Extension(seeds=[3], added="2026-01-02T03:04:05+00:00", results_seen=seen)
    study = study.model_copy(update={"extensions": [extension]})
    text = " ".join(condition_notes(results.compare(study)))
    assert ("1 seed (3) was added on 2026-01-02" in text) and ("after results were seen" in text) == seen
    assert any("†" in m for m in marked(results.compare(study)).values()) == seen


def test_extending_queues_every_configuration_and_remembers_when(home, monkeypatch):
    monkeypatch.setattr(changing, "check_audit", lambda *_: None)
    study = make_study(["mdaf-full", "lr"], [1, 2])
    changing.extend(study.id, [3, 4])
    again = get_study(study.id)
    assert again.seeds == [1, 2, 3, 4] and again.plan.seeds == [1, 2]
    assert again.extensions[0].seeds == [3, 4] and again.extensions[0].results_seen
    assert set(trainings.of_study(study.id)) == {(c, s) for c in ("mdaf-full", "lr") for s in (3, 4)}
    assert words(results.compare(again))["lr"] == "interim"
    for bad in ([2], [5, 5], [], ["5"], [True], 5, "5"):
        with pytest.raises(UsageError):
            changing.extend(study.id, bad)
    assert get_study(study.id) == again


def test_a_second_study_of_what_was_compared_before_is_marked(home):
    first = make_study(["mdaf-full", "mdaf-static", "lr"], [1, 2])
    second = make_study(["mdaf-static", "lr"], [1, 2], title="Best against worst")
    fresh = second.model_copy(update={"created": "2100-01-01T00:00:00+00:00"})
    text = " ".join(condition_notes(results.compare(fresh)))
    assert f"before on these data, in study {first.id} (seeds 1, 2 are in both)" in text
    assert marked(results.compare(fresh))["lr"].endswith("†")
    # the earlier one is not marked by the later, and other settings are another comparison
    assert results.compare(get_study(first.id)).conditions.sentences() == []
    changed = fresh.model_copy(
        update={"configurations": [c.with_overrides(["training.max_epochs=3"]) for c in fresh.configurations]}
    )
    assert not any("before on these data" in note for note in condition_notes(results.compare(changed)))


def test_given_up_and_finished_since_is_said(home):
    study = make_study(["mdaf-full", "lr"], [1, 2, 3])
    update_study(study.id, give_up=[GivenUp(configuration="lr", seed=3, when="2026-01-02T00:00:00+00:00")])
    text = " ".join(condition_notes(results.compare(get_study(study.id))))
    assert "seed 3 was given up on 2026-01-02 and has finished since" in text
    assert tracking.list_runs(study.id)
