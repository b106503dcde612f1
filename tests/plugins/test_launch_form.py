"""The documentation's plug-in, outside the package, in the launch form."""

from __future__ import annotations

from hashlib import sha256

from mdaf_core.testing.report import Examination, Finding, keep
from tests.plugins.example import name, page


def test_the_launch_form_shows_it(tiny, tmp_path, monkeypatch):
    name(tmp_path / "my_models.py", monkeypatch)
    form = page("launch", dataset="tiny", definition="own")
    chosen = form.multiselect(key="chosen-own-tiny")
    assert {"share", "share-gated"} <= set(chosen.options)
    chosen.set_value(["share"]).run()
    form.selectbox(key="scope").set_value("share").run()
    assert any(box.label == "Power" and box.value == 1.0 for box in form.number_input)


def test_it_says_what_an_examination_found(tiny, tmp_path, monkeypatch):
    file = name(tmp_path / "my_models.py", monkeypatch)
    form = page("launch", dataset="tiny", definition="own")

    def told() -> str:
        form.multiselect(key="chosen-own-tiny").set_value(["share", "lr"]).run()
        assert not form.exception and not form.error
        return " ".join(element.value for element in (*form.warning, *form.caption)).replace("\\", "")

    assert "`share` of my_models.py was not examined as it is now" in told() and "`lr`" not in told()
    assert any(code.value.endswith(f"check-model {file}") for code in form.code)
    digest = sha256(file.read_bytes()).hexdigest()
    for state, words in (("fail", "fails label of its examination"), ("pass", "was examined: all checks pass")):
        found = Finding(check="label", title="Label", state=state)  # type: ignore[arg-type]
        keep(Examination(model="share", findings=[found]), digest)
        assert words in told()
