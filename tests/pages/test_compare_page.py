"""Compare: the words come from the tests, one seed is never more than that, refusals have a reason."""

from __future__ import annotations

import pytest

from mdaf_core.predicting.measured import keep
from mdaf_core.queue import api
from tests.pages.report_store import LONG, open_page, studies, words  # noqa: F401
from tests.reporting.example_study import measured_speed


def table_of(app):  # type: ignore[no-untyped-def]
    """The results table by configuration."""
    value = app.dataframe[0].value
    return getattr(value, "data", value).set_index("Configuration")


def test_results(open_page) -> None:  # noqa: F811
    app = open_page("compare", "full")
    assert not app.error
    table = table_of(app)
    assert table.index[0] == "mdaf-full", "best mean first"
    assert table["Mean"].is_monotonic_decreasing
    assert table.loc["mdaf-full", "Verdict"] == "reference"
    assert table.loc["lr", "Verdict"] == "▼ worse"
    assert "3 seeds each" in words(app)
    assert "test rows" in words(app)
    assert "mdaf-full is the best of these" in words(app) or "May be the best of these" in words(app)


def test_components_are_of_factorial_studies(open_page) -> None:  # noqa: F811
    app = open_page("compare", "full", view="Components")
    assert not app.error and "This study is no factorial" in words(app)


def test_the_margin_changes_the_words(open_page) -> None:  # noqa: F811
    parity = table_of(open_page("compare", "full", margin="1000"))["p of parity"].dropna()
    strict = table_of(open_page("compare", "full", margin="1"))["p of parity"].dropna()
    assert (parity < strict).all()


def test_one_seed_is_said(open_page) -> None:  # noqa: F811
    app = open_page("compare", "single")
    assert set(table_of(app)["Verdict"]) == {"reference", "✚ one seed: no variance known"}
    assert "no variance known" in words(app)


def test_one_seed_has_no_interval_in_the_table(open_page) -> None:  # noqa: F811
    table = table_of(open_page("compare", "single"))
    for column in ("± 95%", "Low, bp", "High, bp"):
        assert table[column].isna().all(), column
    assert table["Δ, bp"].notna().any()
    full = table_of(open_page("compare", "full"))
    assert (full["± 95%"] > full["Sd over seeds"]).all()


@pytest.mark.parametrize("page", ["overview", "curves", "compare", "gates"])
def test_what_must_be_known_stands_above_results(open_page, page: str) -> None:  # noqa: F811
    assert "The data are synthetic." in words(open_page(page, "full"))


def test_overview_names_the_spread_over_seeds(open_page) -> None:  # noqa: F811
    app = open_page("overview", "full")
    (table,) = [m.value for m in app.markdown if m.value.startswith("| Configuration")]
    assert "Sd over seeds" in table.replace("\u00a0", " ") and "±" not in table


def test_failed_runs_are_not_compared(open_page) -> None:  # noqa: F811
    app = open_page("compare", "failed")
    assert set(table_of(app).index) == {"mdaf-full", LONG}


@pytest.mark.parametrize("view", ["ROC and calibration", "Slices", "Cost", "Pair"])
def test_views(open_page, view: str) -> None:  # noqa: F811
    app = open_page("compare", "full", view=view)
    assert not app.error, app.error[0].value


def test_data_that_are_gone_leave_the_slices_that_need_none(open_page) -> None:  # noqa: F811
    app = open_page("compare", "single", view="Slices")
    assert not app.error
    assert "no longer here" in app.info[0].value
    assert app.selectbox(key="slice").options == ["History length, events"]
    assert app.dataframe[0].value["Rows"].sum() > 0


@pytest.mark.parametrize(
    ("view", "used"),
    [
        ("Results", {"split", "metric", "reference", "margin"}),
        ("Slices", {"split"}),
        ("Cost", {"split", "metric"}),
        ("Speed", set()),
        ("Results of others", set()),
    ],
)
def test_choices_without_an_effect_on_a_view_are_disabled(open_page, view: str, used: set[str]) -> None:  # noqa: F811
    app = open_page("compare", "full", view=view, metric="Log loss")
    widgets = [*(app.selectbox(key=name) for name in ("split", "metric", "reference")), app.text_input(key="margin")]
    assert {widget.key for widget in widgets if not widget.disabled} == used
    assert app.selectbox(key="metric").value == "logloss", "kept for the views that use it"


def test_nothing_finished_yet(open_page) -> None:  # noqa: F811
    assert "No run of this study has finished yet" in words(open_page("compare", "empty"))


def test_validation_rows_are_called_optimistic(open_page) -> None:  # noqa: F811
    assert "optimistic" in words(open_page("compare", "full", split="Validation"))


def test_pair_shows_differences_of_settings(open_page) -> None:  # noqa: F811
    app = open_page("compare", "full", view="Pair", a="mdaf-static", b="mdaf-full")
    frames = [f.value for f in app.dataframe]
    assert "model.kind" in set(frames[0]["Setting"])
    assert list(frames[1]["Seed"]) == [42, 43, 44]


def names_of(app):  # type: ignore[no-untyped-def]
    return list(table_of(app).index)


def test_sorting_and_filters_live_in_the_link(open_page) -> None:  # noqa: F811
    assert names_of(open_page("compare", "full", sort="Name")) == ["lr", "mdaf-full", "mdaf-static"]
    app = open_page("compare", "full", find="static", members="true")
    assert names_of(app) == ["mdaf-full", "mdaf-static"]  # the reference stays
    assert {"Seed 42", "Seed 43", "Seed 44"} <= set(table_of(app).columns)
    assert "adjusted over all 2 comparisons all the same" in words(app)


