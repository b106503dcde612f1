"""Factorial ablations as studies: the configurations of a design, from a model and what switches each component off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mdaf_core.analysis.design import Design, combinations_of
from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import check_name
from mdaf_core.runs.config import RunConfig


def build(base: RunConfig, factors: Mapping[str, Sequence[str]], halvings: int = 0) -> tuple[list[RunConfig], Design]:
    """The configurations of a 2^(k-p) design, the one with all components first, and which has what.

    Args:
        base: with all components on. factors: name of each → settings that switch it off, `path=value`.
        halvings: p, how often the number of runs is halved.

    Raises:
        UsageError: no such design, a setting that the model does not have, or one that changes nothing.
    """
    for name, off in factors.items():
        check_name(name, "component")
        if base.with_overrides(off).settings() == base.settings():
            raise UsageError(f"Component {name!r} is off in {base.name} already: {', '.join(off)} changes nothing.")
    generators, runs = combinations_of(len(factors), halvings)
    configs, levels = [], {}
    for run in runs:
        gone = [name for name, level in zip(factors, run, strict=True) if level < 0]
        config = base.with_overrides([setting for name in gone for setting in factors[name]])
        config.name = "-".join([base.name, *(["no", *gone] if gone else [])])
        check_name(config.name, "configuration")
        configs.append(config)
        levels[config.name] = list(run)
    found = {name: list(off) for name, off in factors.items()}
    return configs, Design(factors=found, generators=generators, levels=levels)


def parse_component(text: str) -> tuple[str, list[str]]:
    """`gate:model.fusion=concat` as name and settings, several divided by commas.

    Raises:
        UsageError: anything else.
    """
    name, colon, settings = text.partition(":")
    off = [one.strip() for one in settings.split(",") if one.strip()]
    if not colon or not name.strip() or not off or not all("=" in one for one in off):
        raise UsageError(f"A component looks like gate:model.fusion=concat, what turns it off; got {text[:80]!r}.")
    return name.strip(), off
