"""Which sources there are: a file of this folder with a `SOURCE` is one, and so is what plug-ins bring."""

from __future__ import annotations

from importlib import import_module

from mdaf_core.base.entries import known_entry
from mdaf_core.data.formats import own_names
from mdaf_core.data.formats.base import Source
from mdaf_core.data.formats.plugged import plugged


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
    return known_entry(name, sources(), "is no source")


def _own(name: str) -> Source:
    source: Source = import_module(f"{__package__}.{name.replace('-', '_')}").SOURCE
    return source
