"""Errors that are meant for people: every message is a sentence that says what was wrong and what to do."""

from __future__ import annotations

from pathlib import Path


class StudioError(Exception):
    """A problem the user can act on. Shown as its sentence, never as a traceback."""


class UsageError(StudioError):
    """The request itself is wrong (unknown preset, bad option). The command line exits with 2."""


class BadInputError(StudioError):
    """A file the user gave cannot be used as it is.

    Args:
        problem: what is wrong and what to do about it, as a sentence.
        path: the file.
        line: 1-based line number of the offending record, where there is one.
        text: the offending text; long text is shortened in the message.
    """

    def __init__(self, problem: str, path: Path | str | None = None, line: int | None = None, text: str | None = None):
        self.problem, self.path, self.line, self.text = problem, path, line, text
        where = "" if path is None else f"{path}" + (f", line {line}" if line is not None else "") + ": "
        shown = ""
        if text is not None:
            shown = f" Found: {text[:120]!r}" + ("…" if len(text) > 120 else "") + "."
        super().__init__(f"{where}{problem}{shown}")


class DamagedFileError(StudioError):
    """A file of the program's own cannot be read: missing rights, cut short, altered, or something else in its place.

    Args:
        path: the file.
        problem: what is wrong with it, without a full stop.
        remedy: what to do about it, as a sentence.
    """

    def __init__(self, path: Path, problem: str, remedy: str):
        self.path = path
        super().__init__(f"{path} cannot be read ({problem}). {remedy}")
