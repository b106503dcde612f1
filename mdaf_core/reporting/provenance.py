"""Provenance ids: what a figure or table is, and from which runs, in a name that draws it again.

    STUDY/NAME@3f9a2c1b7d40
    STUDY/NAME/split=val/margin=10bp/metric=gauc/lines=mdaf-full+lr@3f9a2c1b7d40

Settings that are the study's plan are left out. The part behind @ is a digest of the finished runs (id, end,
fingerprint of the data), of what the comparison says of itself, and of all that stands before it; where any of that has
changed since, an id is refused rather than drawn from something else.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, get_args
from urllib.parse import quote, unquote

from mdaf_core.analysis.margins import parse_margin
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.schema import EVALUATED
from mdaf_core.metrics.registry import metrics
from mdaf_core.reporting.material import OF_SEARCH, OF_STUDIES, Material
from mdaf_core.reporting.stamp import Origin
from mdaf_core.reporting.theme import Typeface
from mdaf_core.studies import results
from mdaf_core.studies.store import get_study

DIGITS = 12


def identify(material: Material, name: str) -> str:
    """The provenance id of a figure or table, or of what else a study's material gives."""
    address = _address(material, name)
    return f"{address}@{_digest(material, address)}"


def _address(material: Material, name: str) -> str:
    settings: dict[str, str] = {}
    planned = Material(material.study)
    if material.split != planned.split:
        settings["split"] = material.split
    margin = results.choices(material.study, metric=material.metric, margin=material.margin)[3]
    usual = results.choices(material.study, metric=material.metric)[3]
    if margin is None and usual is not None:
        settings["margin"] = "none"
    elif margin is not None and not margin.same(usual):
        settings["margin"] = margin.text.replace(" ", "")
    if material.metric != planned.metric:
        settings["metric"] = material.metric
    if material.lines != planned.lines:
        settings["lines"] = "+".join(quote(line, safe="") for line in material.lines)
    if material.beside:
        settings["with"] = "+".join(material.beside)
    if material.typeface != "sans":
        settings["type"] = material.typeface
    return "/".join([material.study.id, name, *(f"{key}={value}" for key, value in settings.items())])


def _digest(material: Material, address: str) -> str:
    runs = sorted([run.run_id, run.ended, run.fingerprint] for run in material.runs)
    choices = results.summary(material.comparison)  # what is said beside the figures is part of them
    content: list[Any] = [address, runs, choices]
    if address.split("/")[1] in OF_STUDIES:  # and of other studies
        content += [
            [c.configuration, c.run_ids] for one in material.together.columns.values() for c in one.configurations
        ]
    if address.split("/")[1] in OF_SEARCH:  # and of the trials
        parts = material.search.configurations
        content += [[one.name, [[t.run_id, t.state, t.value] for t in one.trials]] for one in parts]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:DIGITS]


def of_a_page(link: str, name: str, title: str, data: bytes, caption: str = "") -> Origin:
    """Where a chart comes from that was saved from a page: its link, its name there, and a digest of its data (CSV).

    Args:
        caption: what must be known beside it.
    """
    return Origin(f"{link}#{name}@{hashlib.sha256(data).hexdigest()[:DIGITS]}", title, caption)


def resolve(text: str) -> tuple[Material, str]:
    """The material and the name that an id stands for; without `@…`, from what the study has finished now.

    Raises:
        UsageError: not an id, no such study, or a setting that does not exist.
        StudioError: the runs of the study have changed since the id was given.
    """
    address, _, digest = text.strip().partition("@")
    study_id, *rest = address.split("/")
    if not study_id or not rest or not rest[0]:
        raise UsageError(
            f"{text!r} is no provenance id. Take one from a bundle's README.md, or STUDY/NAME, for example "
            "my-study/differences."
        )
    material, name = Material(get_study(study_id)), rest[0]
    for setting in rest[1:]:
        _set(material, *setting.partition("=")[::2])
    if digest and digest != _digest(material, _address(material, name)):
        raise StudioError(
            f"The finished runs of study {study_id} are not those that {text!r} was made from: runs were added, "
            "repeated or removed since, or what is said beside them changed. "
            f"`python -m mdaf_core figure {address} --out FILE` draws it from the runs there are now; "
            "the bundle's manifest.json lists those it was made from."
        )
    return material, name


def _set(material: Material, key: str, value: str) -> None:
    if key == "split" and value in EVALUATED:
        material.split = value
    elif key == "type" and value in get_args(Typeface):
        material.typeface = value  # type: ignore[assignment]
    elif key == "metric" and value in metrics():
        material.metric = value
    elif key == "with":
        material.beside = tuple(get_study(other).id for other in value.split("+"))
    elif key == "margin":
        material.margin = parse_margin(value)
    elif key == "lines":
        material.only = tuple(unquote(line) for line in value.split("+"))
        unknown = sorted(set(material.only) - set(material.study.configuration_names))
        if unknown:
            raise UsageError(f"Study {material.study.id} has no configuration {', '.join(unknown)}.")
    else:
        known = (
            f"split={'|'.join(EVALUATED)}, margin=20bp or 1% or none, metric={'|'.join(metrics())}, lines=NAME+NAME, "
            f"type={'|'.join(get_args(Typeface))}, with=STUDY+STUDY"
        )
        raise UsageError(f"There is no setting {key + '=' + value!r} of a figure. Known: {known}.")
