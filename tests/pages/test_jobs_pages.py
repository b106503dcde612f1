"""Overview, Launch and Jobs: what they say, what their buttons do. Nobody serves the queue here."""

from __future__ import annotations

import json
import time

import pytest
from streamlit.testing.v1 import AppTest

from mdaf_core.base.files import write_json
from mdaf_core.queue import api, store, turns
from mdaf_core.queue.job import log_path
from mdaf_core.runs import tracking
from mdaf_core.studies import estimate, launch
from mdaf_core.studies.store import list_studies
from tests.conftest import ROOT
from tests.reporting.example_study import make_study
from tests.waiting import PATIENT

COST = estimate.Cost(parameters=1234, embedding=1000, dense=234, multiply_adds=10**6, training_bytes=10**8)


@pytest.fixture
def quiet(home, monkeypatch):
    monkeypatch.setattr(estimate, "known_costs", lambda configs, dataset, runs=1: [COST] * len(configs))
    return home


@pytest.fixture
def tiny(quiet, give_tiny):
    return give_tiny(quiet)


def open_page(page: str, **query: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    app.switch_page(f"pages/{page}.py")
    for name, value in query.items():
        app.query_params[name] = value
    return sound(app.run())


def sound(app: AppTest) -> AppTest:
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.error, *app.warning, *app.info]
    labels = [str(e.proto) for e in app.get("page_link") + app.get("progress")]
    return "\n".join([*(str(e.value) for e in parts), *labels]).replace("\\", "").replace("\u00a0", " ")


def button(app: AppTest, label: str):
    return next(b for b in app.button if b.label == label)


def begin(job_id: int, **progress):
    """Make a queued job run, as a worker would."""
    while True:
        job = turns.claim(100)
        confirmed = turns.confirm(job.id, job.token, 2**22)
        if job.id == job_id:
            turns.report(confirmed, json.dumps(progress), "r" * 32)
            return confirmed


PROGRESS = {
    "run_id": "r", "phase": "training", "epoch": 2, "max_epochs": 4, "step": 5, "steps": 10,
    "rows_per_second": 12345.0, "seconds_left": 75.0, "val_auc": 0.6543, "best_val_auc": 0.6543,
}  # fmt: skip


def test_first_start_offers_the_demo(quiet):
    app = open_page("overview")
    assert [b.label for b in app.button] == ["Run the demo study"]
    sound(button(app, "Run the demo study").click().run())
    assert [study.definition for study in list_studies()] == ["demo"]
    assert len(store.list_jobs(states=["queued"])) == 11
    assert "0 of 10 runs finished" in words(app)
    assert "prepare synthetic-tiny" in words(app)


def test_overview_shows_every_state(tiny):
    study = launch.run("demo", "tiny", seeds=[1, 2])
    first, second, third, *_ = store.list_jobs(group=study.id)
    begin(first.id, **PROGRESS)
    turns.end(begin(second.id), "failed", "Ran out of paper.")
    api.cancel(third.id)
    app = open_page("overview", study=study.id)
    said = words(app)
    assert "0 of 10 runs finished" in said
    for state in ("running", "queued", "failed", "cancelled"):
        assert state in said
    assert "38%" in said  # one of four epochs, and half of the second
    assert "Ran out of paper." in said
    assert "runs still to finish" in said


def test_overview_of_finished_runs(quiet):
    study = make_study(["mdaf-full", "lr"], [1, 2, 3])
    app = open_page("overview", study=study.id)
    said = words(app)
    assert "6 of 6 runs finished" in said and "All runs finished" in said
    assert "Mean" in said and "±" not in said  # the sd has a column of its own
    results = [run.result for run in tracking.list_runs(study.id)]
    assert all(f"{result.val.auc:.4f}" in said for result in results)
    said = words(open_page("overview", study=study.id, shown="Test AUC"))
    assert all(f"{result.test.auc:.4f}" in said for result in results)


