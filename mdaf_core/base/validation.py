"""What pydantic finds wrong with a configuration or an option, in people's words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_WORDS: dict[str, str] = {
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "missing": "is missing",
    "extra_forbidden": "is not known here",
    "too_long": "takes at most {max_length}",
    "too_short": "takes at least {min_length}",
    "string_too_long": "takes at most {max_length} characters",
    "string_too_short": "takes at least {min_length} characters",
}
_KINDS = {
    "int": "must be a whole number",
    "float": "must be a number",
    "bool": "must be true or false",
    "list": "must be a list, such as [256, 128]",
    "tuple": "must be a list, such as [256, 128]",
    "dict": 'must be settings with their values, such as {"size": 2}',
    "model": 'must be settings with their values, such as {"size": 2}',
    "string": "must be a text",
    "date": "must be a date",
    "datetime": "must be a date, YYYY-MM-DD or YYYY-MM-DD hh:mm",
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: the field, from the outside in, without the names of variants; () where fields do not go together.
        item: 1-based position in a list, where an entry of it is wrong.
        words: what it must be, as the rest of a sentence that begins with the field; `own` where it is one by itself.
        given: what was given.
    """

    path: tuple[str, ...]
    item: int | None
    words: str
    given: Any
    own: bool = False

    def sentence(self, name: str) -> str:
        """`Learning rate must be above 0; it is -0.001.`"""
        if not name:
            first = self.words.partition(" ")[0]  # a name of a field stays as it is
            return f"{self.words if '_' in first else self.words[:1].upper() + self.words[1:]}."
        if self.own:
            return f"{name}: {self.words}."
        entry = f", entry {self.item}," if self.item else ""
        given = "" if self.given is None or isinstance(self.given, dict) else f"; it is {_shown(self.given)}"
        return f"{name}{entry} {self.words}{given}."


def problems(error: ValidationError, raw: Any = None) -> list[Problem]:
    """What is wrong, in the order of the fields.

    Args:
        raw: what was validated, where it has variants of models (pydantic puts their names into its paths).
    """
    return [_problem(details, raw) for details in error.errors()]


def describe_validation_error(error: ValidationError, what: str = "Invalid setting", raw: Any = None) -> str:
    """The first problems as a sentence: `what`, the field, what it must be, what was given."""
    found = problems(error, raw)[:3]
    said = [p.sentence(".".join(p.path)).rstrip(".") if p.path else p.words for p in found]
    return f"{what}: {'; '.join(said)}."


def _problem(details: ErrorDetails, raw: Any) -> Problem:
    path, item = _path(details["loc"], raw)
    given = details.get("input")
    kind = details["type"]
    if kind == "value_error":
        return Problem(path, item, details["msg"].removeprefix("Value error, ").rstrip("."), None, own=True)
    if kind == "missing" and item is not None:
        return Problem(path, None, f"takes more values: number {item} is missing", None)
    if kind == "missing":
        given, words = None, _WORDS[kind]
    elif kind in _WORDS:
        context = {
            key: f"{value:g}" if isinstance(value, float) else value
            for key, value in (details.get("ctx") or {}).items()
        }
        words = _WORDS[kind].format(**context)
    elif given is None:
        words = "cannot be empty"
    else:
        words = next((said for name, said in _KINDS.items() if kind.startswith(f"{name}_")), details["msg"])
    return Problem(path, item, words, given)


def _path(loc: Iterable[str | int], raw: Any) -> tuple[tuple[str, ...], int | None]:
    """Names of fields, and the position in a list; names of variants, which `raw` has no fields of, are left out."""
    node, path, item = raw, [], None
    for part in loc:
        if isinstance(part, int):
            item = part + 1
            break
        if isinstance(node, dict):
            if part not in node and node.get("kind") == part:
                continue
            node = node.get(part)
        path.append(part)
    return tuple(path), item


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = f"{text[:60]}…" if len(text) > 60 else text
    return repr(text) if isinstance(value, str) else text


def label(path: str) -> str:
    """The last name of a path as forms show it: `training.max_epochs` as `Max epochs`."""
    return path.rpartition(".")[2].replace("_", " ").capitalize()


def in_words(problem: Problem, label: Callable[[tuple[str, ...]], str]) -> str:
    """The problem as a page says it: with the label of its field, and labels in place of names within the text."""
    said = problem.sentence(label(problem.path) if problem.path else "")
    said = re.sub(r"\b[a-z]+(?:_[a-z]+)+\b", lambda found: found[0].replace("_", " "), said)
    return said[:1].upper() + said[1:]


def called(item: Mapping[str, Any]) -> str:
    """The name of a row in brackets, for sentences about it; empty where it has none."""
    return f" ({item['name']})" if isinstance(item.get("name"), str) and item["name"] else ""
