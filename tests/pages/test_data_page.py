"""The Data page: an empty start, every kind of prepared data set, and the form that prepares one."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from mdaf_core.base.errors import UsageError
from mdaf_core.data.audit import audit, report
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.reading.reczoo_sets import SETS
from mdaf_core.data.store.dataset import PreparedDataset
from tests.conftest import ROOT
from tests.data.raw_files import write_criteo, write_user_behavior
from tests.waiting import PATIENT


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    raw = tmp_path_factory.mktemp("raw")
    write_user_behavior(raw / "UserBehavior.csv")
    write_criteo(raw / "train.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(folder))
        prepare("user-behavior", path=raw, name="views")
        prepare("user-behavior", path=raw, name="random", options={"split": "random"})
        prepare("criteo", path=raw, name="criteo")
    return folder


def _page(patch, store, **query) -> AppTest:
    patch.setenv("MDAF_HOME", str(store))
    patch.setattr("streamlit.page_link", lambda *_, **__: None)  # the page runs alone: there is nowhere to go
    app = AppTest.from_file(str(ROOT / "pages" / "data.py"), default_timeout=PATIENT)
    for name, value in query.items():
        app.query_params[name] = value
    return app.run()


def _text(app: AppTest) -> str:
    kinds = ("markdown", "caption", "error", "warning")
    return "\n".join(str(e.value) for kind in kinds for e in app.get(kind)).replace("\\", "")


def _clean(app: AppTest) -> None:
    assert not app.exception and not app.error, [e.value for e in app.error]


def test_an_empty_start_offers_to_prepare(monkeypatch, home):
    app = _page(monkeypatch, home)
    _clean(app)
    assert "No data set is prepared yet" in _text(app)
    assert [b.label for b in app.button if b.label == "Prepare"]


@pytest.mark.parametrize("name", ["views", "random", "criteo"])
def test_every_check_is_told(monkeypatch, store, name):
    app = _page(monkeypatch, store, dataset=name)
    _clean(app)
    text = _text(app)
    for check in report.stored_audit(PreparedDataset.open(name)).checks:
        assert f"`{check.id}`" in text and check.title in text
    assert ("fail" in text) == (name == "random")
    metrics = {metric.label: metric.value for metric in app.metric}
    assert metrics["Rows"] == ("400" if name == "criteo" else "3,000")
    assert ("Users" in metrics) == (name != "criteo")
    charts = 1 if name == "criteo" else 5
    assert len(app.get("arrow_vega_lite_chart") or app.get("vega_lite_chart")) == charts


def test_findings_say_what_to_do_and_show_rows(monkeypatch, store):
    app = _page(monkeypatch, store, dataset="random")
    found = next(c for c in report.stored_audit(PreparedDataset.open("random")).checks if c.id == "user-interleaved")
    assert found.todo in _text(app).replace("\\", "")
    shown = [frame.value for frame in app.dataframe if "a row in an earlier part at" in frame.value.columns]
    assert len(shown) == 1 and len(shown[0]) == 20


@pytest.mark.parametrize(("name", "words"), [("views", "mdaf-full"), ("criteo", "These data have no histories")])
def test_what_can_be_run(monkeypatch, store, name, words):
    app = _page(monkeypatch, store, dataset=name)
    assert words in _text(app) and "What can be run on this" in [s.value for s in app.subheader]
    assert ("acknowledged" in _text(app)) == (name == "random")


def test_other_sample_rows(monkeypatch, store):
    app = _page(monkeypatch, store, dataset="views")
    before = app.dataframe[-1].value
    next(b for b in app.button if b.label == "Show others").click().run()
    _clean(app)
    assert not app.dataframe[-1].value.equals(before)


def test_auditing_again_finds_what_changed(monkeypatch, store):
    app = _page(monkeypatch, store, dataset="criteo")
    assert ":red[" not in _text(app)
    path = store / "datasets" / "criteo" / "vocabulary" / "C1.arrow"
    content = path.read_bytes()
    pl.read_ipc(path).rechunk().with_columns(title=pl.lit("changed")).write_ipc(path)
    try:
        next(b for b in app.button if b.label == "Audit again").click().run()
        assert "vocabulary/C1.arrow" in _text(app).replace("\\", "") and ":red[" in _text(app)
    finally:
        path.write_bytes(content)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MDAF_HOME", str(store))
            audit.refresh_audit(PreparedDataset.open("criteo"))


def test_the_form_submits_what_differs_from_the_defaults(monkeypatch, store):
    sent = {}
    monkeypatch.setattr("mdaf_core.tasks.prepare.submit", lambda *arguments, **_: sent.update(arguments=arguments))
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select("user-behavior").run()
    app.selectbox(key="prepare-user-behavior-task").select("next-click").run()
    app.number_input(key="prepare-user-behavior-negatives").set_value(3)
    app.text_input(key="prepare-user-behavior-fractions").set_value("70/15/15")
    app.text_input(key="prepare-path-user-behavior").set_value("/data/UserBehavior.csv")
    app.text_input(key="prepare-name").set_value("mine").run()
    app.button(key="prepare-go").click().run()
    _clean(app)
    source, path, name, options = sent["arguments"]
    assert (source, path, name) == ("user-behavior", Path("/data/UserBehavior.csv"), "mine")
    assert options == {"task": "next-click", "negatives": 3, "fractions": "70/15/15"}


def test_values_that_are_not_taken_stand_under_their_field_and_lock_the_button(monkeypatch, store):
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select("user-behavior").run()
    app.text_input(key="prepare-user-behavior-fractions").set_value("0.8,0.1").run()
    assert _text(app).count("Fractions takes more values: number 3 is missing.") == 1
    assert "Field required" not in _text(app) and app.button(key="prepare-go").disabled
    app.text_input(key="prepare-user-behavior-fractions").set_value("0.8,0.1,0.1").run()
    assert not app.button(key="prepare-go").disabled
    app.number_input(key="prepare-user-behavior-min_count").set_value(-1).run()
    assert _text(app).count("Min count must be at least 1; it is -1.") == 1 and app.button(key="prepare-go").disabled


@pytest.mark.parametrize("source", ["synthetic", "user-behavior", "taobao-ads", "movielens", "criteo", "table"])
def test_untouched_forms_send_no_options(monkeypatch, store, source):
    sent = {}
    monkeypatch.setattr("mdaf_core.tasks.prepare.submit", lambda *arguments, **_: sent.update(arguments=arguments))
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select(source).run()
    app.button(key="prepare-go").click().run()
    _clean(app)
    allowed = {"label"} if source == "table" else set()  # no file is named yet, so there is no column to choose
    assert set(sent["arguments"][3]) <= allowed


def test_the_form_shows_the_first_rows_and_proposes_a_mapping(monkeypatch, store, tmp_path):
    sent = {}
    monkeypatch.setattr("mdaf_core.tasks.prepare.submit", lambda *arguments, **_: sent.update(arguments=arguments))
    lines = "".join(f"{i % 2},{i % 7},{i % 5},{1_600_000_000 + i},{i / 3}\n" for i in range(40))
    (tmp_path / "a.csv").write_text("clk,uid,ad,when,price\n" + lines)
    (tmp_path / "b.csv").write_text("clicked,user,item\n" + "1,2,3\n0,2,4\n")
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select("table").run()
    app.text_input(key="prepare-path-table").set_value(str(tmp_path / "a.csv")).run()
    _clean(app)
    assert app.selectbox(key="prepare-table-1-label").options == ["clk", "uid", "ad", "when", "price"]
    assert app.selectbox(key="prepare-table-1-item").value == "ad"
    assert app.multiselect(key="prepare-table-1-numeric").value == ["price"]
    assert "Found: a.csv (1.2 kB)" in _text(app).replace("\\", "")
    assert "price" in app.dataframe[0].value.columns and len(app.dataframe[0].value) == 6
    app.selectbox(key="prepare-table-1-user").set_value(None).run()
    app.button(key="prepare-go").click().run()
    _clean(app)
    assert sent["arguments"][3] == {"label": "clk", "item": "ad", "timestamp": "when", "numeric": ["price"]}
    app.text_input(key="prepare-path-table").set_value(str(tmp_path / "b.csv")).run()  # another file begins afresh
    _clean(app)
    assert app.selectbox(key="prepare-table-2-user").value == "user"
    assert app.selectbox(key="prepare-table-2-timestamp").value is None
    app.text_input(key="prepare-path-table").set_value(str(tmp_path / "none.csv")).run()
    assert not app.exception and "There is nothing to read at this path" in _text(app)


def test_options_without_effect_are_left_out_and_changes_are_told(monkeypatch, store):
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select("user-behavior").run()
    keys = {element.key for element in app.number_input}
    assert not keys & {"prepare-user-behavior-negatives", "prepare-user-behavior-split_seed"}
    app.selectbox(key="prepare-user-behavior-task").select("next-click")
    app.selectbox(key="prepare-user-behavior-split").select("random").run()
    _clean(app)
    keys = {element.key for element in app.number_input}
    assert keys >= {"prepare-user-behavior-negatives", "prepare-user-behavior-split_seed"}
    assert "prepare-user-behavior-val_from" not in {element.key for element in app.text_input}
    changed = next(caption.value for caption in app.caption if "Changed from the defaults" in caption.value)
    assert "**Task** next-click :gray[(conversion)]; **Split** random :gray[(time)]" in changed


def test_the_protocol_shows_what_it_decides(monkeypatch, store):
    sent = {}
    monkeypatch.setattr("mdaf_core.tasks.prepare.submit", lambda *arguments, **_: sent.update(arguments=arguments))
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select("taobao-ads").run()
    app.selectbox(key="prepare-taobao-ads-protocol").select("report").run()
    _clean(app)
    locked = {
        e.label: e.value for kind in ("selectbox", "number_input", "text_input") for e in app.get(kind) if e.disabled
    }
    assert locked == {"History": "impressions", "Min user rows": 3, "Split": "random", "Fractions": "0.7, 0.15, 0.15"}
    sample = next(e for e in app.number_input if e.label == "Sample")
    assert sample.value == 2_000_000 and not sample.disabled
    sample.set_value(0).run()  # all rows: the protocol allows that, and 0 is said, though it is the option's default
    app.button(key="prepare-go").click().run()
    assert sent["arguments"][3] == {"protocol": "report", "sample": 0}


def test_a_data_set_of_that_name_is_said(monkeypatch, store, tmp_path):
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select("user-behavior")
    app.text_input(key="prepare-name").set_value("random").run()
    app.session_state["prepare-open"] = True
    app.run()
    _clean(app)
    assert "random is there already (split random)" in _text(app)


def test_the_list_of_folders_is_walked_by_clicks(monkeypatch, store, tmp_path):
    (tmp_path / "raw data" / "day_1").mkdir(parents=True)
    (tmp_path / "raw data" / "a.csv").write_text("label\n")
    (tmp_path / "raw data" / ".hidden").write_text("")
    (tmp_path / "raw data" / "loop").symlink_to("loop")
    field = "prepare-path-user-behavior"
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select("user-behavior").run()
    app.text_input(key=field).set_value(str(tmp_path)).run()
    app.session_state[f"{field}-browse"] = True
    app.run()
    app.button(key=f"{field}-browse-0").click().run()  # into "raw data"
    _clean(app)
    listed = [b.label.replace("\\", "") for b in app.button if str(b.key).startswith(f"{field}-browse-")]
    assert listed == ["Up", "Take this folder", "day_1", "a.csv :gray[6 bytes]"]
    app.button(key=f"{field}-browse-take").click().run()
    _clean(app)
    assert app.text_input(key=field).value == str(tmp_path / "raw data")
    assert "Found: day_1/ · a.csv (6 bytes)" in _text(app).replace("\\", "")


def test_a_preparation_is_seen_from_every_tab(monkeypatch, home):
    job = SimpleNamespace(
        id=7,
        kind="prepare",
        state="queued",
        resource="mine",
        reason="",
        started=None,
        cancel_requested=None,
        progress={},
    )
    monkeypatch.setattr("mdaf_core.queue.api.list_jobs", lambda **_: [job])
    monkeypatch.setattr("mdaf_core.queue.api.queue_position", lambda _: 3)
    moved, cancelled = [], []
    monkeypatch.setattr("mdaf_core.queue.api.move", lambda *arguments: moved.append(arguments))
    monkeypatch.setattr("mdaf_core.queue.api.cancel", cancelled.append)
    app = _page(monkeypatch, home)
    _clean(app)
    assert "mine" in _text(app) and "No data set is prepared yet" not in _text(app)
    app.button(key="prepare-first-7").click().run()
    app.button(key="prepare-cancel-7").click().run()
    assert moved == [(7, "first")] and cancelled == [7]


def test_a_refusal_is_a_sentence(monkeypatch, store):
    def refuse(*_, **__):
        raise UsageError("No <b>such</b> thing.")

    monkeypatch.setattr("mdaf_core.tasks.prepare.submit", refuse)
    app = _page(monkeypatch, store, dataset="views")
    app.button(key="prepare-go").click().run()
    assert not app.exception
    assert [e.value.replace("\\", "") for e in app.error] == ["No <b>such</b> thing."]


def test_the_memory_limit_is_read_and_sent(monkeypatch, store):
    sent = {}
    monkeypatch.setattr("mdaf_core.tasks.prepare.submit", lambda *_, **options: sent.update(options))
    app = _page(monkeypatch, store, dataset="views")
    app.text_input(key="prepare-memory").set_value("much").run()
    app.button(key="prepare-go").click().run()
    assert not app.exception and "looks like 4GB" in app.error[0].value and not sent
    app.text_input(key="prepare-memory").set_value("3GB").run()
    app.checkbox(key="prepare-again").check().run()
    app.button(key="prepare-go").click().run()
    _clean(app)
    assert sent == {"memory_limit": 3_000_000_000, "again": True, "force": False}


def test_a_stopped_preparation_can_go_on_or_be_dismissed(monkeypatch, store):
    job = SimpleNamespace(id=1, state="cancelled", resource="views", reason="Cancelled.", can_retry=True)
    retried = []
    monkeypatch.setattr("mdaf_core.queue.api.get_job", lambda _: job)
    monkeypatch.setattr("mdaf_core.queue.api.retry", retried.append)
    app = _page(monkeypatch, store, dataset="views")
    app.session_state["prepare-job"] = 1
    app.run()
    app.button(key="prepare-retry").click().run()
    assert retried == [1]
    app.button(key="prepare-dismiss").click().run()
    _clean(app)
    assert app.session_state["prepare-job"] is None


def test_a_data_set_is_deleted_from_its_page(monkeypatch, store):
    deleted = []
    monkeypatch.setattr("mdaf_core.studies.data_sets.delete_dataset", lambda name, **_: deleted.append(name))
    app = _page(monkeypatch, store, dataset="views")
    app.button(key="delete-go").click().run()
    assert not app.exception and deleted == ["views"]


def test_a_failed_preparation_is_edited_in_the_form(monkeypatch, store, tmp_path):
    path = tmp_path / "log.csv"
    rows = {"click": [0, 1] * 40, "uid": range(80), "ad": [3, 4] * 40, "hour": [14102100 + i % 24 for i in range(80)]}
    pl.DataFrame(rows).write_csv(path)
    options = {"label": "click", "item": "ad", "positive_values": ["1"], "fractions": "0.6, 0.2, 0.2", "split_seed": 3}
    options |= {"split": "random", "skip_bad_rows": True, "history_separator": " "}
    payload = {"source": "table", "path": str(path), "name": "mine", "options": options}
    job = SimpleNamespace(
        id=1, state="failed", resource="mine", payload=payload, reason="The time is wrong.", can_retry=True
    )
    monkeypatch.setattr("mdaf_core.queue.api.get_job", lambda _: job)
    app = _page(monkeypatch, store, dataset="views")
    app.session_state["prepare-job"] = 1
    app.run()
    app.button(key="prepare-edit").click().run()
    app.run()
    _clean(app)
    assert app.session_state["prepare-open"] and app.session_state["prepare-job"] is None
    assert app.text_input(key="prepare-name").value == "mine"
    assert app.text_input(key="prepare-path-table").value == str(path)
    sent = {}

    def submit(source, path, name, options, **_):
        sent.update(source=source, path=str(path), name=name, options=options)
        return 2

    monkeypatch.setattr("mdaf_core.tasks.prepare.submit", submit)
    app.button(key="prepare-go").click().run()
    assert sent == payload


def test_the_form_says_what_a_file_is(monkeypatch, store, tmp_path):
    path = tmp_path / "log.csv"
    rows = {"user_id": [1, 2] * 40, "video_id": range(80), "date": [20220506] * 80, "hourmin": [900] * 80}
    rows |= {
        "time_ms": [1651839149941 + i for i in range(80)],
        "is_click": [0, 1] * 40,
        "play_time_ms": [5, 9, 7, 7] * 20,
    }
    pl.DataFrame(rows).write_csv(path)
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").set_value("table").run()
    app.text_input(key="prepare-path-table").set_value(str(path)).run()
    _clean(app)
    text = _text(app)
    assert "This looks like KuaiRand" in text and "play_time_ms (known only after the row was shown" in text
    assert app.selectbox(key="prepare-table-1-timestamp_unit").value == "ms"


def test_a_split_by_time_is_one_click_away(monkeypatch, store) -> None:
    app = _page(monkeypatch, store, dataset="random")
    app.button(key="twin-go").click().run()
    assert not app.exception and app.query_params["dataset"] == "views"
    for name in ("views", "criteo"):  # split by time already; without times
        assert "twin-go" not in [button.key for button in _page(monkeypatch, store, dataset=name).button]


def test_what_another_choice_begins_follows_it(monkeypatch, store):
    """A published set brings its own least count; it was kept from the set chosen before, as if it had been typed."""
    app = _page(monkeypatch, store, dataset="views")
    app.selectbox(key="prepare-source").select("reczoo").run()
    shown = {}
    for name in ("Criteo_x4", "Avazu_x4", "Criteo_x4"):
        app.selectbox(key="prepare-reczoo-dataset").select(name).run()
        _clean(app)
        shown[name] = next(e for e in app.number_input if e.label == "Min count").value
    assert shown == {name: SETS[name].min_count for name in shown} and len(set(shown.values())) == 2