def test_one_seed_is_named_as_such(quiet):
    study = make_study(["mdaf-full", "lr"], [1])
    assert "one seed: no variance" in words(open_page("overview", study=study.id))


def test_a_launch_that_was_interrupted_is_offered_to_be_completed(tiny):
    study = launch.run("demo", "tiny", seeds=[1])
    (store.queue_path()).unlink()
    app = open_page("overview", study=study.id)
    assert "5 runs of this study were never queued" in words(app)
    sound(button(app, "Queue them").click().run())
    assert len(store.list_jobs(group=study.id)) == 5


def test_jobs_without_any(quiet):
    assert "Nothing has been queued yet" in words(open_page("jobs"))


def test_jobs_live_progress_and_cancel(tiny):
    study = launch.run("demo", "tiny", seeds=[1])
    job_id = store.list_jobs(group=study.id)[0].id
    begin(job_id, **PROGRESS)
    app = open_page("jobs")
    said = words(app)
    for part in ("Epoch 2 of at most 4", "step 5 of 10", "12,345 rows/s", "0.6543", "1 min 15 s left"):
        assert part in said
    sound(app.button(key=f"cancel-{job_id}").click().run())
    assert store.get_job(job_id).cancel_requested
    assert "Stopping" in words(app)


def test_jobs_reorder_and_cancel_queued(tiny):
    study = launch.run("demo", "tiny", seeds=[1])
    a, b, c, *_ = [job.id for job in store.list_jobs(group=study.id)]
    app = open_page("jobs")
    sound(app.button(key=f"first-{c}").click().run())
    sound(app.button(key=f"down-{a}").click().run())
    assert [job.id for job in store.list_jobs(states=["queued"])][:3] == [c, b, a]
    sound(app.button(key=f"cancel-{b}").click().run())
    assert store.get_job(b).state == "cancelled"


def test_jobs_failed_reason_retry_resume_and_log(tiny):
    study = launch.run("demo", "tiny", seeds=[1])
    first, second, *_ = store.list_jobs(group=study.id)
    for job in (first, second):
        turns.end(begin(job.id), "failed", "Killed by signal 9 (SIGKILL); see [this](x).")
    log_path(first.id).parent.mkdir(parents=True)
    log_path(first.id).write_text("step 1\rstep 2\nlast line\n")
    app = open_page("jobs")
    assert "Killed by signal 9 (SIGKILL); see [this](x)." in words(app)
    sound(app.button(key=f"resume-{first.id}").click().run())
    assert (store.get_job(first.id).state, store.get_job(first.id).resume) == ("queued", True)
    sound(app.button(key=f"retry-{second.id}").click().run())
    assert store.get_job(second.id).resume is False
    sound(app.selectbox(key="log_of").set_value(first.id).run())
    assert app.code[0].value == "step 2\nlast line"


def test_jobs_all_at_once(tiny):
    study = launch.run("demo", "tiny", seeds=[1])
    first = store.list_jobs(group=study.id)[0].id
    turns.end(begin(first), "failed", "x")
    app = open_page("jobs")
    sound(app.button(key="all-close").click().run())
    assert {job.state for job in store.list_jobs()} == {"failed", "cancelled"}
    sound(app.button(key="all-resume").click().run())
    assert {job.state for job in store.list_jobs()} == {"queued"}
    assert [job.id for job in store.list_jobs() if job.resume] == [first]


def test_a_button_that_comes_too_late_is_a_message(tiny):
    study = launch.run("demo", "tiny", seeds=[1])
    job_id = store.list_jobs(group=study.id)[1].id
    app = open_page("jobs")
    api.cancel(job_id)
    sound(app.button(key=f"up-{job_id}").click().run())
    assert "not queued" in app.toast[0].value


def test_launch_without_data(quiet):
    assert "No data set is prepared yet" in words(open_page("launch"))


