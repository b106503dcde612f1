"""The same model with histories of several lengths: configurations of a study, and which of them belong together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mdaf_core.base.entries import whole_number
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import LONGEST_HISTORY
from mdaf_core.runs.config import RunConfig

ALL = "all"


def length_word(events: int) -> str:
    """`1,000`, or `all`."""
    return ALL if events == LONGEST_HISTORY else f"{events:,}"


def parse_lengths(text: str) -> list[int]:
    """Lengths of histories from text such as `10, 50, 1000, all`.

    Raises:
        UsageError: it is no list of them; says what one looks like.
    """
    lengths = [LONGEST_HISTORY if word.strip() == ALL else whole_number(word.strip()) for word in text.split(",")]
    known = [length for length in lengths if length is not None and 1 <= length <= LONGEST_HISTORY]
    if len(known) < len(lengths) or len(set(known)) < len(known):
        raise UsageError(
            f"Lengths of histories look like 10,50,200,1000,all: different ones from 1 to {LONGEST_HISTORY:,}, which "
            f"is all; got {text[:80]!r}."
        )
    return sorted(known)


def by_length(config: RunConfig, lengths: Iterable[int], windows: int = LONGEST_HISTORY) -> list[RunConfig]:
    """A configuration with each of these `max_history`, named after it (`bst-200`, `mdaf-sequential-all`).

    A causal encoder streams; a model that places events by their distance (`positions`) tells as many apart as it
    reads. One that cannot stream reads each row's own events anew, which costs rows × events, and takes part up to
    `windows`; one that reads no histories, once, as it is.
    """
    if not config.model.reads_history:
        return [config]
    found = []
    for length in lengths:
        settings: dict[str, Any] = {"training.max_history": length}
        if config.model.causal:
            settings["training.history_encoding"] = "stream"
        elif length > windows:
            continue
        given = config.model.model_dump()
        for path, part in (("model", given), *((f"model.{name}", value) for name, value in given.items())):
            if isinstance(part, dict) and "positions" in part:
                settings[f"{path}.positions"] = length
        word = ALL if length == LONGEST_HISTORY else str(length)
        found.append(config.with_overrides(settings).model_copy(update={"name": f"{config.name}-{word}"}))
    return found


def lines(configs: Sequence[RunConfig]) -> dict[str, dict[int, str]]:
    """Configurations that differ in nothing but how many events they read, two at least: name of what they share →
    length → name of the configuration, shortest first.

    What follows from the length, as in `by_length`, is no difference; the way of encoding is.
    """
    alike: dict[str, dict[int, str]] = {}
    names: dict[str, str] = {}
    for config in configs:
        if config.imported or not config.model.reads_history:
            continue
        length = config.training.max_history
        bare = config.model_dump(mode="json", exclude={"name": True, "training": {"max_history", "match_events"}})
        key = str(_without_positions(bare))
        alike.setdefault(key, {}).setdefault(length, config.name)
        word = ALL if length == LONGEST_HISTORY else str(length)
        names.setdefault(key, config.name.removesuffix(f"-{word}"))
    several = {key: dict(sorted(found.items())) for key, found in alike.items() if len(found) > 1}
    taken = [names[key] for key in several]
    return {
        names[key] if taken.count(names[key]) == 1 else next(iter(found.values())): found
        for key, found in several.items()
    }


def _without_positions(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    return {name: _without_positions(value) for name, value in node.items() if name != "positions"}
