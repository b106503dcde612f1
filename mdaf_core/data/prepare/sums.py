"""Are files those that were published? Their md5 against the one the publisher, or the user, gives."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.formats.base import Source
from mdaf_core.data.reading.files import is_folder


class Expected(NamedTuple):
    """The md5 that a file must have, and who says so."""

    md5: str
    by: str

    def check(self, file: Path, found: str, accept: bool) -> str | None:
        """None where the file is the expected one, else a sentence to keep.

        Raises:
            BadInputError: it is another, and that is not to be accepted.
        """
        if found == self.md5:
            return None
        if accept:
            return f"{file.name} is not the expected file: its md5 is {found}, and {self.by} gives {self.md5}."
        raise BadInputError(
            f"This is not the expected file: its md5 is {found}, and {self.by} gives {self.md5}. Fetch it again; or "
            "set accept_md5=true to prepare it all the same.",
            file,
        )


def expected_sums(source: Source, path: Path | None, options: Any) -> dict[str, Expected]:
    """By file name, unpacked: what the user expects, else what the publisher gives."""
    published = source.sums(path, options) if path is not None else {}
    found = {name: Expected(md5.lower(), "its publisher") for name, md5 in published.items()}
    given = (one.rpartition("=") for one in options.expect_md5)
    return found | {name: Expected(md5.lower(), "expect_md5") for name, _, md5 in given}


def check_sums(
    expected: dict[str, Expected], inputs: dict[str, dict[str, Any]], path: Path | None, accept: bool
) -> list[str]:
    """Sentences on files that were read and are not the expected ones, or the same file twice.

    Raises:
        BadInputError: there is one, and it is not to be accepted.
        UsageError: a sum is given for a file that was not read.
    """
    read = ", ".join(inputs)
    strange = [name for name, one in expected.items() if name not in inputs and one.by == "expect_md5"]
    if strange:
        raise UsageError(f"expect_md5 names {strange[0]!r}, which is no file that was read. Read: {read or 'none'}.")
    folder = Path() if path is None else path if is_folder(path) else path.parent
    found = [
        one.check(folder / name, inputs[name]["md5"], accept)
        for name, one in expected.items()
        if "md5" in inputs.get(name, {})
    ]
    found += [
        f"{one} and {other} are the same file: what is chosen on the rows of one is chosen on those of the other."
        for one, other in combinations(inputs, 2)
        if inputs[one]["sha256"] == inputs[other]["sha256"]
    ]
    return [sentence for sentence in found if sentence]
