"""Fixtures for all tests: an artifacts folder of their own, and the real sample data where it is at hand."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from mdaf_core.base.imports import collect_rarely

if TYPE_CHECKING:
    from mdaf_core.data.store.dataset import PreparedDataset

# A busy machine is slow: no example is timed.
settings.register_profile("patient", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

collect_rarely()  # as the program does

ROOT = Path(__file__).resolve().parent.parent


SHARE_AN_APP = (("test_demo", "test_own_data", "test_tuning"), ("test_drawing", "test_every_page", "test_ten_tasks"))
"""Modules of `e2e/` that visit one app, one after another."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """A worker is given a module after another, and those that share an app as one: it is started once."""
    if config.getoption("dist") != "loadscope":
        return None
    from xdist.scheduler import LoadScopeScheduling

    class Modules(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            module = super()._split_scope(nodeid)
            return next((str(some) for some in SHARE_AN_APP if Path(module).stem in some and "e2e" in module), module)

    return Modules(config, log)


@pytest.fixture
def processes() -> None:
    """For tests that let the program start the processes that do what is queued, or count costs."""


@pytest.fixture(autouse=True)
def _nobody_serves(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere nobody does what is queued: each page of a form would load torch in a process of its own."""
    if "processes" not in request.fixturenames:
        monkeypatch.setattr("mdaf_core.queue.api._start_supervisor", os.close)
        monkeypatch.setattr("mdaf_core.studies.estimate._start_counting", lambda *_: None)


@pytest.fixture(autouse=True, scope="session")
def _looked_up_once() -> Iterator[None]:
    """Streamlit compiles a page's file, and looks through all installed packages for components, for each `AppTest`
    anew; here once, for all tests."""
    if "streamlit.testing.v1" not in sys.modules:  # no test of pages is among them
        yield
        return
    from streamlit.components.v2 import manifest_scanner
    from streamlit.runtime.scriptrunner.script_cache import ScriptCache

    kept, compiled = ScriptCache(), ScriptCache.get_bytecode
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptCache, "get_bytecode", lambda _, path: compiled(kept, path))
        patch.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run store without runs. Creating its tables takes a second, copying it none."""
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments(max_results=1)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """An artifacts folder that holds an empty run store, set as MDAF_HOME."""
    return new_home(tmp_path / "artifacts", monkeypatch, empty_store)


def new_home(folder: Path, patch: pytest.MonkeyPatch, empty_store: Path) -> Path:
    """Make an artifacts folder that holds an empty run store, and set it as MDAF_HOME."""
    folder.mkdir(parents=True)
    shutil.copy(empty_store, folder / "mlflow.db")
    patch.setenv("MDAF_HOME", str(folder))
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder with small real data sets: `$MDAF_SHARED_DATA`, else `../shared/data` beside the project."""
    folder = Path(os.environ.get("MDAF_SHARED_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no sample data: {folder} does not exist (set MDAF_SHARED_DATA)")
    return folder


@pytest.fixture(scope="session")
def give_tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], PreparedDataset]:
    """Puts the embedded data set `synthetic tiny`, named `tiny`, into an artifacts folder, which is MDAF_HOME.

    Preparing it takes half a second, copying it none.
    """
    from mdaf_core.data.prepare.pipeline import prepare
    from mdaf_core.data.store.dataset import PreparedDataset

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(tmp_path_factory.mktemp("tiny")))
        made = prepare("synthetic", path=None, name="tiny", options={"size": "tiny"}).path

    def give(home: Path) -> PreparedDataset:
        shutil.copytree(made, home / "datasets" / "tiny")
        return PreparedDataset.open("tiny")

    return give


@pytest.fixture
def tiny(home: Path, give_tiny: Callable[[Path], PreparedDataset]) -> PreparedDataset:
    """The embedded data set `synthetic tiny` in this test's artifacts folder."""
    return give_tiny(home)


@pytest.fixture(scope="session")
def _few(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from mdaf_core.data.prepare.pipeline import prepare
    from tests.data.raw_files import write_ml_100k

    folder = tmp_path_factory.mktemp("few")
    write_ml_100k(folder / "ml-100k", 2000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(folder / "artifacts"))
        return prepare("movielens", path=folder / "ml-100k", name="few").path


@pytest.fixture
def few(home: Path, _few: Path) -> PreparedDataset:
    """2,000 rows with histories, named `few`, for trainings of which the result alone does not matter."""
    from mdaf_core.data.store.dataset import PreparedDataset

    shutil.copytree(_few, home / "datasets" / "few")
    return PreparedDataset.open("few")


@pytest.fixture(scope="session")
def _folders() -> dict[str, tuple[Path, Any]]:
    return {}


@pytest.fixture
def made_once(
    home: Path,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    _folders: dict[str, tuple[Path, Any]],
) -> Callable[[Callable[[], Any]], Any]:
    """Gives what a function makes in the artifacts folder: made for a module's first test, copied for the others."""
    name = request.module.__name__

    def give(make: Callable[[], Any]) -> Any:
        if name not in _folders:
            kept = tmp_path_factory.mktemp("made") / "artifacts"
            shutil.copytree(home, kept)
            with monkeypatch.context() as patch:
                patch.setenv("MDAF_HOME", str(kept))
                _folders[name] = kept, make()
        kept, found = _folders[name]
        shutil.copytree(kept, home, dirs_exist_ok=True)
        return found

    return give


LONG_LOGS = (1, 2, 55, 250, 1500, 10_500)
"""Events of each user of `long_logs`."""


@pytest.fixture(scope="session")
def long_logs(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    """A data set of few users with logs of 1 to more than 10,000 events, of a few items; in a folder of its own."""
    import numpy as np

    from mdaf_core.data.prepare.pipeline import prepare

    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("long")
    user = np.repeat(np.arange(1, len(LONG_LOGS) + 1), LONG_LOGS)
    item = rng.integers(1, 300, len(user))
    second = 1511539200 + rng.integers(0, 9 * 86400, len(user))  # 2017-11-25 00:00 in Shanghai
    kind = np.where(rng.random(len(user)) < 0.05, "buy", "pv")
    lines = (f"{u},{i},{i % 11},{k},{s}\n" for u, i, k, s in zip(user, item, kind, second, strict=True))
    (folder / "log.csv").write_text("".join(lines))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(folder / "home"))
        return prepare("user-behavior", path=folder / "log.csv", name="long")
