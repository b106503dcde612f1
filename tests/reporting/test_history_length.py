"""Quality and cost against history length: what the figure, the table and Compare's view say."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mdaf_core.base.errors import UsageError
from mdaf_core.reporting import export
from mdaf_core.reporting.figures import make_figure
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.tables import make_table
from mdaf_core.reporting.topics import history_length
from mdaf_core.studies.definitions import configurations, get_definition
from tests.conftest import ROOT
from tests.reporting.example_study import make_study
from tests.waiting import PATIENT

LENGTHS = (2, 50, 10_000)


@pytest.fixture
def study(tiny, made_once):
    configs = configurations(get_definition("history-length"), ["mdaf-sequential", "bst", "lr"], LENGTHS, 50)
    return made_once(lambda: make_study(configs, [1, 2, 3], dataset=tiny))


def test_one_line_a_model_with_what_each_length_gives_and_costs(study, tiny):
    material = Material(study)
    data = history_length.frame(study, material.ledger, material.comparison)
    assert data.select("configuration", "events").rows() == [
        *(("mdaf-sequential", n) for n in LENGTHS), *(("bst", n) for n in (2, 50)),
    ]  # fmt: skip
    rows = tiny.rows("test")
    for events, longer in data.select("events", "longer").rows():
        assert longer == pytest.approx(100 * np.mean(rows.history_end - rows.history_start > events))
    compared = {c.configuration: c.mean for c in material.comparison.configurations}
    ledger = {row["configuration"]: row for row in material.ledger.iter_rows(named=True)}
    for row in data.iter_rows(named=True):
        estimate = compared[row["name"]]
        assert (row["low"], row["high"]) == (estimate.low, estimate.high) and row["low"] < row["mean"] < row["high"]
        assert row["rows_per_second"] == ledger[row["name"]]["rows_per_second"]
        assert row["peak_memory_mb"] == ledger[row["name"]]["peak_memory_mb"]


def test_figure_and_table_say_how_many_rows_have_so_long_histories(study, tiny):
    figure, table = make_figure(Material(study), "quality-history"), make_table(Material(study), "history-length")
    rows = tiny.rows("test")
    share = 100 * np.mean(rows.history_end - rows.history_start > 2)
    for caption in (figure.caption, table.caption):
        assert f"Of the test rows, {share:.1f}% have more than 2, " in caption
        assert "none have more than 10,000 events before them; the others have no more to read." in caption
        assert "Each row's events are encoded anew (window) by bst, by the others each event once (stream)." in caption
    assert "95% intervals, cover other seeds" in figure.caption
    assert export.render(figure.chart, "svg").startswith(b"<svg")
    assert table.cells["Events"] == ["2", "50", "all", "2", "50"]
    assert all(cell.startswith("[0.") for cell in table.cells["95% interval"])


def test_without_its_data_it_is_said_that_lengths_are_not_known(study, tiny):
    shutil.rmtree(tiny.path)
    assert "is not known: the data set is no longer here" in make_figure(Material(study), "quality-history").caption


def test_a_study_of_one_length_has_no_such_figure(home):
    material = Material(make_study(["mdaf-full", "lr"], [1]))
    with pytest.raises(UsageError, match="no model with histories of several lengths"):
        make_figure(material, "quality-history")


def open_compare(study_id: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    app.switch_page("pages/compare.py")
    app.query_params["study"], app.query_params["view"] = study_id, "History length"
    app.run()
    assert not app.exception
    return app


def test_compare_shows_it_and_says_where_there_is_nothing_to_show(study):
    app = open_compare(study.id)
    table = app.dataframe[0].value
    assert list(table["History, events"]) == [2, 50, 10_000, 2, 50]
    assert any("Of the test rows" in caption.value for caption in app.caption)
    other = open_compare(make_study(["mdaf-full", "lr"], [1]).id)
    assert any("history-length" in info.value for info in other.info)
