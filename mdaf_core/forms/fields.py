"""What a pydantic model takes, field by field, as a form shows it and a command line sets it; and why what was entered
is not taken."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mdaf_core.base.validation import Problem, in_words, label
from mdaf_core.forms.text import as_list, as_numbers, as_text

Kind = Literal[
    "integer", "number", "switch", "choice", "choices", "text", "moment", "integers", "numbers", "texts", "shown"
]
_KINDS: dict[Any, Kind] = {
    bool: "switch", int: "integer", float: "number", str: "text", datetime: "moment", date: "moment",
}  # fmt: skip
_LISTS: dict[Any, Kind] = {int: "integers", float: "numbers", str: "texts"}
_LIMITS = ("ge", "le", "gt", "lt")


@dataclass(frozen=True)
class Field:
    """One field.

    Attributes:
        path: as `--set` takes it (`training.max_epochs`, `model.sequential.kind`).
        group: what it belongs to, for a heading: `training`, `model.sequential`; empty at the top.
        kind: how it is entered. One of `choices`, or some of them; `integers`, `numbers` and `texts` are lists such as
            256, 128; a `shown` field is of a type that no form takes: `description` says so.
        value: the present one, or the default.
        optional: it may be left empty.
        above, below: limits that are themselves not allowed.
        extra: `json_schema_extra` of the field.
    """

    path: str
    group: str
    kind: Kind
    value: Any
    description: str = ""
    optional: bool = False
    choices: tuple[Any, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """`Max epochs`"""
        return label(self.path)

    @property
    def help(self) -> str:
        """The description with the limits."""
        limits = []
        if self.minimum is not None and self.maximum is not None:
            limits.append(f"{self.minimum:g} to {self.maximum:g}")
        elif self.minimum is not None:
            limits.append(f"at least {self.minimum:g}")
        elif self.maximum is not None:
            limits.append(f"at most {self.maximum:g}")
        if self.above is not None:
            limits.append(f"above {self.above:g}")
        if self.below is not None:
            limits.append(f"below {self.below:g}")
        return f"{self.description} ({', '.join(limits)})".lstrip() if limits else self.description

    @property
    def step(self) -> float:
        """By how much a number moves: a tenth of its order of magnitude, 0.0001 from 0.001."""
        if self.kind == "integer":
            return 1
        return 10.0 ** (int(f"{self.value:e}".split("e")[1]) - 1) if self.value else 0.01

    def as_text(self, value: Any) -> str:
        """A value as it stands in the field's box."""
        if value is None or value in ([], ()):
            return ""
        if isinstance(value, list | tuple) and self.kind in ("integers", "numbers"):
            return ", ".join(map(as_text, value))
        return as_text(value) if isinstance(value, list | tuple) else str(value)

    def entered(self, typed: Any) -> Any:
        """What was typed, as a value; what cannot be one stays text, for the model to refuse."""
        if not isinstance(typed, str) or self.kind not in ("text", "moment", "integers", "numbers", "texts"):
            return typed
        text = typed.strip() or typed  # a blank or a tab is a separator
        if self.kind == "texts":
            return as_list(text)
        if self.kind in ("integers", "numbers"):
            return None if self.optional and not text else as_numbers(text, self.kind == "integers")
        return None if self.optional and not text else text


def fields(model: BaseModel | type[BaseModel], prefix: str = "") -> list[Field]:
    """All fields of a model with their present values, or of a class with its defaults, those of models in it too."""
    return list(_fields(model, prefix))


def _fields(model: BaseModel | type[BaseModel], prefix: str) -> Iterator[Field]:
    own = model if isinstance(model, type) else type(model)
    before: dict[str, Any] = {}
    for name, info in own.model_fields.items():
        value = before[name] = default(info, before) if isinstance(model, type) else getattr(model, name)
        path = f"{prefix}.{name}" if prefix else name
        optional, annotation, limits = _bare(info)
        if isinstance(value, BaseModel):
            mark = info.discriminator if isinstance(info.discriminator, str) else "kind"
            variants = _variants(info, annotation, mark)
            if len(variants) > 1:
                yield Field(f"{path}.{mark}", path, "choice", getattr(value, mark), _WHICH, choices=tuple(variants))
            yield from _fields(value, path)
        elif not _is_constant(name, annotation):
            kind, choices = _kind(annotation, value)
            words = info.description or ""
            if kind == "shown":
                words = f"{words} It is of a type ({_type_words(info)}) that a form does not take.".lstrip()
            extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
            value = value.value if isinstance(value, Enum) else value
            yield Field(path, prefix, kind, value, words, optional, choices, **limits, extra=extra)


