"""Why what was entered is not taken, by field, in the words of a form."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mdaf_core.base.validation import Problem, in_words, label
from mdaf_core.forms.fields import Field


def refusals(problems: Iterable[Problem], given: Mapping[str, Any], form: Iterable[Field]) -> dict[str, str]:
    """Path of a field → sentence, of the fields that were given.

    A problem of fields that do not go together stands at the one of those given that it names last, or, where it names
    none, at the last one given of that group; at '' where none was. What is needed and not given yet is left out.

    Args:
        given: path → what was entered; form: the fields.
    """
    found: dict[str, str] = {}
    whole = {field.path for field in form if field.kind == "integers"}
    for problem in problems:
        path = ".".join(problem.path)
        if path in given and problem.words == "must be a list":
            numbers, such_as = ("whole numbers", "256, 128") if path in whole else ("numbers", "0.5, 2")
            said = f"takes {numbers} separated by commas, such as {such_as}; it is {given[path]!r}"
            found.setdefault(path, f"{label(path)} {said}.")
        elif path in given:
            found.setdefault(path, in_words(problem, lambda names: label(names[-1])))
        else:
            for other in _about(problem, path, given):
                found.setdefault(other, in_words(problem, lambda _: ""))
    return found


def _about(problem: Problem, path: str, given: Mapping[str, Any]) -> list[str]:
    """The field at which a problem of several is said; none where it is about what was not given."""
    within = [other for other in given if not path or other.startswith(f"{path}.")]
    among = [other for other in within if other.rsplit(".", 1)[-1] in problem.words] or within
    return among[-1:] or ([] if path else [""])
