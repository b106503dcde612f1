"""`check-model` as it is called: its lines, its JSON, its exit code, and what becomes of a file that does not run."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.cli.main import app
from mdaf_core.testing.report import kept
from tests.testing.models import written
from tests.testing.plants import PLANTS

BY_NAME = {plant.name: plant for plant in PLANTS}
BY_PROCESS = BY_NAME["the order of a set of names"]


def called(path: Path, *more: str):  # type: ignore[no-untyped-def]
    return CliRunner().invoke(app, ["check-model", str(path), *more])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return tmp_path / "my_model.py"


def test_a_bug_is_a_line_and_an_exit_code(model: Path, home: Path) -> None:
    model.write_text(BY_NAME["a tower that is detached"].source(), "utf-8")
    done = called(model, "--only", "gradients")
    assert done.exit_code == 1
    assert "FAIL  gradients" in done.stdout and "side" in done.stdout
    assert "1 check fails: gradients." in done.stdout


def test_what_depends_on_the_process_is_named(model: Path, home: Path) -> None:
    """The order of a set of texts is another one in another process."""
    model.write_text(BY_PROCESS.source(), "utf-8")
    assert called(model, "--only", "process").exit_code == 1


def test_its_clean_twin_passes_all_and_is_kept_by_its_content(model: Path, home: Path) -> None:
    model.write_text(BY_PROCESS.source(clean=True), "utf-8")
    done = called(model, "--json")
    assert done.exit_code == 0, done.stdout
    found = json.loads(done.stdout)
    states = {finding["check"]: finding["state"] for finding in found["findings"]}
    assert states["process"] == "pass" and states["gate"] == "not applicable" and "fail" not in states.values()
    stored = kept(sha256(model.read_bytes()).hexdigest(), "planted")
    assert stored is not None and stored.passed
    model.write_text(model.read_text("utf-8") + "\n# changed\n", "utf-8")
    assert kept(sha256(model.read_bytes()).hexdigest(), "planted") is None


def test_an_exception_is_a_sentence_with_its_line(model: Path, home: Path) -> None:
    source = written("static", {"BEFORE": "x = x @ self.missing"})
    model.write_text(source, "utf-8")
    line = 1 + source.splitlines().index("        x = x @ self.missing")
    done = called(model, "--only", "builds", "--only", "label", "--only", "state")
    assert done.exit_code == 1
    assert "2 more. Not examined: the model does not run." in done.stdout and done.stdout.count("examined") == 1
    assert f"{model}, line {line}, in forward: AttributeError" in done.stdout and "Traceback" not in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [("def broken(:\n", "line 1"), ("import no_such_library\n", "no_such_library"), ("x = 1\n", "defines no model")],
)
def test_a_file_that_holds_no_model(model: Path, home: Path, text: str, said: str) -> None:
    model.write_text(text, "utf-8")
    done = called(model)
    assert isinstance(done.exception, StudioError) and said in str(done.exception)


def test_a_name_that_is_none(home: Path) -> None:
    done = called(Path("no-such-thing"))
    assert isinstance(done.exception, UsageError) and "mdaf-full" in str(done.exception)
    done = called(Path("lr"), "--only", "everything")
    assert isinstance(done.exception, UsageError) and "gradients" in str(done.exception)


def test_a_built_in_name(home: Path) -> None:
    assert called(Path("lr"), "--only", "label", "--only", "state").exit_code == 0
