"""Other settings of the same model: each alternative of a choice, and the ends of each limit."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import models

Setting = tuple[str, Any]
"""Path of a field (`sequential.pooling`) and a value."""


def choices(config: BaseModel, path: str = "") -> Iterator[Setting]:
    """Each value that a yes/no, a choice or the kind of a part may take and does not have, in all parts."""
    for name, info in type(config).model_fields.items():
        value, here = getattr(config, name), f"{path}{name}"
        for other in _alternatives(info.annotation):
            if other != value and name != "kind":
                yield here, other
        if isinstance(value, BaseModel):
            for other in _parts(info.annotation):
                if type(value) is not other:
                    yield here, other()
            yield from choices(value, f"{here}.")


def limits(config: BaseModel, path: str = "") -> Iterator[tuple[str, FieldInfo, Any]]:
    """Path, field and value of every setting that is no part with settings of its own."""
    for name, info in type(config).model_fields.items():
        value = getattr(config, name)
        if isinstance(value, BaseModel):
            yield from limits(value, f"{path}{name}.")
        elif name != "kind":
            yield f"{path}{name}", info, value


def bounds(info: FieldInfo) -> dict[str, Any]:
    """The limits of a field by their names: `ge`, `gt`, `le`, `lt`, `min_length`, `max_length`."""
    found = {}
    for entry in [*info.metadata, *(m for a in _flat(info.annotation) for m in getattr(a, "__metadata__", ()))]:
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length"):
            if getattr(entry, name, None) is not None:
                found[name] = getattr(entry, name)
    return found


def ends(info: FieldInfo, value: Any) -> dict[Literal["smallest", "largest"], Any]:
    """The smallest and the largest value that the limits of a number allow, as far as they are stated."""
    kinds = {k for k in _flat(info.annotation) if isinstance(k, type)}
    if bool in kinds or not kinds & {int, float}:
        return {}
    whole, limit = int in kinds and float not in kinds, bounds(info)
    found: dict[Literal["smallest", "largest"], Any] = {}
    if "ge" in limit:
        found["smallest"] = limit["ge"]
    elif "gt" in limit:
        found["smallest"] = limit["gt"] + 1 if whole else limit["gt"] + 1e-6
    if "le" in limit:
        found["largest"] = limit["le"]
    elif "lt" in limit:
        found["largest"] = limit["lt"] - 1 if whole else limit["lt"] - 1e-6
    return found


def unlimited_below(info: FieldInfo) -> bool:
    """A number that may be as small as one likes."""
    kinds = {k for k in _flat(info.annotation) if isinstance(k, type)}
    return bool(kinds & {int, float}) and bool not in kinds and not {"ge", "gt"} & set(bounds(info))


def with_setting(config: ModelSettings, path: str, value: Any) -> ModelSettings | None:
    """The configuration with one setting changed; None where it refuses (settings that do not go together)."""
    raw = config.model_dump()
    *parents, last = path.split(".")
    node = raw
    for name in parents:
        node = node[name]
    node[last] = value.model_dump() if isinstance(value, BaseModel) else value
    try:
        return type(config).model_validate(raw)
    except ValidationError:
        return None


def _flat(annotation: Any) -> list[Any]:
    """The types an annotation is made of."""
    if get_origin(annotation) in (Union, types.UnionType):
        return [part for a in get_args(annotation) for part in _flat(a)]
    if hasattr(annotation, "__metadata__"):
        return [annotation, *_flat(annotation.__origin__)]
    return [annotation]


def _alternatives(annotation: Any) -> list[Any]:
    found: list[Any] = []
    for part in _flat(annotation):
        if get_origin(part) is Literal:
            found += get_args(part)
        elif part is bool:
            found += [True, False]
    return found


def _parts(annotation: Any) -> list[type[BaseModel]]:
    """The models that a part may be of: every kind there is of the field's class."""
    classes = [part for part in _flat(annotation) if isinstance(part, type) and issubclass(part, ModelSettings)]
    return [kind for part in classes for kind in models(part).values()]
