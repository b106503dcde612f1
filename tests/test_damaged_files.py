"""Any file of an artifacts folder, damaged in any way, costs what it holds and nothing else: no traceback, a sentence
that names it, and all other studies are still there.

`MDAF_DAMAGE=all` tries every file with every damage and every command (minutes); otherwise one file of a kind, each
with two of the damages in turn.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from mdaf_core.analysis.criteria import preset_criteria
from mdaf_core.cli import main as cli
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import api, store
from mdaf_core.queue.job import log_path
from mdaf_core.runs import tracking
from mdaf_core.studies.store import update_study
from tests.conftest import new_home
from tests.reporting.example_study import make_study
from tests.waiting import PATIENT

ALL = os.environ.get("MDAF_DAMAGE") == "all"
SEEDS = [1, 2]


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _half(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def _wild(path: Path) -> None:
    path.write_bytes(np.random.default_rng(len(path.name)).bytes(max(path.stat().st_size, 400)))


def _other_type(path: Path) -> None:
    path.write_text('[["of another kind"], 7, null]')


def _wrong_fields(path: Path) -> None:
    path.write_text('{"id": 3, "checks": 5, "unknown": {"a": []}}')


def _without_end(path: Path) -> None:
    path.write_text("[" * 100_000)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "something").write_text("x")


def _removed(path: Path) -> None:
    path.unlink()


DAMAGES: dict[str, Callable[[Path], None]] = {
    f.__name__[1:]: f for f in (_empty, _half, _wild, _other_type, _wrong_fields, _without_end, _folder, _removed)
}


class Folder:
    """An artifacts folder with two studies, their jobs and data, and what reading it left in caches."""

    def __init__(self, home: Path, tiny: PreparedDataset):
        self.home = home
        prepare("synthetic", path=None, name="spare", options={"size": "tiny", "seed": 3})
        self.study = make_study(["mdaf-full", "lr"], SEEDS, title="Mine", dataset=tiny, gates=True).id
        self.other = make_study(["lr"], [1], title="Other").id
        update_study(self.study, criteria=[c.model_dump(mode="json") for c in preset_criteria("report")])
        ids = store.add(
            [
                store.NewJob("train", f"lr, seed {s}", {"a": 1}, key=f"{self.study}/lr/{s}", resumable=True)
                for s in SEEDS
            ]
        )
        with store.transaction() as db:
            for run in tracking.list_runs(self.study):
                if run.configuration == "lr":
                    db.execute(
                        "UPDATE jobs SET state = 'finished', attempts = 1, started = 1, ended = 2, run_id = ? "
                        "WHERE id = ?",
                        (run.run_id, ids[SEEDS.index(run.seed)]),
                    )
        (home / "jobs" / "logs").mkdir()
        log_path(ids[0]).write_text("Finished.\n")
        self.run = next(run.run_id for run in tracking.list_runs(self.study) if run.configuration == "mdaf-full")
        self.commands = {
            "study list": ("study", "list", "--json"),
            "study show": ("study", "show", self.study),
            "study show other": ("study", "show", self.other),
            "jobs": ("jobs", "--json"),
            "log": ("jobs", "log", str(ids[0])),
            "data list": ("data", "list", "--json"),
            "data show": ("data", "show", "tiny"),
            "compare": ("compare", self.study),
            "criteria": ("criteria", self.study),
            "overfitting": ("overfitting", self.run),
            "gates": ("gates", self.run),
            "story": ("gates", self.run, "--row", str(self._a_row())),
            "figure": ("figure", f"{self.study}/quality-parameters", "--out", str(home.parent / "f.csv")),
            "study complete": ("study", "complete", self.other),
        }

    def _a_row(self) -> int:
        from mdaf_core.runs.predictions import load_predictions

        return int(load_predictions(self.run, "test")["row_id"][0])

    def files(self) -> list[Path]:
        """Every file but locks, and what SQLite keeps beside a database."""
        found = [p for p in self.home.rglob("*") if p.is_file() and not p.name.startswith(".")]
        return sorted(p for p in found if not p.name.endswith((".lock", "-wal", "-shm", "-journal")))

    def kinds(self) -> dict[str, Path]:
        """One file of each kind, named without ids."""
        found: dict[str, Path] = {}
        for path in self.files():
            name = path.relative_to(self.home).as_posix()
            mine = self.run in name or "runs/" not in name
            if mine and "spare" not in name and self.other not in name:
                found.setdefault(re.sub(r"[0-9a-f]{32,40}", "ID", name), path)
        return found


@pytest.fixture(scope="module")
def folder(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, give_tiny: Callable[[Path], PreparedDataset]
) -> Iterator[Folder]:
    with pytest.MonkeyPatch.context() as patch:
        home = new_home(tmp_path_factory.mktemp("damaged") / "artifacts", patch, empty_store)
        patch.setattr(api, "ensure_supervisor", lambda: None)
        made = Folder(home, give_tiny(home))
        for name in made.commands:  # fills the caches
            code, out, err = call(made.commands[name], patch)
            assert code == 0 and not err, (name, out, err)
        yield made


def call(arguments: tuple[str, ...], patch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command; whatever it raises ends the test."""
    import io

    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["mdaf_core", *arguments])
        patch.setattr("sys.stdout", out)
        patch.setattr("sys.stderr", err)
        with pytest.raises(SystemExit) as ended:
            cli.main()
    return int(ended.value.code or 0), out.getvalue(), err.getvalue()


