"""The list of studies, what is done with them, and a copy on the Launch page. Nobody serves the queue here."""

from __future__ import annotations

import pytest

from mdaf_core.base.files import write_json
from mdaf_core.base.settings import get_settings
from mdaf_core.queue import api
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import launch, shelf
from mdaf_core.studies.store import create_study, get_study, list_studies
from tests.pages.test_jobs_pages import button, open_page, quiet, sound, tiny, words  # noqa: F401


def create(title: str, preset: str = "lr"):
    return create_study(title=title, definition="own", dataset="clicks", configurations=[get_preset(preset)], seeds=[1],
                        reference=preset)  # fmt: skip


def titles(app) -> list[str]:
    return list(app.dataframe[0].value["Study"]) if app.dataframe else []


def test_studies_are_found_and_kept_in_order(quiet):  # noqa: F811
    first, second = create("First"), create("Second", "bst")
    shelf.retag(first.id, ["paper"])
    app = open_page("studies", tags="paper")
    assert titles(app) == ["First"]
    sound(app.text_input(key="find").set_value("bst").run())
    assert not titles(app) and "No study fits" in words(app)
    sound(app.multiselect(key="tags").set_value([]).run())
    assert titles(app) == ["Second"]
    shelf.archive(second.id)
    sound(app.text_input(key="find").set_value("").run())
    assert titles(app) == ["First"]
    shelf.discard(first.id)
    app = open_page("studies", where="Bin")
    assert "First" in words(app)
    sound(button(app, "Put back").click().run())
    assert [study.id for study in list_studies() if not study.archived] == [first.id]


def test_older_studies_stand_beside_new_ones(quiet):  # noqa: F811
    """Of older ones the second is known, of new ones the microsecond."""
    create("New")
    older = create("Older")
    write_json(
        get_settings().studies_dir / f"{older.id}.json",
        older.model_copy(update={"created": "2026-01-02T03:04:05+00:00"}).model_dump(),
    )
    app = open_page("studies")
    assert titles(app) == ["New", "Older"]
    assert app.dataframe[0].value["Made"].notna().all()


def test_a_study_is_managed_where_it_stands(quiet):  # noqa: F811
    first, second = create("First"), create("Second")
    shelf.write_note(first.id, "Read <b>this</b>.")
    app = open_page("overview", study=first.id)
    assert "Read <b>this</b>." in words(app)
    app.session_state["manage"] = True
    sound(app.run())
    app.text_input(key=f"manage-title-{first.id}").set_value("Renamed")
    app.text_input(key=f"manage-tags-{first.id}").set_value("a, b")
    app.text_area(key=f"manage-note-{first.id}").set_value("**Done**")
    sound(button(app, "Save").click().run())
    now = get_study(first.id)
    assert (now.title, now.tags, now.note) == ("Renamed", ["a", "b"], "**Done**")
    app.session_state["manage"] = True
    sound(app.run())
    sound(button(app, "Archive").click().run())
    assert get_study(first.id).archived and "Archived" in words(app)
    app.session_state["manage"] = True
    sound(app.run())
    sound(button(app, "Move to the bin").click().run())
    assert [study.id for study in list_studies()] == [second.id] and "is in the bin" in words(app)
    sound(button(app, "Undo").click().run())
    assert len(list_studies()) == 2
    gone = open_page("overview", study="nothing")
    assert "nothing is shown" in words(gone) and "Second" not in words(gone)


def test_a_copy_is_launched_with_changes(tiny):  # noqa: F811
    study = launch.run("demo", "tiny", seeds=[7, 8], only=["lr", "dcnv2"], title="First")
    app = open_page("launch", clone=study.id, dataset="tiny")
    assert "A copy of **First**" in words(app) and app.text_input(key="seeds_text").value == "7, 8"
    chosen = next(box for box in app.multiselect if box.label == "Configurations")
    assert chosen.value == ["dcnv2", "lr"]
    sound(app.selectbox(key="scope").set_value("lr").run())
    sound(next(n for n in app.number_input if n.label == "Max epochs").set_value(3).run())
    sound(button(app, "Launch 4 runs").click().run())
    copy = next(one for one in list_studies() if one.id != study.id)
    assert (copy.cloned_from, copy.title, copy.seeds) == (study.id, "First, changed", [7, 8])
    assert [copy.configuration(n).training.max_epochs for n in ("dcnv2", "lr")] == [12, 3]
    assert len(api.list_jobs(group=copy.id)) == 4
    with pytest.raises(StopIteration):
        button(open_page("launch", clone="nothing", dataset="tiny"), "Launch 4 runs")
