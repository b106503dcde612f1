"""The door of the command line: every command is found, and said in one line what it does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

import mdaf_core
from mdaf_core.cli import app as dashboard
from mdaf_core.cli.main import COMMANDS, STUDY, app


@pytest.mark.parametrize("name", COMMANDS)
def test_help_names_every_command_with_the_first_line_of_its_own_help(name: str) -> None:
    _, line = COMMANDS[name]
    shown = CliRunner().invoke(app, ["--help"]).stdout
    assert f"{name} " in shown and line in shown
    own = CliRunner().invoke(app, [name, "--help"])
    assert own.exit_code == 0
    assert own.stdout.splitlines()[2].strip() == line


def test_the_help_of_study_has_each_of_its_commands() -> None:
    import typer

    from mdaf_core.cli import study

    theirs = typer.main.get_command(study.app).commands  # type: ignore[attr-defined]
    assert {name: (one.help or "").splitlines()[0] for name, one in theirs.items()} == STUDY
    shown = " ".join(CliRunner().invoke(app, ["study", "--help"]).stdout.split())
    assert all(f"{name} {line}" in shown for name, line in STUDY.items())
    assert "--plugin" in CliRunner().invoke(app, ["study", "run", "--help"]).stdout
    assert CliRunner().invoke(app, ["study", "nothing"]).exit_code == 2


def test_what_is_no_command_is_refused_as_wrong_usage() -> None:
    found = CliRunner().invoke(app, ["trian"])
    assert found.exit_code == 2 and "trian" in found.output


def test_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == mdaf_core.__version__


def started(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[str]:
    """What `app` becomes."""
    calls: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda _, command: calls.append(command))
    assert CliRunner().invoke(app, ["app", *arguments]).exit_code == 0
    return calls[0]


def test_app_passes_on_port_and_streamlits_own_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MDAF_HOME", str(tmp_path))
    command = started(monkeypatch, "--port", "8600", "--browser", "--server.address=0.0.0.0")
    assert command[3:5] == ["streamlit", "run"] and command[5].endswith("app.py")
    assert command[6:] == ["--server.headless=false", "--server.port=8600", "--server.address=0.0.0.0"]
    assert os.environ["MDAF_HOME"] == str(tmp_path)


def test_app_works_in_the_folder_that_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MDAF_HOME", "elsewhere")
    monkeypatch.chdir(tmp_path)
    started(monkeypatch, "--artifacts", "mine")
    assert os.environ["MDAF_HOME"] == str(tmp_path / "mine")


def test_app_refuses_a_port_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    found = CliRunner().invoke(app, ["app", "--port", "0"])
    assert found.exit_code == 2 and "--port" in found.output


def test_the_script_is_the_clones_own_where_nothing_is_installed() -> None:
    assert dashboard.script() == Path(mdaf_core.__file__).parents[1] / "app.py"
