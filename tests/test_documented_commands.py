"""Every command in the README and the docs is one that the program takes; those that only look are run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import typer

from mdaf_core.cli import main as cli
from tests.conftest import ROOT

COMMAND = re.compile(r"^\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\S*python3? -m mdaf_core|mdaf) (.+)$")
LOOKS = (["--help"], ["presets"], ["jobs"], ["study", "list"], ["study", "definitions"], ["data", "list"])


def documented() -> Iterator[tuple[str, str]]:
    """Place and arguments of each command in a code block, fenced or indented; a line that ends in \\ goes on."""
    for path in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]:
        lines = path.read_text("utf-8").replace("\\\n", " ").splitlines()
        fenced = False
        for number, line in enumerate(lines, 1):
            if line.lstrip().startswith("```"):
                fenced = not fenced
            elif (fenced or line.startswith("    ")) and (found := COMMAND.match(line)):
                yield f"{path.name}:{number}", found.group(1)


FOUND = list(documented())


def arguments(text: str) -> list[str]:
    """What the shell hands over: up to a comment, a pipe, another command."""
    lexer = shlex.shlex(text, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    taken: list[str] = []
    for word in lexer:
        if word in ("|", "&&", ";", ">", "&"):
            break
        taken.append(word)
    return taken


def parse(command: click.Command, words: list[str], parent: click.Context | None = None) -> None:
    """As the program reads them, without doing anything.

    Raises:
        click.UsageError: there is no such command, option or value.
    """
    name = command.name or "mdaf"
    if not isinstance(command, click.Group):
        command.make_context(name, words, parent=parent)
        return
    context = command.make_context(name, words, parent=parent)
    rest = [*context._protected_args, *context.args]
    if rest:
        _, inner, rest = command.resolve_command(context, rest)
        assert inner is not None
        parse(inner, rest, context)


def test_commands_are_found_in_readme_and_docs() -> None:
    assert len(FOUND) > 20 and any(place.startswith("README") for place, _ in FOUND)


@pytest.mark.parametrize(("place", "text"), FOUND, ids=[place for place, _ in FOUND])
def test_a_documented_command_is_taken(place: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MDAF_HOME", str(tmp_path))
    try:
        parse(typer.main.get_command(cli.app), arguments(text))
    except click.exceptions.Exit as end:  # --help, --version
        assert end.exit_code == 0
    except click.UsageError as error:
        pytest.fail(f"{place}: {error.format_message()}")


@pytest.mark.parametrize("words", LOOKS, ids=" ".join)
def test_commands_that_only_look_run(words: list[str], home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        cli.app(words, standalone_mode=False)
    except click.exceptions.Exit as end:
        assert end.exit_code == 0
    assert capsys.readouterr().out.strip()
