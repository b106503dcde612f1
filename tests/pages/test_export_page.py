"""Export: previews, LaTeX, the paragraph, and a reason where something cannot be drawn."""

from __future__ import annotations

from tests.pages.report_store import open_page, studies, words  # noqa: F401


def test_gallery_and_tables(open_page) -> None:  # noqa: F811
    app = open_page("export", "full")
    assert not app.error, app.error[0].value
    assert len(app.get("image")) == 10
    latex = [code.value for code in app.code if "toprule" in code.value]
    assert len(latex) == 3
    assert "Holm" in words(app)


def test_only_what_is_chosen(open_page) -> None:  # noqa: F811
    app = open_page("export", "full", figures="ROC curves", tables="Cost")
    assert len(app.get("image")) == 1
    assert sum("toprule" in code.value for code in app.code) == 1


def test_one_seed_claims_nothing(open_page) -> None:  # noqa: F811
    app = open_page("export", "single", figures="Leaderboard", tables="Results")
    assert "nothing is claimed" in words(app)


def test_a_figure_that_cannot_be_drawn_says_why(open_page) -> None:  # noqa: F811
    app = open_page("export", "single", figures="AUC by history length", tables="Results")
    assert "no longer here" in app.error[0].value


def test_nothing_finished_yet(open_page) -> None:  # noqa: F811
    assert "nothing to export yet" in words(open_page("export", "empty"))
