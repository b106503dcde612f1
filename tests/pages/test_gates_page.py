"""The Gates page on a trained MDAF, a model without a gate, and an empty store."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from mdaf_core.runs.predictions import load_predictions
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.store import create_study
from tests.conftest import new_home
from tests.waiting import PATIENT

PAGE = Path(__file__).parents[2] / "pages" / "gates.py"
QUICK = {"training.max_epochs": 2, "training.warmup_epochs": 0, "training.batch_size": 4096}
SMALL = {"item_dim": 8, "category_dim": 8, "hidden_dim": 16, "blocks": 1}


@pytest.fixture(scope="module")
def study(tmp_path_factory, empty_store, give_tiny):
    """A study of an MDAF and a logistic regression, one seed each, trained for two epochs; with its runs by name."""
    from mdaf_core.training.fit import train

    with pytest.MonkeyPatch.context() as patch:
        dataset = give_tiny(new_home(tmp_path_factory.mktemp("shared") / "artifacts", patch, empty_store))
        small = {f"model.sequential.{name}": value for name, value in SMALL.items()}
        configs = [get_preset("mdaf-full").with_overrides(QUICK | small), get_preset("lr").with_overrides(QUICK)]
        study = create_study(
            title="Quick", definition="own", dataset=dataset.name, configurations=configs, seeds=[1],
            reference="mdaf-full",
        )  # fmt: skip
        yield study, {config.name: train(config, dataset, 1, study=study.id) for config in configs}


def open_page(**query: str) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=PATIENT)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def headings(page: AppTest) -> list[str]:
    return [h.value for h in page.subheader]


def test_without_a_study_the_page_says_what_to_do(home):
    page = open_page()
    assert "no study yet" in page.markdown[-1].value or any("no study yet" in m.value for m in page.markdown)


def test_the_gate_of_a_run(study):
    page = open_page()
    assert not page.error
    assert headings(page) == [
        "Does the history help?", "Is the gate adaptive?", "Where does g lie?",
        "Does g lean to the branch that is nearer?", "How did it come about?", "Which rows?",
    ]  # fmt: skip
    _, results = study
    learned = next(m for m in page.metric if m.label == "AUC as learned")
    assert learned.value == f"{results['mdaf-full'].test.auc:.4f}"
    assert results["mdaf-full"].run_id in page.query_params["run"]  # runs with a gate come first
    assert any("costs" in m.value and "of AUC" in m.value for m in page.markdown)
    assert any("another user's history" in m.value for m in page.markdown)
    assert not any("listens" in m.value for m in page.markdown)
    page.text_input(key=f"gate-margin-{study[0].id}").set_value("2000 bp").run()
    assert not page.error and not page.exception


def test_a_row_in_the_link_opens_its_story(study):
    _, results = study
    rows = load_predictions(results["mdaf-full"].run_id, "test")
    row = rows.filter(rows["history_length"] == 4).row(0, named=True)
    page = open_page(row=str(row["row_id"]))
    assert not page.error
    assert f"Row {row['row_id']}" in headings(page)
    values = {m.label: m.value for m in page.metric}
    assert values["g"] == f"{row['g']:.4f}" and values["Probability"] == f"{row['probability']:.4f}"
    story = page.dataframe[-1].value
    assert len(story) == 4 and story["place"].tolist() == [1, 2, 3, 4]
    assert story["effect_probability"].notna().all()


def test_filters_narrow_the_table(study):
    _, results = study
    rows = load_predictions(results["mdaf-full"].run_id, "test")
    page = open_page(label="1")
    positives = int(rows["label"].sum())
    assert any(f"{positives:,} rows" in c.value for c in page.caption)
    assert set(page.dataframe[0].value["label"]) == {1}
    page.text_input(key="user").set_value("nobody").run()
    assert not page.error and not page.dataframe and "No row passes" in page.info[0].value


def test_groups_by_two_variables_and_rows_of_an_item(study):
    page = open_page()
    page.selectbox(key="value").set_value("sequential_size").run()
    page.selectbox(key="and").set_value("item_popularity").run()
    assert not page.error and not page.exception
    titles = [m.value for m in page.markdown]
    assert "**Mean by history length, events and training rows of the item**" in titles
    page.text_input(key="find-item").set_value("Item 7").run()
    assert not page.error and set(page.dataframe[0].value["item"]) == {"Item 7"}


def test_all_rows_are_drawn_on_demand(study, monkeypatch):
    _, results = study
    rows = len(load_predictions(results["mdaf-full"].run_id, "test"))
    assert "all-rows" not in [t.key for t in open_page().toggle]  # few rows: all are drawn already
    monkeypatch.setattr("mdaf_core.analysis.rows.SCATTER_ROWS", 20)
    page = open_page()
    assert any(f"sample of 20 of {rows:,} rows" in c.value for c in page.caption)
    page.toggle(key="all-rows").set_value(True).run()
    assert not page.error and any(f"All {rows:,} rows" in c.value for c in page.caption)
    drawn = json.loads(page.get("plotly_chart")[0].proto.spec)["data"][0]
    assert drawn["type"] == "scattergl"
    assert len(base64.b64decode(drawn["x"]["bdata"])) == 4 * rows  # float32


@pytest.mark.parametrize(("row", "sentence"), [("999999999", "has no row"), ("seven", "by its number")])
def test_a_row_that_is_not_there_is_a_sentence(study, row, sentence):
    page = open_page(row=row)
    assert len(page.error) == 1 and sentence in page.error[0].value


def test_a_model_without_a_gate_says_so_and_still_has_rows(study):
    _, results = study
    page = open_page(run=results["lr"].run_id)
    assert not page.error
    assert "one branch only" in page.info[0].value
    assert headings(page) == ["Which rows?"]
    assert "g" not in page.dataframe[0].value.columns
    row = str(page.dataframe[0].value["row_id"][0])
    page = open_page(run=results["lr"].run_id, row=row)
    assert not page.error and f"Row {row}" in headings(page)
