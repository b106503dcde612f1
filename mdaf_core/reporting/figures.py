"""All figures, found from the topics that draw them."""

from __future__ import annotations

from mdaf_core.base.entries import known_entry
from mdaf_core.reporting import conditions, provenance, topics
from mdaf_core.reporting.figure import Figure, Kind
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.stamp import Origin

FIGURES: dict[str, Kind] = topics.declared("FIGURES")


def make_figure(material: Material, name: str) -> Figure:
    """One of `FIGURES`.

    Raises:
        UsageError: unknown name, or the study has nothing finished to draw it from.
    """
    kind = known_entry(name, FIGURES, "is no figure")
    material.require_runs()
    chart, data, caption = kind.make(material)
    caption = f"{caption} {conditions.text(material.conditions_beside(name))}"
    metric = material.metric if kind.of_a_metric and material.metric != "auc" else ""
    return Figure(
        name=name,
        title=kind.title,
        caption=caption,
        chart=chart,
        data=data,
        file="-".join([name, *([material.split] if kind.of_a_split else []), *([metric] if metric else [])]),
        origin=Origin(provenance.identify(material, name), kind.title, caption),
        typeface=material.typeface,
    )
