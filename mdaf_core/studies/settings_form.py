"""The settings of a configuration one by one, as a form shows them: generated from the pydantic models."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mdaf_core.base.errors import UsageError
from mdaf_core.base.validation import Problem, in_words, label
from mdaf_core.models.registry import ByKind, models
from mdaf_core.runs.config import InvalidSettings, RunConfig


@dataclass(frozen=True)
class Setting:
    """One setting.

    Attributes:
        path: as `--set` takes it (`training.max_epochs`, `model.sequential.kind`).
        group: what it belongs to, for a heading: `training`, `model`, `model.sequential`.
        kind: how it is entered. A `choice` has `choices`; `integers` is a list such as 256, 128.
        optional: it may be left empty.
        above, below: limits that are themselves not allowed.
    """

    path: str
    group: str
    kind: Literal["integer", "number", "switch", "choice", "integers"]
    value: Any
    description: str
    optional: bool = False
    choices: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    @property
    def name(self) -> str:
        """`max epochs`"""
        return self.path.rsplit(".", 1)[1].replace("_", " ")

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
        return f"{self.description} ({', '.join(limits)})" if limits else self.description


def settings(config: RunConfig) -> list[Setting]:
    """All settings of a configuration, the training's first, with their present values."""
    return [*_of_model(config.training, "training"), *_of_model(config.model, "model")]


def parse_integers(text: str) -> list[int] | str:
    """`256, 128` as a list; nothing is an empty list; what holds something else stays as it is, to be refused."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    return [int(part) for part in parts] if all(re.fullmatch("-?[0-9]{1,18}", part) for part in parts) else text


def apply(start: RunConfig, changes: Mapping[str, Any]) -> tuple[RunConfig, dict[str, str]]:
    """`start` with those changes that are valid, and why each of the others is not.

    Args:
        changes: path → value, as typed; a change of a `kind` before what belongs to the new kind.

    Returns:
        The configuration, and path → sentence in the words of the form.
    """
    kept = dict(changes)
    refused: dict[str, str] = {}
    while True:
        try:
            return start.with_overrides(kept), refused
        except InvalidSettings as error:
            named = {path: said for problem in error.problems for path, said in _refusals(problem, kept)}
        except UsageError as error:  # a setting that is there no more
            named = {path: str(error) for path in kept if path in str(error)}
        if not named:  # nothing that was changed: the start itself is not valid
            raise UsageError(f"{start.name} cannot be changed like this: {', '.join(kept)}.")
        refused |= named
        kept = {path: value for path, value in kept.items() if path not in named}


def _refusals(problem: Problem, changes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The changes that a problem is about, with its sentence: the field's own, or of fields that do not go together
    those that it names."""
    path = ".".join(problem.path)
    if path in changes:
        if problem.words == "must be a list":
            said = f"takes whole numbers separated by commas, such as 256, 128; it is {changes[path]!r}"
            return [(path, f"{label(path)} {said}.")]
        return [(path, in_words(problem, lambda _: label(path)))]
    within = [other for other in changes if other.startswith(f"{path}.")]
    among = [other for other in within if other.rsplit(".", 1)[1] in problem.words] or within
    return [(other, in_words(problem, lambda _: "")) for other in among[-1:]]


def _of_model(model: BaseModel, prefix: str) -> Iterator[Setting]:
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            variants = _variants(info)
            if variants:
                yield Setting(
                    path=f"{prefix}.{name}.kind",
                    group=f"{prefix}.{name}",
                    kind="choice",
                    value=value.kind,  # type: ignore[attr-defined]
                    description="Which model this part is.",
                    choices=tuple(variants),
                )
            yield from _of_model(value, f"{prefix}.{name}")
        elif name != "kind":
            yield _leaf(name, info, value, prefix)


def _leaf(name: str, info: FieldInfo, value: Any, prefix: str) -> Setting:
    optional, annotation = _without_none(info.annotation)
    limits: dict[str, Any] = {
        name: getattr(limit, name)
        for limit in info.metadata
        for name in ("ge", "le", "gt", "lt")
        if hasattr(limit, name)
    }
    kind: Any
    if get_origin(annotation) is Literal:
        kind = "choice"
    elif get_origin(annotation) is list:
        kind = "integers"
    else:
        kind = {bool: "switch", int: "integer", float: "number"}[annotation]
    return Setting(
        path=f"{prefix}.{name}",
        group=prefix,
        kind=kind,
        value=value,
        description=info.description or "",
        optional=optional,
        choices=get_args(annotation) if kind == "choice" else (),
        minimum=limits.get("ge"),
        maximum=limits.get("le"),
        above=limits.get("gt"),
        below=limits.get("lt"),
    )


def _without_none(annotation: Any) -> tuple[bool, Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        parts = [part for part in get_args(annotation) if part is not type(None)]
        if len(parts) == 1:
            return True, parts[0]
    return False, annotation


def _variants(info: FieldInfo) -> list[str]:
    """The `kind`s a nested model may have; none where there is no choice."""
    annotation: Any = info.annotation
    return list(models(annotation)) if any(isinstance(mark, ByKind) for mark in info.metadata) else []
