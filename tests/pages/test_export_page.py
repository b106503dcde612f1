"""Export: previews, LaTeX, the paragraph, and a reason where something cannot be drawn."""

from __future__ import annotations

import pytest

from tests.pages.report_store import open_page, studies, words  # noqa: F401


def test_gallery_and_tables(open_page) -> None:  # noqa: F811
    app = open_page("export", "full")
    assert not app.error, app.error[0].value
    assert len(app.get("image")) == 3
    app = open_page("export", "full", view="Tables")
    latex = [code.value for code in app.code if "toprule" in code.value]
    assert len(latex) == 4
    assert "No finished run of this study has a gate" in words(app) or "predictions" in words(app)
    assert "Holm" in words(open_page("export", "full", view="Text"))


@pytest.mark.parametrize("view", ["Training", "ROC and calibration", "Slices", "Cost", "Gates"])
def test_every_view_shows_figures_or_says_why_not(open_page, view: str) -> None:  # noqa: F811
    app = open_page("export", "full", view=view)
    assert not app.error, app.error[0].value
    commands = [code.value for code in app.code if code.value.startswith("python -m mdaf_core figure ")]
    assert len(commands) == len(app.get("image"))
    assert commands or "no g" in words(app) or "gate" in words(app)


def test_a_run_without_a_model_cannot_be_used(open_page) -> None:  # noqa: F811
    assert "has no model" in words(open_page("export", "full", view="Use"))


def test_a_model_is_saved_and_asked_of_new_rows(open_page, monkeypatch, tmp_path) -> None:  # noqa: F811
    from pages import export_use

    jobs: list[tuple] = []
    monkeypatch.setattr(export_use, "_model", lambda run: [tmp_path / "weights.safetensors"])
    monkeypatch.setattr(export_use, "_size", lambda run, with_log: 5_000_000 if with_log else 300_000_000)
    monkeypatch.setattr(export_use, "submit_predict", lambda run, path, **options: jobs.append((run, path, options)))
    app = open_page("export", "full", view="Use")
    assert not app.error, app.error[0].value
    assert any(code.value.startswith("python -m mdaf_core save ") for code in app.code)
    assert app.button(key="use-predict").disabled
    app.text_input(key="use-path").set_value("/data/new rows.csv")
    app.text_input(key="use-beside").set_value("/data").run()
    assert any("--path '/data/new rows.csv'" in code.value and "--beside /data" in code.value for code in app.code)
    app.button(key="use-predict").click().run()
    assert not app.error and str(jobs[0][1]) == "/data/new rows.csv" and jobs[0][0].state == "finished"
    assert str(jobs[0][2]["beside"]) == "/data" and jobs[0][2]["skip_bad_rows"] is False
    app.checkbox(key="use-log").uncheck().run()
    assert "too much for a download" in words(app)
    assert any("--without-log" in code.value for code in app.code)


def test_only_what_is_chosen(open_page) -> None:  # noqa: F811
    assert len(open_page("export", "full", figures="ROC curves", view="ROC and calibration").get("image")) == 1
    assert "None of these" in words(open_page("export", "full", figures="ROC curves"))
    app = open_page("export", "full", tables="Cost", view="Tables")
    assert sum("toprule" in code.value for code in app.code) == 1


def test_one_seed_claims_nothing(open_page) -> None:  # noqa: F811
    app = open_page("export", "single", view="Text")
    assert "nothing is claimed" in words(app)


def test_a_figure_that_cannot_be_drawn_says_why(open_page) -> None:  # noqa: F811
    assert "no longer here" in words(open_page("export", "single", view="Slices"))


def test_nothing_finished_yet(open_page) -> None:  # noqa: F811
    assert "nothing to export yet" in words(open_page("export", "empty"))


def test_compared_by_another_metric(open_page) -> None:  # noqa: F811
    app = open_page("export", "full", metric="Log loss")
    assert "Log loss on" in words(app) and "lower is better" in words(app)
    assert all("metric=logloss" in code.value for code in app.code if "mdaf_core figure" in code.value)
    assert "lowest mean log loss" in words(open_page("export", "full", metric="Log loss", view="Text"))