def test_launch_a_definition(tiny):
    app = open_page("launch", definition="demo")
    said = words(app)
    assert "1,234" in said and "at once: the queue is empty" in said and "0.9 GB" in said
    sound(app.text_input(key="seeds_text").set_value("7-8").run())
    sound(button(app, "Launch 10 runs").click().run())
    (study,) = list_studies()
    assert (study.definition, study.seeds) == ("demo", [7, 8])
    assert len(store.list_jobs(group=study.id)) == 10


def test_launch_with_seeds_until_decided(tiny):
    app = open_page("launch", definition="demo")
    app.text_input(key="seeds_text").set_value("7").run()
    app.segmented_control(key="plan_until").set_value("decided").run()
    app.number_input(key="plan_most_seeds").set_value(6).run()
    assert "begins with seeds 7, 8, 9; then one at a time up to 12" in words(app)
    sound(button(app, "Launch 15 runs").click().run())
    (study,) = list_studies()
    assert (study.seeds, study.plan.seeds, study.plan.until.most) == ([7, 8, 9], [7, 8, 9, 10, 11, 12], 6)
    assert len(store.list_jobs(group=study.id)) == 15


def test_launch_a_factorial(tiny):
    app = open_page("launch", definition="factorial")
    assert button(app, "Launch 24 runs")
    app.multiselect[0].set_value(["gate", "match", "branch-loss"]).run()
    sound(app.selectbox(key="plan_halvings-factorial").set_value(0).run())
    sound(button(app, "Launch 24 runs").click().run())
    (study,) = list_studies()
    assert study.definition == "factorial" and study.factorial.words == "2^3" and len(study.factorial.levels) == 8
    assert set(study.factorial.levels) == set(study.configuration_names) and study.reference == "mdaf-full"


def test_launch_own_selection_with_changes(tiny):
    app = open_page("launch", definition="own")
    assert "Choose at least one configuration" in words(app)
    app.multiselect[0].set_value(["mdaf-full", "lr"]).run()
    app.number_input(key="set-All configurations-training.max_epochs-0").set_value(3).run()
    app.selectbox(key="scope").set_value("mdaf-full").run()
    app.selectbox(key="set-mdaf-full-model.sequential.kind-0").set_value("bst").run()
    app.text_input(key="set-mdaf-full-model.hidden_units-0").set_value("32, 16").run()
    app.number_input(key="set-mdaf-full-training.learning_rate-0").set_value(0.002).run()
    said = words(sound(app))
    assert "training.max_epochs | 20 | 3" in said
    assert "model.sequential.kind | mamba4rec | bst" in said
    app.text_input(key="seeds_text").set_value("1").run()
    sound(button(app, "Launch 2 runs").click().run())
    (study,) = list_studies()
    full, lr = study.configurations
    assert (full.training.max_epochs, lr.training.max_epochs) == (3, 3)
    assert (full.training.learning_rate, lr.training.learning_rate) == (0.002, 0.01)
    assert (full.model.sequential.kind, full.model.hidden_units) == ("bst", [32, 16])
    assert (study.definition, study.reference, study.seeds) == ("own", "mdaf-full", [1])


def test_launch_says_what_is_wrong_and_waits(tiny):
    app = open_page("launch", definition="demo")
    app.text_input(key="seeds_text").set_value("x").run()
    assert "Seeds look like" in words(app)
    assert next(b for b in app.button if b.key == "launch").disabled
    app.text_input(key="seeds_text").set_value("1").run()
    app.selectbox(key="scope").set_value("mdaf-full").run()
    app.text_input(key="set-mdaf-full-model.hidden_units-0").set_value("32; 16").run()
    assert "whole numbers" in words(app)
    assert next(b for b in app.button if b.key == "launch").disabled
    sound(app.button(key="reset-mdaf-full").click().run())
    assert not next(b for b in app.button if b.key == "launch").disabled


ENTRIES = [
    ("All configurations", "training.max_epochs", 0, "Max epochs must be at least 1; it is 0.", 3),
    ("mdaf-full", "training.learning_rate", -0.001, "Learning rate must be above 0; it is -0.001.", 0.01),
]


