"""What is tried of each configuration: as its class declares, with what was changed in all of them or in one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from mdaf_core.base.errors import UsageError
from mdaf_core.forms.fields import Field
from mdaf_core.forms.text import as_text
from mdaf_core.models.space import Choice, Range, Space, parse, parse_values
from mdaf_core.runs.config import RunConfig
from mdaf_core.studies.settings_form import settings

ALL = "All configurations"
OF_TREES = ("training.max_history", "training.match_events")
"""Of the settings of training those that trees read, too: to search the others would spend trials on nothing."""
Change = tuple[str, str, Range | Choice | None]
"""In which configuration (or `ALL` that have it), path of the setting, what is tried of it (None: it stays)."""


def parse_change(text: str) -> Change:
    """`PATH=…` (`models.space.parse`) for all configurations, `NAME:PATH=…` for one.

    Raises:
        UsageError: it is neither.
    """
    left, values = parse(text)
    name, _, path = left.rpartition(":")
    return name.strip() or ALL, path.strip(), values


def spaces_of(configs: Sequence[RunConfig], changes: Iterable[Change] = ()) -> list[Space]:
    """What is tried of each. What is changed in one configuration goes before what is changed in all.

    Raises:
        UsageError: there is no such configuration or setting.
    """
    spaces = {config.name: config.space() for config in configs}
    for scope, path, values in sorted(changes, key=lambda change: change[0] != ALL):
        for config in _having(configs, scope, path):
            space = spaces[config.name]
            space.pop(path, None)
            if values is not None:
                space[path] = values
    return list(spaces.values())


def check_space(config: RunConfig, space: Space) -> None:
    """Refuse a space that is empty, or whose ends and values the configuration does not take, each by itself.

    Raises:
        UsageError: with the reason.
    """
    if not space:
        raise UsageError(f"Nothing of {config.name} is searched: name a range, such as --space model.dropout=0..0.5.")
    for path, values in space.items():
        _check(config, path, values)


def searchable(config: RunConfig) -> dict[str, Field]:
    """Path → setting of which several values can be tried."""
    found = {field.path: field for field in settings(config) if field.kind != "shown"}
    if config.model.grown:
        found = {path: one for path, one in found.items() if one.group != "training" or path in OF_TREES}
    return found


def _check(config: RunConfig, path: str, values: Range | Choice) -> None:
    if isinstance(values, Range) and searchable(config)[path].kind == "integer" and not values.whole:
        raise UsageError(f"{path} of {config.name} takes whole numbers: write {values.words} whole.")
    ends = values.values if isinstance(values, Choice) else [values.low, values.high]
    for value in ends:
        config.with_overrides({path: int(value) if isinstance(values, Range) and values.whole else value})


def _having(configs: Sequence[RunConfig], scope: str, path: str) -> list[RunConfig]:
    asked = [config for config in configs if scope in (ALL, config.name)]
    if not asked:
        known = ", ".join(config.name for config in configs)
        raise UsageError(f"There is no configuration {scope!r} to change what is tried of {path}. There are: {known}.")
    having = [config for config in asked if path in searchable(config)]
    if not having:
        where = "any of these configurations" if scope == ALL else scope
        raise UsageError(f"There is no setting {path!r} to be searched in {where}.")
    return having


# ---- as a form shows and changes it ----------------------------------------------------------------------------------

Typed = Mapping[str, Mapping[str, str]]
"""What was typed into the form: scope (`ALL`, or a configuration's name) → path → range, values, or nothing."""


@dataclass(frozen=True)
class Row:
    """One setting of the form.

    Attributes:
        text: what is tried, as it is typed; empty: nothing.
        hint: what stands in the empty field.
        changed: whether it was changed in this scope.
        refused: why what was typed cannot be used.
    """

    path: str
    text: str
    hint: str
    changed: bool
    refused: str


def rows(configs: Sequence[RunConfig], typed: Typed, scope: str) -> list[Row]:
    """The settings that are tried in a scope, or were changed there."""
    asked = [config for config in configs if scope in (ALL, config.name)]
    fields = {path: field for config in asked for path, field in searchable(config).items()}
    spaces = [config.space() for config in asked]
    mine = typed.get(scope, {})
    found = []
    for path in dict.fromkeys([*(path for space in spaces for path in space), *typed.get(ALL, {}), *mine]):
        if path not in fields:
            continue
        stays = "as it is" if scope == ALL else fields[path].as_text(fields[path].value) or "empty"
        text, hint = mine.get(path, typed.get(ALL, {}).get(path)), f"stays {stays}"
        if text is None:
            usual = sorted({space[path].words for space in spaces if path in space})
            text, hint = (usual[0], hint) if len(usual) == 1 else ("", f"differs: {'; '.join(usual)}")
        refused = refusal(configs, scope, path, text) if path in mine else ""
        found.append(Row(path, text, hint, path in mine, refused))
    return found


def further(configs: Sequence[RunConfig], typed: Typed, scope: str) -> dict[str, str]:
    """Settings that `rows` does not have and could: path → what to begin with, the values of those that have few."""
    known = {row.path for row in rows(configs, typed, scope)}
    return {
        field.path: ",".join(map(as_text, field.choices or ((True, False) if field.kind == "switch" else ())))
        for config in configs
        if scope in (ALL, config.name)
        for field in searchable(config).values()
        if field.path not in known
    }


def refusal(configs: Sequence[RunConfig], scope: str, path: str, text: str) -> str:
    """Why a range that was typed cannot be used, or nothing."""
    try:
        values = parse_values(text, path)
        for config in _having(configs, scope, path):
            if values is not None:
                _check(config, path, values)
    except UsageError as error:
        return str(error)
    return ""


def changes(configs: Sequence[RunConfig], typed: Typed) -> Iterator[Change]:
    """What was typed, of configurations and settings that there still are, as `spaces_of` takes it.

    Raises:
        UsageError: as of `refusal`.
    """
    for scope in (ALL, *(config.name for config in configs)):
        known = {path for config in configs if scope in (ALL, config.name) for path in searchable(config)}
        for path, text in typed.get(scope, {}).items():
            if path in known:
                yield scope, path, parse_values(text, path)
