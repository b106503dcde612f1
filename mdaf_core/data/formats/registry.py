"""Which sources there are: a file of this folder with a `SOURCE` is one, and so is what plug-ins bring. What is wrong
with one of theirs, or with what it read, is a sentence that names its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from importlib import import_module
from typing import Any

from mdaf_core.base import notices
from mdaf_core.base.entries import known_entry
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.formats import own_names
from mdaf_core.data.formats.base import RESERVED_COLUMNS, RawTable, Source
from mdaf_core.data.formats.options import SourceOptions
from mdaf_core.data.store.outcomes import MOST
from mdaf_core.plugins import Loaded, blame, objects, tell


def sources() -> dict[str, Source]:
    """All sources by name, in the order in which lists show them."""
    found = [_own(name) for name in own_names()]
    found += plugged({source.name for source in found})
    return {source.name: source for source in sorted(found, key=lambda source: source.place)}


def get_source(name: str) -> Source:
    """The source of that name.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    if name in own_names():
        return _own(name)
    try:
        return known_entry(name, sources(), "is no source")
    except UsageError as error:
        raise UsageError(f"{error} One of your own is there where its file is named (--plugin).") from None


def _own(name: str) -> Source:
    source: Source = import_module(f"{__package__}.{name.replace('-', '_')}").SOURCE
    return source


_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FUNCTIONS = ("read", "default_name", "files", "size", "check", "main_file", "event_rule", "numbers", "is_own")


def plugged(taken: set[str]) -> list[Source]:
    """The sources of all plug-ins that can be used; of the others it is noted why not.

    Args:
        taken: names that are no more to be had.
    """
    tell()
    found: dict[str, Source] = {}
    for loaded in objects("sources"):
        source: Source = loaded.object
        fault = _fault(source, taken | found.keys())
        if fault:
            notices.add(f"{loaded.place}: {fault}")
        else:
            found[source.name] = _guarded(source, loaded)
    return list(found.values())


def _fault(source: Source, taken: set[str]) -> str:
    if not _NAME.fullmatch(str(source.name)):
        return f"{source.name!r} is no name of a source: use small letters, digits and '-', such as my-log."
    if source.name in taken:
        return f"There is a source {source.name!r} already: give this one another name."
    if not (isinstance(source.options, type) and issubclass(source.options, SourceOptions)):
        return f"The options of the source {source.name!r} must be a class derived from SourceOptions."
    return ""


def _guarded(source: Source, loaded: Loaded) -> Source:
    """The source with its functions' faults as sentences, marked by the content of its file."""
    code = loaded.file.read_bytes()
    digest = sha256(code).hexdigest()

    def in_words(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            try:
                return function(*arguments)
            except StudioError:
                raise
            except Exception as error:  # whatever a file of somebody's own does
                said = blame(error, [loaded.file]) or f"{loaded.place}: {type(error).__name__}: {error}."
                raise StudioError(f"{said} Correct the source {source.name!r}.") from error

        return call

    def read(*arguments: Any) -> RawTable:
        raw: RawTable = in_words(source.read)(*arguments)
        problem = _problem(raw)
        if problem:
            raise StudioError(f"{loaded.place}: The source {source.name!r} {problem}")
        raw.inputs |= {f"plug-in {loaded.file.name}": {"bytes": len(code), "sha256": digest}}
        return raw

    functions = {name: getattr(source, name) for name in _FUNCTIONS}
    wrapped = {name: in_words(function) for name, function in functions.items() if function is not None}
    return replace(source, **wrapped | {"read": read}, code=digest)


def _problem(raw: Any) -> str:
    """What of a table of rows is not as `RawTable` says."""
    if not isinstance(raw, RawTable):
        return f"returned {type(raw).__name__} from read: it must be a RawTable."
    columns, names = set(raw.rows.columns), [field.name for field in raw.fields]
    if "label" not in columns:
        return "read rows without a column 'label'."
    if raw.rows["label"].null_count() == 0 and not raw.rows["label"].is_in([0, 1]).all():
        return "read labels other than 0 and 1."
    missing = [name for name in names if name not in columns]
    if missing:
        return f"names the field {missing[0]!r}, and its rows have no such column. They have {', '.join(columns)}."
    reserved = [name for name in names if name in RESERVED_COLUMNS]
    if reserved:
        return f"names a field {reserved[0]!r}, which means something else: rename it."
    unknown = [name for name in raw.history_fields if name not in names]
    if unknown:
        return f"names the history field {unknown[0]!r}, which is none of its fields."
    if raw.history_fields and raw.events is None:
        return "names history fields and has no events."
    clash = [name for name in raw.history_fields if name in ("positive", "outcome")]
    if clash:
        return f"names a history field {clash[0]!r}, which says what came of an event: rename it."
    if raw.events is not None and "outcome" in raw.events.columns and raw.events["outcome"].n_unique() > MOST:
        return f"has more than {MOST} kinds of `outcome` of events: group them."
    return ""
