"""Importing predictions through the page: what was recognised, refusals in sentences, and the run in its study."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from streamlit.testing.v1 import AppTest

from mdaf_core.data.store.export import export_rows
from mdaf_core.studies.store import get_study, list_studies
from tests.conftest import ROOT
from tests.pages.report_store import words
from tests.waiting import PATIENT


@pytest.fixture
def scores(tiny, tmp_path: Path) -> Path:  # type: ignore[no-untyped-def]
    export_rows(tiny, ["test"], tmp_path / "rows.parquet")
    rows = pl.read_parquet(tmp_path / "rows.parquet")
    path = tmp_path / "scores.csv"
    rows.select("row_id", "label", y_pred=(pl.col("row_id") % 97 + 1) / 100 + pl.col("label") / 200).write_csv(path)
    return path


def open_data() -> AppTest:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    app.switch_page("pages/data.py")
    app.query_params["dataset"] = "tiny"
    app.run()
    assert not app.exception, app.exception[0].message
    return app


def test_a_file_is_looked_at_then_imported_and_compared(scores: Path) -> None:
    app = open_data()
    app.text_input(key="import-path").set_value(str(scores)).run()
    assert "matched by row id" in words(app) and "read as probabilities" in words(app)
    assert app.button(key="import-go").disabled and not list_studies()
    app.text_input(key="import-name").set_value("fuxictr-dcnv2")
    app.text_input(key="import-seed").set_value("1").run()
    app.button(key="import-go").click().run()
    assert not app.exception and "fuxictr-dcnv2 (imported) is imported into study" in words(app) + " ".join(
        str(element.value) for element in app.success
    ).replace("\\", "")
    study = list_studies()[0]
    assert study.seeds_of("fuxictr-dcnv2 (imported)") == [1]
    for page in ("overview", "compare", "curves", "gates", "export"):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
        app.switch_page(f"pages/{page}.py")
        app.query_params["study"] = study.id
        app.run()
        assert not app.exception, (page, app.exception[0].message)
        assert not [error.value for error in app.error if "page failed" in str(error.value)], page
        assert "failed (" not in words(app), page
        if page == "curves":
            assert "Imported, so their curves are not known" in words(app)


def test_what_does_not_fit_is_a_sentence(scores: Path) -> None:
    whole = pl.read_csv(scores)
    whole.slice(3).write_csv(scores)
    app = open_data()
    app.text_input(key="import-path").set_value(str(scores)).run()
    assert not app.exception
    assert "3 rows are missing" in words(app)
    assert not list_studies()


def test_predictions_are_added_to_the_study_that_is_looked_at(scores: Path, tiny) -> None:  # type: ignore[no-untyped-def]
    from mdaf_core.runs.provenance import fingerprint
    from tests.reporting.example_study import make_study

    names = ["mdaf-full", "lr"]
    study = make_study(names, [1], dataset=tiny, fingerprints=dict.fromkeys(names, fingerprint(tiny)))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    app.query_params["study"] = study.id
    app.run()
    app.text_input(key="import-path").set_value(str(scores))
    app.text_input(key="import-name").set_value("other").run()
    app.button(key="import-go").click().run()
    assert not app.exception
    assert get_study(study.id).configuration_names == ["mdaf-full", "lr", "other (imported)"]
    for page in ("overview", "compare", "curves", "gates", "export"):
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
        app.switch_page(f"pages/{page}.py")
        app.query_params["study"] = study.id
        app.run()
        assert not app.exception, (page, app.exception[0].message)
        assert "failed (" not in words(app), page


def test_a_folder_for_another_program_is_written(scores: Path, tmp_path: Path) -> None:
    app = open_data()
    app.session_state["rows-kind"] = "libsvm"
    app.run()
    app.text_input(key="rows-folder").set_value(str(tmp_path / "out")).run()
    app.button(key="rows-go").click().run()
    assert not app.exception and "20,000 rows written" in " ".join(str(element.value) for element in app.success)
    assert (tmp_path / "out" / "index.csv").exists()


def test_an_upload_is_stored_once_and_gone_when_it_is_imported(scores: Path, home: Path) -> None:
    app = open_data()
    app.text_input(key="import-name").set_value("uploaded")
    app.file_uploader(key="import-upload-0").set_value(("scores.csv", scores.read_bytes(), "text/csv"))
    app.run()
    assert not app.exception and "matched by row id" in words(app)
    app.text_input(key="import-seed").set_value("7").run()
    assert len(list((home / "uploads").iterdir())) == 1
    app.button(key="import-go").click().run()
    assert not app.exception and list_studies()[0].seeds_of("uploaded (imported)") == [7]
    app.run()
    assert not list((home / "uploads").iterdir()) and "matched by row id" not in words(app)