class Damaged:
    """`path` damaged inside the block and as it was afterwards, its times included."""

    def __init__(self, path: Path, how: str):
        self.path, self.how = path, how

    def __enter__(self) -> None:
        beside = [Path(f"{self.path}{e}") for e in ("-wal", "-shm", "-journal")] if self.path.suffix == ".db" else []
        if self.path.suffix == ".db":  # as after everything was closed
            sqlite3.connect(self.path).execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
        for one in beside:
            one.unlink(missing_ok=True)
        self.kept = self.path.with_name(f".{self.path.name}.kept")
        shutil.copy2(self.path, self.kept)
        DAMAGES[self.how](self.path)

    def __exit__(self, *_: object) -> None:
        if self.path.is_dir():
            shutil.rmtree(self.path)
        for ending in ("-wal", "-shm", "-journal"):
            Path(f"{self.path}{ending}").unlink(missing_ok=True)
        self.kept.replace(self.path)


# What must say so, where a file of this kind is damaged. Caches are computed again; the rest is found in other files.
SAYS = {
    r"^mlflow\.db$": "study list",
    r"^jobs/queue\.db$": "study list",
    r"^studies/": "study list",
    r"/result\.json$": "study show",
    r"/epochs\.json$": "overfitting",
    r"/predictions/test\.parquet$": "story",
    r"/tiny/dataset\.json$": "data list",
    r"/tiny/rows/test\.arrow$": "story",
}


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """The folder as one that may not be written: by its rights, or for root by how it is mounted."""
    if os.geteuid() == 0:
        mounts = (["mount", "--bind", folder, folder], ["mount", "-o", "remount,bind,ro", folder])
        if any(subprocess.run(command, capture_output=True, check=False).returncode for command in mounts):
            subprocess.run(["umount", folder], capture_output=True, check=False)
            pytest.skip("root may write anywhere, and nothing may be mounted here")
        try:
            yield
        finally:
            subprocess.run(["umount", "-l", folder], check=True)
        return
    paths = [folder, *folder.rglob("*")]
    for path in paths:
        path.chmod(path.stat().st_mode & ~0o222)
    try:
        yield
    finally:
        for path in paths:
            path.chmod(path.stat().st_mode | stat.S_IWUSR)


@pytest.mark.parametrize("caches", [True, False])
def test_a_folder_that_may_only_be_read_can_be_looked_at(
    folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caches: bool
) -> None:
    """A copy of the folder, with what was kept of earlier looks and without."""
    home = tmp_path / "copy"
    shutil.copytree(folder.home, home, ignore=None if caches else shutil.ignore_patterns("cache"))
    monkeypatch.setenv("MDAF_HOME", str(home))
    monkeypatch.setattr(api, "ensure_supervisor", lambda: None)
    with read_only(home):
        for name, arguments in folder.commands.items():
            code, out, err = call(arguments, monkeypatch)
            assert "Traceback" not in err and (code == 0 or name == "study complete"), (name, out, err)
        app = AppTest.from_file(str(Path(__file__).parent.parent / "app.py"), default_timeout=PATIENT)
        for page in ("overview", "jobs", "compare") if caches else ("overview",):
            app.switch_page(f"pages/{page}.py")
            app.query_params["study"] = folder.study
            app.run()
            assert not app.exception and not app.error, (page, [e.value for e in (*app.exception, *app.error)])
        code, _, err = call(("study", "run", "demo", "--data", "tiny"), monkeypatch)
        assert code == 1 and "\nError: " in f"\n{err}" and "Traceback" not in err


