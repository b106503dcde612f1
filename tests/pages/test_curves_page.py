"""Curves: what is drawn, what is said where there is nothing to draw, and that choices live in the link."""

from __future__ import annotations

from mdaf_core.studies.status import Remaining
from tests.pages.report_store import LONG, open_page, studies, words  # noqa: F401


def charts_of(app) -> list[bytes]:  # type: ignore[no-untyped-def]
    """Charts as they are sent to the browser: specification and data."""
    return [element.proto.SerializeToString() for element in app.get("vega_lite_chart")]


def test_without_studies_it_says_what_to_do(open_page, tmp_path) -> None:  # noqa: F811
    app = open_page("curves", home=tmp_path)
    assert "There is no study yet" in words(app)
    assert not charts_of(app)


def test_full_study(open_page) -> None:  # noqa: F811
    app = open_page("curves", "full")
    assert not app.error
    assert len(charts_of(app)) >= 4
    table = app.dataframe[0].value
    assert list(table["Configuration"]) == ["mdaf-full", "mdaf-static", "lr"]
    assert (table["Seeds"] == 3).all()
    assert (table["Gap at last"] > table["Gap at best"]).all()


def test_choices_come_from_the_link(open_page) -> None:  # noqa: F811
    app = open_page("curves", "full", seeds="43", each="true")
    assert set(app.dataframe[0].value["Seed"]) == {43}


def test_reported_curves_are_named_as_such(open_page) -> None:  # noqa: F811
    assert b"reported, not run here" not in b"".join(charts_of(open_page("curves", "full")))
    app = open_page("curves", "full", reported="true")
    assert b"v1, reported, not run here" in b"".join(charts_of(app))


def test_failed_runs_are_drawn_but_not_averaged(open_page) -> None:  # noqa: F811
    app = open_page("curves", "failed")
    assert not app.error
    table = app.dataframe[0].value
    assert dict(zip(table["Configuration"], table["Seeds"], strict=True)) == {"mdaf-full": 2, LONG: 2, "lr": 2}


def test_nothing_run_yet(open_page) -> None:  # noqa: F811
    assert "No epoch has finished yet" in words(open_page("curves", "empty"))


def test_an_unknown_study_in_the_link(open_page, studies) -> None:  # noqa: F811
    app = open_page("curves", "no-such-study")
    assert "no-such-study" in words(app).replace("\\", "")
    assert app.selectbox[0].value is None, "never another study's results under a link that names this one"


def test_another_study_starts_with_its_own_choices(open_page, studies) -> None:  # noqa: F811
    app = open_page("curves", "single", seeds="42")
    app.selectbox[0].set_value(studies["full"]).run()
    assert not app.exception
    assert set(app.pills(key="seeds").value) == {42, 43, 44}
    assert app.multiselect[0].value == ["mdaf-full", "mdaf-static", "lr"]


def test_side_by_side_follows_one_epoch_rule(open_page) -> None:  # noqa: F811
    def gaps(**query: str) -> list[float]:
        app = open_page("curves", "full", left="Mamba4Rec v1 (reported)", right="Mamba4Rec v2 (reported)", **query)
        assert "so both sides show that" in words(app)
        return [round(gap, 4) for gap in app.dataframe[1].value["Gap"]]

    assert gaps() == [-0.0408, 0.0556]
    assert gaps(rule="Last epoch") == [0.4342, 0.2935]


def test_axes_metrics_and_other_studies(open_page, studies) -> None:  # noqa: F811
    app = open_page("curves", "full", axis="Time", more="Seconds of an epoch", beside=studies["single"], log="true")
    assert not app.error and not app.exception
    drawn = b"".join(charts_of(app))
    assert b"Time, s" in drawn and b'"log"' in drawn and b"Seconds of an epoch" in drawn
    assert "·".encode() in drawn, "configurations of another study bear its name"
    assert app.dataframe[0].value["Configuration"].to_list() == ["mdaf-full", "mdaf-static", "lr"]
    gone = open_page("curves", "full", beside="no-such-study")
    assert not gone.error and not gone.exception


def test_a_study_that_goes_on_says_what_is_left(open_page, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr("pages.shared.is_live", lambda study: True)
    left = Remaining(3, 9, 150.0, True)
    monkeypatch.setattr("mdaf_core.studies.status.remaining", lambda study: left)
    app = open_page("curves", "full")
    (bar,) = app.get("progress")
    assert bar.proto.text.startswith("3 of 9 runs ended, about 2 min 30 s left; further seeds may follow")
