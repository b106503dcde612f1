"""Pickers tell apart what has one name."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import streamlit as st
from streamlit.testing.v1 import AppTest
from typer.testing import CliRunner

from mdaf_core.cli.main import app as cli_app
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.shelf import discard
from mdaf_core.studies.store import create_study, new_group
from pages import shared
from tests.waiting import PATIENT

ROOT = Path(__file__).resolve().parents[2]


def test_two_studies_of_one_title(home: Path) -> None:
    made = [
        create_study(
            title=title,
            definition="own",
            dataset="d",
            configurations=[get_preset(preset)],
            seeds=[1],
            reference=preset,
        )
        for title, preset in (("Twice", "lr"), ("Twice", "dcnv2"), ("Once", "bst"))
    ]
    for study in made[:2]:
        app = AppTest.from_file(str(ROOT / "pages" / "overview.py"), default_timeout=PATIENT)
        app.query_params["study"] = study.id
        app.run()
        assert not app.exception
        box = next(box for box in app.selectbox if box.label == "Study")
        assert len(set(box.options)) == 3 and "Once" in box.options
        assert f"Twice ({study.id})" in box.options
        assert box.value == study.id


def test_commands_in_sentences_are_code_and_names_stay_text() -> None:
    assert shared.sentence("`study run NAME` runs *one*.") == "`study run NAME` runs \\*one\\*."
    assert shared.sentence("a`b has [no](link)") == shared.plain("a`b has [no](link)")
    assert shared.sentence("`a\n\n# b`") == shared.plain("`a\n\n# b`")


def test_a_choice_holds_although_another_page_is_asked_for_at_once(home: Path, monkeypatch) -> None:
    """Streamlit breaks the run off that the choice began, before it comes to the box."""
    studies = [
        create_study(
            title=preset,
            definition="own",
            dataset="d",
            configurations=[get_preset(preset)],
            seeds=[1],
            reference=preset,
        )
        for preset in ("lr", "dcnv2")
    ]
    app = AppTest.from_file(str(ROOT / "pages" / "overview.py"), default_timeout=PATIENT)
    app.query_params["study"] = studies[0].id
    app.run()
    with monkeypatch.context() as broken_off:
        broken_off.setattr(shared, "header", lambda *_: st.stop())
        next(box for box in app.selectbox if box.label == "Study").set_value(studies[1].id).run()
    app.query_params.clear()  # as a link of the sidebar has none
    app.run()
    assert next(box for box in app.selectbox if box.label == "Study").value == studies[1].id


def test_studies_that_were_launched_together_name_each_other(home: Path) -> None:
    group = new_group(["a", "b", "c"])
    made = [
        create_study(
            title="Three", definition="own", dataset=data, configurations=[get_preset("lr")], seeds=[1], reference="lr",
            group=group,
        )
        for data in ("a", "b", "c")
    ]  # fmt: skip
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
    app.query_params["study"] = made[1].id
    app.run()
    assert not app.exception
    links = {link.label: link.query_string for link in (one.proto for one in app.get("page_link"))}
    assert links["a"] == f"study={made[0].id}" and links["c"] == f"study={made[2].id}" and "b" not in links
    assert links["Across them"].startswith(f"study={made[1].id}&view=Across")
    shown = CliRunner().invoke(cli_app, ["study", "show", made[1].id])
    assert f"Launched together with {made[0].id}, {made[2].id}:" in shown.output


def test_a_link_to_a_study_in_the_bin_says_so(home: Path) -> None:
    made = [
        create_study(
            title=name, definition="own", dataset="d", configurations=[get_preset("lr")], seeds=[1], reference="lr"
        )
        for name in ("kept", "thrown")
    ]
    discard(made[1].id)
    app = AppTest.from_file(str(ROOT / "pages" / "overview.py"), default_timeout=PATIENT)
    for asked, said in ((made[1].id, "is in the bin"), ("never_was", "There is no study 'never\\_was'")):
        app.query_params["study"] = asked
        app.run()
        assert not app.exception and [said in one.value for one in app.warning] == [True]


def test_a_fault_after_an_update_says_what_to_do(monkeypatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(st, "error", lambda text, **_: said.append(text))
    for changing in (False, True):
        files = SimpleNamespace(look=lambda again: None, changing=changing)
        monkeypatch.setattr(shared, "_program", lambda files=files: files)
        with shared.guard():
            raise ImportError("cannot import name")
    assert "failed (ImportError)" in said[0] and "start the app anew" in said[1]
