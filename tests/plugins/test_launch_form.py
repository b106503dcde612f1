"""The documentation's plug-in, outside the package, in the launch form."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.plugins.example import ROOT, name
from tests.waiting import PATIENT


def page(name: str, **query: str) -> AppTest:
    found = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    found.switch_page(f"pages/{name}.py")
    for key, value in query.items():
        found.query_params[key] = value
    found.run()
    assert not found.exception and not found.error
    return found


def test_the_launch_form_shows_it(tiny, tmp_path, monkeypatch):
    name(tmp_path / "my_models.py", monkeypatch)
    form = page("launch", dataset="tiny", definition="own")
    chosen = form.multiselect(key="chosen-own-tiny")
    assert {"share", "share-gated"} <= set(chosen.options)
    chosen.set_value(["share"]).run()
    form.selectbox(key="scope").set_value("share").run()
    assert any(box.label == "Power" and box.value == 1.0 for box in form.number_input)