def test_tests_over_seeds_alone_say_what_three_seeds_cannot_show(open_page) -> None:  # noqa: F811
    app = open_page("compare", "full")
    table = app.dataframe[1].value
    assert {"t test, p", "Signed-rank, p", "Seeds above"} <= set(table.columns)
    assert "cannot be below 0.25" in words(app)


def test_power_of_a_difference_that_the_reader_chooses(open_page) -> None:  # noqa: F811
    table = open_page("compare", "full", view="Power", find_bp="50").dataframe[0].value
    wider = open_page("compare", "full", view="Power", find_bp="100").dataframe[0].value
    assert (table["Rows needed"] > wider["Rows needed"]).all()
    assert "one seed" in words(open_page("compare", "single", view="Power")).lower()


def test_reported_results_are_not_shown_and_kept_with_the_study(open_page, studies) -> None:  # noqa: F811
    from mdaf_core.studies.store import get_study, update_study

    app = open_page("compare", "empty", view="Results of others")  # also without any run
    assert "Enter a row" in words(app)
    app.button(key="add-reported").click().run()
    assert not app.exception and not app.error
    shown = next(f.value for f in app.dataframe if "Reported" in f.value).set_index("Reported")
    assert shown.loc["Mamba4Rec v2", "Verdict"] == "● not shown"
    assert not any(word in " ".join(shown["Verdict"]) for word in ("parity", "better"))
    assert shown.loc["Mamba4Rec v2", "Rows for 5 bp"] > 10**8
    assert "what another training would give is not known" in words(app)
    app.button(key="save-reported").click().run()
    stored = get_study(studies["empty"]).reported
    assert [row["auc"] for row in stored][:2] == [0.5716, 0.5711]
    assert open_page("compare", "empty", view="Results of others").button(key="save-reported").disabled
    update_study(studies["empty"], reported=[])


def test_numbers_below_zero_have_a_minus_sign_on_the_screen_and_stay_numbers() -> None:
    import pandas as pd
    import polars as pl
    import streamlit as st

    from pages.drawn import _with_minus_signs

    signed = dict(st.column_config.NumberColumn(format="%+.1f"))
    frame = pl.DataFrame({"name": ["a", "b", "c"], "gap": [-1.25, 2.0, None], "up": [1.0, 2.0, 3.0]})
    for table in (frame, frame.to_pandas(), frame.to_pandas().style.format(precision=1, subset=["up"])):
        columns = {"gap": dict(signed), "up": dict(signed)}
        shown = _with_minus_signs(table, columns)
        assert columns["gap"]["type_config"]["format"] is None and columns["up"]["type_config"]["format"] == "%+.1f"
        cells = shown._translate(False, False)["body"]
        assert [row[2]["display_value"] for row in cells] == ["−1.2", "+2.0", "–"]
        assert pd.api.types.is_float_dtype(shown.data["gap"])
    assert _with_minus_signs(frame, {"up": signed}) is frame
    nothing = _with_minus_signs(pl.DataFrame({"gap": [0.04, -0.04, -0.0]}), {"gap": dict(signed)})
    assert [row[1]["display_value"] for row in nothing._translate(False, False)["body"]] == ["0.0"] * 3


def test_each_sentence_stands_once(open_page) -> None:  # noqa: F811
    app = open_page("compare", "full", reference="lr")
    said = [line for m in app.markdown for line in m.value.splitlines() if len(line) > 30]
    assert sum("hosen after results were seen" in line for line in said) == 1
    assert words(app).count("Beside these results") == 1
    assert words(app).count("intervals are not adjusted") == 1


def test_speed_that_was_measured(open_page, studies, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setenv("MDAF_HOME", studies["home"])
    keep(studies["full"], measured_speed(["mdaf-full", "mdaf-static", "lr"]))
    app = open_page("compare", "full", view="Speed")
    assert not app.error, app.error[0].value
    text = words(app).replace("\\", "")  # what Markdown would take as its own is escaped
    assert "100 candidates of one user, on one thread" in text and "A processor, 2 cores" in text
    assert "lr (raw) against mdaf-full (raw): faster at 10 and 100 events" in text
    assert "mdaf-full (kept state) against its own raw history: faster at 10 and 100 events" in text
    assert "mdaf-static has no kept state: it reads no history" in text
    times, ratios = (getattr(frame.value, "data", frame.value) for frame in app.dataframe)
    assert len(times) == 32 and set(times["Asked"]) == {"raw", "kept state"}
    assert set(ratios["Verdict"]) == {"faster"} and (ratios["High"] < 1).all()
    other = open_page("compare", "full", view="Speed", speed_reference="lr", speed_candidates="1", speed_threads="2")
    assert "mdaf-full (raw) against lr (raw): slower at 10 and 100 events" in words(other).replace("\\", "")
    assert "one candidate of one user, on 2 threads" in words(other)


def test_speed_is_measured_by_a_job(open_page) -> None:  # noqa: F811
    app = open_page("compare", "single", view="Speed")
    assert "Not measured yet" in app.info[0].value
    app.button(key="measure-speed").click().run()
    assert not app.exception and not app.error
    (job,) = [job for job in api.list_jobs() if job.kind == "speed"]
    assert job.state == "queued" and app.button(key="measure-speed").disabled
    assert f"Job {job.id} is queued" in words(app)
    api.cancel(job.id)