@pytest.mark.parametrize(("scope", "path", "value", "sentence", "good"), ENTRIES)
def test_an_entry_that_is_not_allowed_locks_the_button(tiny, scope, path, value, sentence, good):
    """Form, summary and button stay, the sentence stands once, under its field, and there is a way back."""
    app = open_page("launch", definition="demo")
    app.selectbox(key="scope").set_value(scope).run()
    key = f"set-{scope}-{path}-0"
    sound(app.number_input(key=key).set_value(value).run())
    said = words(app)
    assert said.count(sentence) == 1 and f"{path} must" not in said
    assert app.button(key="launch").disabled and ":red[" in app.number_input(key=key).label
    assert app.number_input(key=key).value == value, "what was typed is still there to be corrected"
    other = "dcnv2" if scope == "mdaf-full" else "mdaf-static"
    sound(app.selectbox(key="scope").set_value(other).run())
    assert words(app).count(sentence) == 1 and app.button(key="launch").disabled
    app.selectbox(key="scope").set_value(scope).run()
    sound(app.number_input(key=key).set_value(good).run())
    assert sentence not in words(app) and not app.button(key="launch").disabled


def test_a_change_that_only_one_configuration_refuses_names_it(tiny):
    app = open_page("launch", definition="own")
    app.multiselect[0].set_value(["autoint", "lr"]).run()
    app.selectbox(key="scope").set_value("autoint").run()
    sound(app.number_input(key="set-autoint-model.heads-0").set_value(3).run())
    assert words(app).count("Attention dim (32) must be a multiple of heads (3)") == 1
    assert app.button(key="launch").disabled


def test_the_form_shows_where_each_study_starts(tiny):
    from mdaf_core.studies.definitions import configurations, definition_names, get_definition

    app = open_page("launch", definition="demo")
    key = "set-All configurations-training.max_epochs-0"
    shown = {}
    for name in [*definition_names(), "demo"]:
        app.selectbox(key="definition").set_value(name).run()
        for field in [field for field in app.number_input if str(field.key).startswith(key)]:  # anew for each study
            shown[name] = field.value
            assert shown[name] == configurations(get_definition(name))[0].training.max_epochs
    assert len(set(shown.values())) > 1


def test_models_and_lengths_of_history_are_chosen(tiny):
    app = open_page("launch", definition="history-length")
    assert button(app, "Launch 39 runs")
    app.multiselect[0].set_value(["mdaf-sequential", "bst"]).run()
    app.text_input(key="histories-history-length").set_value("5, 100, all").run()
    sound(app.number_input(key="windows-history-length").set_value(100).run())
    sound(button(app, "Launch 15 runs").click().run())
    study = list_studies()[0]
    assert study.definition == "history-length" and study.reference == "mdaf-sequential-5"
    assert study.configuration_names == [
        "mdaf-sequential-5", "mdaf-sequential-100", "mdaf-sequential-all", "bst-5", "bst-100",
    ]  # fmt: skip
    app = open_page("launch", definition="history-length")
    app.text_input(key="histories-history-length").set_value("5 and 10").run()
    assert "Lengths of histories look like 10,50,200,1000,all" in words(app)


def test_what_is_set_outlives_a_look_at_another_page(tiny):
    app = open_page("launch", definition="own")
    app.multiselect[0].set_value(["mdaf-full", "lr"]).run()
    app.selectbox(key="scope").set_value("mdaf-full").run()
    app.number_input(key="set-mdaf-full-training.max_epochs-0").set_value(3).run()
    app.number_input(key="set-mdaf-full-training.batch_size-0").set_value(0).run()
    app.text_input(key="seeds_text").set_value("7-9").run()
    app.text_input(key="study_title").set_value("My study").run()
    sound(app.switch_page("pages/data.py").run())
    sound(app.switch_page("pages/launch.py").run())
    assert app.multiselect[0].value == ["mdaf-full", "lr"] and app.selectbox(key="scope").value == "mdaf-full"
    assert app.text_input(key="seeds_text").value == "7-9" and app.text_input(key="study_title").value == "My study"
    assert app.number_input(key="set-mdaf-full-training.max_epochs-0").value == 3
    assert app.number_input(key="set-mdaf-full-training.batch_size-0").value == 0
    assert words(app).count("Batch size must be at least 1; it is 0.") == 1


