"""Before a login: who sees what, and what is refused to readers where it is done. Users and secrets are made up."""

from __future__ import annotations

import pytest
from streamlit.runtime.pages_manager import PagesManager
from streamlit.testing.v1 import AppTest

from mdaf_core.base import rights
from mdaf_core.data.store import browse
from mdaf_core.queue import store
from mdaf_core.queue.job import NewJob
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import shelf
from mdaf_core.studies.store import create_study, get_study
from serving import login
from tests.conftest import ROOT
from tests.pages.test_jobs_pages import quiet, sound, tiny, words  # noqa: F401
from tests.waiting import PATIENT

OWNER, READER, STRANGER = "ada@lab.org", "bob@lab.org", "eve@elsewhere.org"
SECRETS = {
    "auth": {"server_metadata_url": "https://id.lab.org"},
    "roles": {"owner": OWNER, "reader": ["*@lab.org"]},
}
PAGES = ["studies", "overview", "run", "tuning", "data", "launch", "jobs", "curves", "compare", "gates", "export"]


@pytest.fixture
def signed(monkeypatch):
    """The pages as a user sees them, with a login set up."""
    monkeypatch.setattr(login, "secrets", lambda section: SECRETS.get(section, {}))
    first = PagesManager.__init__

    def as_served(self: PagesManager, *args: object) -> None:
        PagesManager.uses_pages_directory = False  # AppTest would run a page's file without app.py
        first(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(PagesManager, "__init__", lambda self, *args, **_: as_served(self, *args))

    def run(page: str, email: str | None, **query: str) -> AppTest:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENT)
        app.switch_page(f"pages/{page}.py")
        app.user = {"is_logged_in": bool(email)} | ({"email": email} if email else {})
        for name, value in query.items():
            app.query_params[name] = value
        return sound(app.run())

    yield run
    rights.ask(lambda: None)


def made() -> str:
    study = create_study(title="Secret", definition="own", dataset="tiny", configurations=[get_preset("lr")], seeds=[1],
                         reference="lr")  # fmt: skip
    store.add([NewJob(kind="train", title="a training", payload={}, key=f"{study.id}/lr/1", resource="tiny")])
    return study.id


def test_nobody_sees_anything_before_the_sign_in(tiny, signed):  # noqa: F811
    made()
    for page in PAGES:
        app = signed(page, None)
        assert [b.label for b in app.button] == ["Sign in"] and "Secret" not in str(app.main), page
    app = signed("overview", STRANGER)
    assert "neither an owner nor a reader" in words(app) and [b.label for b in app.button] == ["Sign out"]


def test_readers_see_every_page_and_change_nothing(tiny, signed):  # noqa: F811
    study, seen = made(), set[str]()
    for page in PAGES:
        app = signed(page, READER, study=study, dataset="tiny")
        assert not app.error and READER in words(app), page
        assert not app.get("file_uploader") and not app.get("data_editor"), page
        seen |= {b.label or str(b.key) for b in app.button if not b.disabled}
    assert seen <= {"Sign out", "Show others", "Make the file"}
    owner = signed("jobs", OWNER)
    cancel = next(b for b in owner.button if str(b.key).startswith("cancel-"))
    assert not cancel.disabled
    # A press of a button that was drawn for an owner, by one who is a reader now: refused where it would be done.
    owner.user = {"is_logged_in": True, "email": READER}
    cancel.click()
    sound(owner.run())
    assert [job.state for job in store.list_jobs()] == ["queued"]


def test_each_door_asks(tiny):  # noqa: F811
    study = made()
    store.cancel(1)
    rights.ask(lambda: "You may only look.")
    try:
        doors = [
            lambda: store.add([]),
            lambda: store.requeue(1, resume=False),
            lambda: shelf.rename(study, "Mine"),
            lambda: shelf.discard(study),
            lambda: create_study(title="", definition="own", dataset="tiny", configurations=[get_preset("lr")],
                                 seeds=[1], reference="lr"),
            lambda: browse.entries(ROOT),
        ]  # fmt: skip
        for door in doors:
            with pytest.raises(rights.NotAllowedError, match="only look"):
                door()
    finally:
        rights.ask(lambda: None)
    assert get_study(study).title == "Secret" and store.get_job(1).state == "cancelled"


@pytest.mark.parametrize(
    ("claims", "role"),
    [
        ({"email": "Ada@Lab.org "}, "owner"),
        ({"email": READER}, "reader"),
        ({"email": STRANGER}, None),
        ({"email": "eve@elsewhere.org@lab.org.elsewhere.org"}, None),
        ({"email": OWNER, "email_verified": False}, None),
        ({"email": OWNER, "is_logged_in": False}, None),
        ({"email": None}, None),
        ({"name": OWNER}, None),
    ],
)
def test_roles_follow_the_address(monkeypatch, claims, role):
    monkeypatch.setattr(login, "secrets", lambda section: SECRETS.get(section, {}))
    assert login.role({"is_logged_in": True} | claims) == role