@pytest.mark.parametrize(
    ("kind", "how", "page"),
    [
        ("studies/", "half", "overview"),
        ("runs/ID/artifacts/result.json", "wrong_fields", "overview"),
        ("jobs/queue.db", "wild", "overview"),
        ("runs/ID/artifacts/epochs.json", "wild", "curves"),
        ("datasets/tiny/dataset.json", "folder", "data"),
        ("mlflow.db", "half", "compare"),
    ],
)
def test_pages_say_what_is_damaged_and_show_the_rest(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, kind: str, how: str, page: str
) -> None:
    monkeypatch.setenv("MDAF_HOME", str(folder.home))
    monkeypatch.setattr(api, "ensure_supervisor", lambda: None)
    path = next(p for name, p in folder.kinds().items() if name.startswith(kind))
    with Damaged(path, how):
        app = AppTest.from_file(str(Path(__file__).parent.parent / "app.py"), default_timeout=PATIENT)
        app.switch_page(f"pages/{page}.py")
        app.query_params["study"] = folder.other if kind == "studies/" else folder.study
        app.query_params["dataset"] = "tiny"
        app.run()
    assert not app.exception, app.exception[0].message
    told = " ".join(element.value for element in [*app.warning, *app.error]).replace("\\", "")
    assert path.name in told and "part of the page failed" not in told
    if page != "data":
        (study,) = [box for box in app.selectbox if box.label == "Study"]
        assert "Other" in study.options


def test_every_file_damaged_in_every_way(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = folder.kinds()
    files = {str(p.relative_to(folder.home)): p for p in folder.files()} if ALL else kinds
    main = set(kinds.values())
    few = ("study list", "study show", "jobs", "data list", "compare", "story")
    wrong: list[str] = []
    for number, (kind, path) in enumerate(sorted(files.items())):
        hows = list(DAMAGES) if ALL else [list(DAMAGES)[(number + step) % len(DAMAGES)] for step in (0, 3)]
        for how in hows:
            with Damaged(path, how):
                said: dict[str, str] = {}
                for name, arguments in folder.commands.items():
                    if (
                        not ALL
                        and name not in few
                        and not any(re.search(p, kind) and name == says for p, says in SAYS.items())
                    ):
                        continue
                    try:
                        code, out, err = call(arguments, monkeypatch)
                    except BaseException as error:
                        wrong.append(f"{kind} {how}: {name} raised {type(error).__name__}: {error}")
                        continue
                    said[name] = out + err
                    if code not in (0, 1) and not (how == "removed" and code == 2):
                        wrong.append(f"{kind} {how}: {name} exits with {code}: {err}")
                    if code and not (err.startswith("Error: ") and err.rstrip().endswith((".", "]"))):
                        wrong.append(f"{kind} {how}: {name} says no sentence: {err!r}")
                    if "Traceback" in out + err:
                        wrong.append(f"{kind} {how}: {name} shows a traceback")
                    gone = how == "removed" and path.stem == folder.other
                    if name == "study list" and not gone and (code or folder.other not in out):
                        wrong.append(f"{kind} {how}: the other study is not listed: {out[:300]} {err}")
                    if name == "data list" and (code or "spare" not in out + err):
                        wrong.append(f"{kind} {how}: the other data set is not listed: {out[:300]} {err}")
                for pattern, name in SAYS.items():
                    # Nothing is known of a study or a queue that is gone; a result holds its epochs too.
                    silent = how == "removed" and any(part in kind for part in ("studies/", "queue", "epochs.json"))
                    if (
                        path in main
                        and re.search(pattern, kind)
                        and name in said
                        and not silent
                        and path.name not in said[name]
                    ):
                        wrong.append(f"{kind} {how}: {name} does not name the file: {said[name][-300:]}")
    assert not wrong, f"{len(wrong)} faults:\n" + "\n".join(wrong[:60])
    code, _, err = call(folder.commands["study show"], monkeypatch)
    assert code == 0 and not err, "what was put back is read again"