def test_launch_on_data_whose_audit_failed_needs_a_word(tiny):
    audit = json.loads((tiny.path / "audit.json").read_text())
    audit["checks"][0] |= {"id": "too-good", "status": "fail", "sentence": "This is too good."}
    write_json(tiny.path / "audit.json", audit)
    app = open_page("launch", definition="demo")
    assert "This is too good." in words(app)
    assert app.button(key="launch").disabled
    app.checkbox[0].check().run()
    sound(app.button(key="launch").click().run())
    assert list_studies()[0].acknowledged == ["too-good"]


def test_a_double_click_launches_once(tiny):
    app = open_page("launch", definition="demo")
    app.session_state["launched"] = time.monotonic()
    sound(app.button(key="launch").click().run())
    assert list_studies() == []


def test_a_margin_is_proposed_with_its_reasons_and_taken_by_a_click(tiny):
    app = open_page("launch", dataset="tiny")
    assert app.text_input(key="plan_margin").value == ""
    assert "Proposed:" in words(app) and "of the reference's gain over the base rate" in words(app)
    app.text_input(key="plan_margin").set_value("wide").run()
    assert app.button(key="launch").disabled and "a number of bp above 0" in words(sound(app))
    app.text_input(key="plan_margin").set_value("").run()
    sound(app.button(key="take-margin").click().run())
    taken = app.text_input(key="plan_margin").value
    assert taken.endswith("%")
    app.selectbox(key="plan_metric").set_value("logloss").run()
    app.button(key="launch").click().run()
    plan = list_studies()[0].plan
    assert (plan.metric, plan.split, plan.margin.text) == ("logloss", "test", taken)
    assert plan.margin.origin == "proposed by the program, accepted at launch"
    assert plan.seeds == [42, 43, 44] and plan.reference in plan.configurations


def test_seeds_are_added_and_failed_runs_given_up_from_overview(tiny):
    study = launch.run("demo", "tiny", seeds=[1], only=["lr", "dcnv2"])
    ids = [job.id for job in store.list_jobs(group=study.id)]
    api.cancel(ids[0])
    app = open_page("overview", study=study.id)
    assert f"Planned: AUC on test rows against {study.reference}, no margin, seed 1." in words(app)
    app.text_input(key="added_seeds").set_value("5, 6").run()
    sound(app.button(key="add-seeds").click().run())
    again = list_studies()[0]
    assert again.seeds == [1, 5, 6] and not again.extensions[0].results_seen
    sound(app.button(key="give-up").click().run())
    assert [run.seed for run in list_studies()[0].given_up] == [1]


@pytest.mark.parametrize("page", ["overview", "compare", "curves", "gates", "export"])
def test_a_link_to_a_study_that_is_gone_shows_no_other(quiet, page):
    make_study(["mdaf-full", "lr"], [42, 43], title="Another")
    app = open_page(page, study="was-here-1")
    assert "There is no study 'was-here-1' here (any more), so nothing is shown" in words(app)
    assert not app.dataframe and "mdaf-full" not in words(app)


def test_compare_marks_interim_looks_and_what_was_not_planned(quiet):
    study = make_study(["mdaf-full", "lr"], [42, 43, 44, 45], failed=[("lr", 45)])
    app = open_page("compare", study=study.id)
    assert "Interim look, so no verdict yet: lr 3 of 4 planned seeds" in words(app)
    app = open_page("compare", study=study.id, split="Validation")
    assert "Chosen after results were seen: validation rows (planned: test rows)" in words(app)
