"""Success criteria on Overview: the scoreboard, and the editor that keeps them with the study."""

from __future__ import annotations

from mdaf_core.studies.store import get_study, update_study
from tests.pages.report_store import open_page, studies, words  # noqa: F401


def test_presets_are_added_judged_and_kept(open_page, studies) -> None:  # noqa: F811
    app = open_page("overview", "full")
    assert "carries no criteria" in words(app)
    app.toggle(key="edit-criteria").set_value(True).run()
    app.button(key="add-report").click().run()
    app.button(key="add-mdaf-levels").click().run()
    assert list(app.dataframe[0].value["name"])[:2] == ["Train AUC in range", "Validation AUC"]
    assert not get_study(studies["full"]).criteria  # nothing is kept before Save
    app.button(key="save-criteria").click().run()
    assert not app.exception and not app.error
    assert len(get_study(studies["full"]).criteria) == 7
    page = words(open_page("overview", "full"))
    assert "Validation AUC at the best epoch" in page and "does not apply" in page and ": fail" not in page
    mine = {"name": "Mine", "metric": "test_auc", "rule": "at least", "low": 0.55, "high": None, "epoch": "best"}
    update_study(studies["full"], criteria=[mine])
    page = words(open_page("overview", "full"))
    assert "pass" in page and "sure" in page and "achieved" not in page
    update_study(studies["full"], criteria=[])


def test_a_criterion_that_cannot_be_judged_is_a_sentence(open_page, studies) -> None:  # noqa: F811
    bad = {"name": "Odd", "metric": "val_auc", "rule": "between", "low": 0.9, "high": 0.1, "epoch": "best"}
    update_study(studies["single"], criteria=[bad])
    app = open_page("overview", "single")
    assert "Criterion 1 (Odd): low (0.9) is above high (0.1)" in words(app).replace("\\", "")
    app.toggle(key="edit-criteria").set_value(True).run()
    assert app.button(key="save-criteria").disabled
    assert get_study(studies["single"]).criteria == [bad]
    update_study(studies["single"], criteria=[])
