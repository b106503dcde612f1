"""Commands as from a shell."""

from __future__ import annotations

import json

import pytest

from mdaf_core.cli import main as cli


def strict(text: str):
    """One JSON document as the standard has it: no NaN, no Infinity."""

    def refuse(constant: str):
        raise AssertionError(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.fixture
def call(home, monkeypatch, capsys):
    """Run a command; exit code, parsed stdout (JSON) or text, stderr."""

    def run(*arguments: str):
        capsys.readouterr()
        monkeypatch.setattr("sys.argv", ["mdaf_core", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        code = ended.value.code or 0
        return code, strict(out) if "--json" in arguments and code == 0 else out, err

    return run
