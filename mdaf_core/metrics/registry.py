"""All metrics there are: those of this folder, each found from its file, and those of plug-ins."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module

from numpy.typing import ArrayLike

from mdaf_core import metrics as folder
from mdaf_core import plugins
from mdaf_core.base import notices
from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import listed
from mdaf_core.metrics.metric import FIRST_DEFINITION, RESERVED, Metric
from mdaf_core.metrics.values import Codes, Floats, Scored
from mdaf_core.plugins import Plugin

OF_PLUGINS = "A plug-in's is there once the plug-in is loaded"


@lru_cache(maxsize=1)
def _of_the_program() -> dict[str, Metric]:
    modules = (import_module(f"{folder.__name__}.{found.name}") for found in pkgutil.iter_modules(folder.__path__))
    return {one.key: one for module in modules if isinstance(one := getattr(module, "METRIC", None), Metric)}


@lru_cache(maxsize=8)
def _of_plugins(_loaded: tuple[Plugin, ...]) -> tuple[dict[str, Metric], list[str]]:
    """The plug-ins' metrics by key, and why some of them are left out, a sentence each."""
    found, faults = dict[str, Metric](), []
    for one in plugins.objects("metrics"):
        if isinstance(one.object, type):
            continue
        key, title = str(one.object.key), str(one.object.title)
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,39}", key) or not title.strip() or one.object.direction not in (1, -1):
            faults.append(
                f"{one.place}: a metric takes a key of small letters, digits and _ that begins with a letter, a title, "
                f"and a direction of 1 or -1; got {key!r}, {title!r}, {one.object.direction!r}."
            )
        elif key in RESERVED or key in _of_the_program() or found.get(key, one.object) is not one.object:
            faults.append(f"{one.place}: {key!r} is the key of something else already; give this metric another.")
        else:
            found[key] = one.object
    return found, faults


def metrics() -> dict[str, Metric]:
    """Every metric by its key, in the order of lists. What is wrong with a plug-in's is noted, and it is left out."""
    from_plugins, faults = _of_plugins(plugins.loaded())
    notices.add(*faults)
    found = _of_the_program() | from_plugins
    return dict(sorted(found.items(), key=lambda item: (item[1].place, item[1].title)))


def metric(key: str) -> Metric:
    """One metric.

    Raises:
        UsageError: there is none; the message lists those there are.
    """
    found = metrics()
    if key not in found:
        raise UsageError(f"There is no metric {key!r} to compare by. Known: {', '.join(found)}. {OF_PLUGINS}.")
    return found[key]


def in_results() -> dict[str, Metric]:
    """Those that stand in every table of results."""
    return {key: one for key, one in metrics().items() if one.in_results}


def titles() -> dict[str, str]:
    """Key → title, for lists to choose from."""
    return {key: one.title for key, one in metrics().items()}


def definition(key: str) -> str:
    """A metric with its definition, for keys of what is kept on disk; the key alone while there has been one."""
    identity = metric(key).identity
    return key if identity == FIRST_DEFINITION else f"{key} {identity}"


def metric_words(key: str) -> str:
    """A metric inside a sentence; of a plug-in that is not loaded its key."""
    found = metrics().get(key)
    return found.words if found else key


def in_bp(one: Metric) -> bool:
    """Whether a margin in bp of it has a meaning; for `named`."""
    return one.in_bp


def named(which: Callable[[Metric], bool] = lambda _: True, last: str = "or", keys: bool = False) -> str:
    """Metrics as a sentence lists them: `AUC, gAUC or PR-AUC`; `keys`: as commands call them."""
    return listed([key if keys else one.words for key, one in metrics().items() if which(one)], last)


def sampling_errors(
    key: str, label: ArrayLike, logit: ArrayLike, user: Codes | None, unit: Codes | None = None
) -> Floats:
    """(K,) sampling errors of a metric over users, or over other units; see `jackknife`.

    Args:
        label, logit: (N,).
        user: (N,) codes 0…K−1 of the rows' users, each present, or None.
        unit: the same of what is left out instead of users.

    Raises:
        Undefined: the metric is, or it is so without one of the units.
    """
    return metric(key).sampling_errors(Scored.of(label, logit, user, user if unit is None else unit))
