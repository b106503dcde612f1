"""One artifacts folder for the tests of Curves, Compare and Export, which only read it."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import ROOT, new_home
from tests.reporting.example_study import make_study
from tests.waiting import PATIENT

LONG = "mdaf_variant-with-a-rather-long-name_and_50%-dropout"


@pytest.fixture(scope="session")
def studies(tmp_path_factory, empty_store: Path, give_tiny) -> dict[str, str]:  # type: ignore[no-untyped-def]
    """Ids of studies: `full` (three seeds, on prepared data), `single` (one seed), `failed`, `empty` (nothing run)."""
    from mdaf_core.runs.presets import get_preset
    from mdaf_core.studies.store import create_study

    with pytest.MonkeyPatch.context() as patch:
        folder = new_home(tmp_path_factory.mktemp("store") / "artifacts", patch, empty_store)
        tiny = give_tiny(folder)
        found = {
            "full": make_study(["mdaf-full", "mdaf-static", "lr"], [42, 43, 44], title="Full", dataset=tiny).id,
            "single": make_study(["mdaf-full", "lr"], [42], title="Single").id,
            "failed": make_study(
                ["mdaf-full", LONG, "lr"], [42, 43], title="Failed", failed=[("lr", 42), ("lr", 43), (LONG, 43)]
            ).id,
            "empty": create_study(
                title="Empty",
                definition="own",
                dataset="tiny",
                configurations=[get_preset("lr")],
                seeds=[42],
                reference="lr",
            ).id,
        }
    return found | {"home": str(folder)}


@pytest.fixture
def open_page(studies: dict[str, str], monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Run a page with a study of `studies` and further query parameters; nothing may have failed."""
    monkeypatch.setenv("MDAF_HOME", studies["home"])
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)

    def run(page: str, study: str | None = None, home: Path | None = None, **query: str) -> AppTest:
        if home is not None:
            monkeypatch.setenv("MDAF_HOME", str(home))
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
        app.switch_page(f"pages/{page}.py")
        if study is not None:
            app.query_params["study"] = studies.get(study, study)
        for name, value in query.items():
            app.query_params[name] = value
        app.run()
        assert not app.exception, app.exception[0].message
        return app

    return run


def words(app: AppTest) -> str:
    """All text of a page."""
    kinds = ("title", "subheader", "markdown", "caption", "error", "info", "warning", "code")
    return "\n".join(str(element.value) for kind in kinds for element in getattr(app, kind))
