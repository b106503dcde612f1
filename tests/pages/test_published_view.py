"""Results of others on Compare and Export: what ships is shown first, also without a study; one's own are corrected."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from mdaf_core.base.errors import UsageError
from mdaf_core.runs.published.columns import propose
from mdaf_core.runs.published.kept import kept
from mdaf_core.runs.published.read import read_runs
from mdaf_core.runs.published.roles import columns_of, roles
from tests.conftest import ROOT
from tests.pages.report_store import words
from tests.waiting import PATIENT


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "runs.csv"
    lines = [f"{m},{s},{0.7 + i / 100 + s / 1000},0.7{i}3" for i, m in enumerate(("<b>a", "b")) for s in (1, 2, 3)]
    path.write_text("\n".join(["model,seed,test_auc,leaderboard_auc", *lines]) + "\n")
    return path


def open_page(page: str, **link: str) -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    app.switch_page(f"pages/{page}.py")
    for name, value in link.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception and not app.error
    return app


def test_what_ships_is_shown_first_and_own_tables_come_beside_it(home, table) -> None:
    app = open_page("compare")  # there is no study
    assert "In 31 of 31 pairs with 5 seeds the shown figure is that of seed 2021" in words(app)
    assert any("Survive Holm" in frame.value for frame in app.dataframe)
    app.text_input(key="published-path").set_value(str(table.with_name("absent.csv"))).run()
    assert not app.exception and "absent.csv" in app.error[0].value
    app.text_input(key="published-path").set_value(str(table)).run()
    assert "6 runs, 2 pairs" in words(app)
    app.button(key="published-go").click().run()
    assert not app.exception and not app.error
    (about,) = kept()
    assert about.name == "runs.csv" and "2 of 2 pairs with 3 seeds" in words(app)
    app.button(key="published-remove").click().run()
    assert kept() == [] and "seed 2021" in words(app)


def test_columns_are_corrected_as_a_list(table) -> None:
    frame = read_runs(table).frame
    proposed = propose(frame)
    rows = roles(frame, proposed)
    again, lower, higher = columns_of(rows)
    assert again.model_dump(exclude={"guesses"}) == proposed.model_dump(exclude={"guesses"})
    assert (lower, higher) == ([], ["auc"])
    rows[1]["role"] = "setting"
    rows[2] |= {"metric": "my loss", "better": "lower"}
    again, lower, _ = columns_of(rows)
    assert (again.seed, again.setting, again.test, lower) == ([], ["seed"], {"my_loss": "test_auc"}, ["my_loss"])
    rows[1]["role"] = "model"
    with pytest.raises(UsageError, match="are the model: choose one"):
        columns_of(rows)
    rows[1] |= {"role": "test figure", "metric": ""}
    with pytest.raises(UsageError, match="say of which metric"):
        columns_of(rows)
