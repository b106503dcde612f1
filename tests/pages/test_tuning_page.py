"""A whole tuning study by clicks: form, trials, winners, their study. Trials are recorded, not trained."""

from __future__ import annotations

from mdaf_core.queue import store
from mdaf_core.studies.store import get_study
from mdaf_core.studies.tuning import going, search
from tests.pages.test_jobs_pages import button, open_page, quiet, sound, tiny, words  # noqa: F401
from tests.studies.test_tuning import finish, work


def test_a_tuning_study_by_clicks(tiny):  # noqa: F811
    assert "No search was begun yet" in words(open_page("tuning"))
    app = open_page("launch", dataset="tiny", definition="own")
    chosen = next(one for one in app.multiselect if one.label == "Configurations")
    sound(chosen.set_value(["dcnv2", "lr", "gbdt"]).run())
    sound(app.segmented_control(key="plan_tune").set_value("tuned").run())
    assert not any(one.key == "plan_until" for one in app.segmented_control)
    sound(app.text_input(key="plan_space-model.dropout").set_value("0.6..0.4").run())
    assert "search space of model.dropout" in words(app) and app.button(key="tune").disabled
    sound(app.text_input(key="plan_space-model.dropout").set_value("0.1..0.3").run())
    sound(app.number_input(key="plan_trials").set_value(9).run())
    tune = app.button(key="tune")
    assert tune.label == "Tune 3 configurations × 9 trials" and not tune.disabled
    sound(tune.click().run())
    (one,) = search.list_searches()
    assert one.searched("dcnv2").space["model.dropout"].words == "0.1..0.3" and one.confirm.seeds == [42, 43, 44]
    assert "0 of 27 trials have ended" in words(app)

    (failed, *_) = store.list_jobs()
    store.cancel(failed.id)
    app = open_page("tuning", search=one.id)
    assert "the search waits for them: dcnv2 (1)" in words(app)
    sound(button(app, "Resume them").click().run())
    one = work(going.go_on(one.id, serve=False))
    app = open_page("tuning", search=one.id)
    said = words(app)
    assert "27 of 27 trials have ended" in said and "all budgets are spent" in said and "fresh seeds" in said
    ledger, trials = (frame.value for frame in app.dataframe)
    assert ledger["Trials"].to_list() == [9, 9, 9] and trials["Trial"].to_list() == list(range(1, 10))
    assert len(app.get("vega_lite_chart")) == 3
    for job in store.list_jobs(states=["queued"]):
        finish(job)
    app = open_page("overview", study=one.study)
    assert get_study(one.study).seeds == [42, 43, 44]
