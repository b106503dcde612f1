"""A whole tuning study by clicks: form, trials, winners, their study. Trials are recorded, not trained."""

from __future__ import annotations

from mdaf_core.queue import store
from mdaf_core.studies.store import get_study
from mdaf_core.studies.tuning import going, search, spaces
from tests.pages.test_jobs_pages import button, open_page, quiet, sound, tiny, words  # noqa: F401
from tests.studies.test_tuning import finish, work


def test_a_tuning_study_by_clicks(tiny):  # noqa: F811
    assert "There is no search here" in words(open_page("tuning"))
    app = open_page("launch", dataset="tiny", definition="own")
    chosen = next(one for one in app.multiselect if one.label == "Configurations")
    sound(chosen.set_value(["dcnv2", "lr", "gbdt"]).run())
    sound(app.segmented_control(key="plan_tune").set_value("tuned").run())
    assert not any(one.key == "plan_until" for one in app.segmented_control)

    def box(path, scope=spaces.ALL):
        (found,) = [one for one in app.text_input if str(one.key).startswith(f"plan_space-{scope}-{path}")]
        return found

    sound(box("model.dropout").set_value("0.6..0.4").run())
    assert "search space of model.dropout" in words(app) and app.button(key="tune").disabled
    sound(box("model.dropout").set_value("0.1..0.3").run())
    sound(box("training.learning_rate").set_value("1e-4..1e-2 log").run())
    sound(app.selectbox(key="plan_space_scope").set_value("lr").run())  # of one alone: changed, dropped, another one
    assert box("training.learning_rate", "lr").value == "1e-4..1e-2 log"
    sound(box("training.learning_rate", "lr").set_value("0.001, 0.01").run())
    sound(box("training.weight_decay", "lr").set_value("").run())
    sound(app.selectbox(key="plan_space_add-lr").set_value("training.patience").run())
    sound(box("training.patience", "lr").set_value("2..4").run())
    assert "takes whole numbers" in words(app) and app.button(key="tune").disabled
    sound(app.selectbox(key="plan_space_scope").set_value("gbdt").run())
    assert "of lr takes whole numbers" in words(app) and app.button(key="tune").disabled  # said in other scopes, too
    sound(app.selectbox(key="plan_space_scope").set_value("lr").run())
    sound(box("training.patience", "lr").set_value("2..4 whole").run())
    sound(app.number_input(key="plan_trials").set_value(9).run())
    tune = app.button(key="tune")
    assert tune.label == "Tune 3 configurations × 9 trials" and not tune.disabled
    sound(tune.click().run())
    (one,) = search.list_searches()
    tried = {part.config.name: {path: one.words for path, one in part.space.items()} for part in one.configurations}
    assert tried["dcnv2"]["model.dropout"] == "0.1..0.3"
    assert tried["dcnv2"]["training.learning_rate"] == "0.0001..0.01 log"
    assert tried["lr"] == {
        "training.learning_rate": "0.001,0.01", "training.embedding_decay": "1e-06..0.1 log",
        "training.patience": "2..4 whole",
    }  # fmt: skip
    assert one.confirm.seeds == [42, 43, 44]
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
