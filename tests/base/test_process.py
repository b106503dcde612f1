"""Processes of the program's own modules, started from any folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mdaf_core.base import process, settings


def test_a_module_runs_whatever_files_lie_in_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("polars", "queue", "mdaf_core", "random"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the file in the working folder was imported')")
    monkeypatch.setenv("MDAF_HOME", "mine")
    monkeypatch.chdir(tmp_path)
    command = [*process.module_command("mdaf_core"), "data", "list", "--json"]
    run = subprocess.run(command, env=process.environment(), capture_output=True, text=True, timeout=120)
    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, "[]", "")


def test_the_other_process_has_the_same_folder_and_finds_the_clone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MDAF_HOME", "mine")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.chdir(tmp_path)
    there = process.environment()
    assert there["MDAF_HOME"] == str(tmp_path / "mine")
    assert there["PYTHONPATH"].split(":") == [str(settings.PROJECT_ROOT), "/elsewhere"]


def test_an_installed_package_leaves_the_search_path_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of all packages before the standard library's would hide modules of it."""
    monkeypatch.setattr(process, "IN_CLONE", False)
    monkeypatch.delenv("PYTHONPATH", raising=False)
    assert "PYTHONPATH" not in process.environment()


def test_installed_it_works_in_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MDAF_HOME", raising=False)
    assert settings.get_settings().home == settings.PROJECT_ROOT / "artifacts"
    monkeypatch.setattr(settings, "IN_CLONE", False)
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        monkeypatch.chdir(folder)
        assert settings.get_settings().home == folder / "artifacts"