_WHICH = "Which model this part is."


def nested(model: type[BaseModel], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values by path (`tower.width`) as the model takes them: what is set in a part leaves the part's other defaults,
    and another kind of part begins with its own."""
    found: dict[str, Any] = {}
    for path, value in given.items():
        name, *inner = path.split(".")
        if not inner:
            found[name] = value
            continue
        start = default(model.model_fields[name]) if name in model.model_fields else None
        node = found.setdefault(name, start.model_dump() if isinstance(start, BaseModel) else {})
        for part in inner[:-1]:
            node = node.setdefault(part, {})
        if inner[-1] == "kind" and node.get("kind") != value:
            node.clear()
        node[inner[-1]] = value
    return found


def default(info: FieldInfo, before: dict[str, Any] | None = None) -> Any:
    """The default of a field; None where it needs a value, or where what makes it (somebody's own code) fails.

    Args:
        before: the values of the fields before it, which a default may be made from.
    """
    try:
        value = info.get_default(call_default_factory=True, validated_data=before or {})
    except Exception:  # said when the model is made; a form shows the field as empty
        return None
    return None if value is PydanticUndefined else value


def _kind(annotation: Any, value: Any) -> tuple[Kind, tuple[Any, ...]]:
    """How a field is entered, and what it may be."""
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return "choice", tuple(member.value for member in annotation)
    if get_origin(annotation) in (list, tuple):
        inner = {_plain(part) for part in get_args(annotation) if part is not Ellipsis}
        only = inner.pop() if len(inner) == 1 else None
        if get_origin(only) is Literal and get_origin(annotation) is list:
            return "choices", get_args(only)
        return _LISTS.get(only, "shown"), ()
    return _KINDS.get(annotation, "shown"), ()


def _bare(info: FieldInfo) -> tuple[bool, Any, dict[str, float]]:
    """Whether it may be None, its type without that, and its limits."""
    annotation: Any = info.annotation
    metadata, optional = list(info.metadata), False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            metadata += [part for one in more for part in (one.metadata if isinstance(one, FieldInfo) else [one])]
        elif get_origin(annotation) in (Union, types.UnionType) and type(None) in get_args(annotation):
            parts = tuple(part for part in get_args(annotation) if part is not type(None))
            annotation, optional = Union[parts], True  # noqa: UP007 (of one, it is that one)
        else:
            break
    found = {name: getattr(one, name) for one in metadata for name in _LIMITS if getattr(one, name, None) is not None}
    names = {"ge": "minimum", "le": "maximum", "gt": "above", "lt": "below"}
    return optional, annotation, {names[name]: value for name, value in found.items()}


def _plain(annotation: Any) -> Any:
    return _plain(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def _is_constant(name: str, annotation: Any) -> bool:
    """Whether a field only says which model this is."""
    return (get_origin(annotation) is Literal and len(get_args(annotation)) == 1) or (
        name == "kind" and annotation is str
    )


def _variants(info: FieldInfo, annotation: Any, mark: str) -> list[Any]:
    """The kinds of models that a field may hold: those of a union, or what its own mark says (`variants`)."""
    listed = next((one.variants(annotation) for one in info.metadata if hasattr(one, "variants")), None)
    if listed is not None:
        return list(listed)
    return [_constant(one.model_fields[mark]) for one in _models(annotation) if mark in one.model_fields]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a field may hold."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return [part for part in map(_plain, parts) if isinstance(part, type) and issubclass(part, BaseModel)]


def _constant(info: FieldInfo) -> Any:
    return get_args(info.annotation)[0] if get_origin(info.annotation) is Literal else default(info)


def _type_words(info: FieldInfo) -> str:
    annotation = info.annotation
    return annotation.__name__ if isinstance(annotation, type) and not get_args(annotation) else str(annotation)


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
        if path in given and problem.words.startswith("must be a list"):
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
