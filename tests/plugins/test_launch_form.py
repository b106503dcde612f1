"""The documentation's plug-in, outside the package, in the launch form."""

from __future__ import annotations

from tests.plugins.example import name, page


def test_the_launch_form_shows_it(tiny, tmp_path, monkeypatch):
    name(tmp_path / "my_models.py", monkeypatch)
    form = page("launch", dataset="tiny", definition="own")
    chosen = form.multiselect(key="chosen-own-tiny")
    assert {"share", "share-gated"} <= set(chosen.options)
    chosen.set_value(["share"]).run()
    form.selectbox(key="scope").set_value("share").run()
    assert any(box.label == "Power" and box.value == 1.0 for box in form.number_input)
