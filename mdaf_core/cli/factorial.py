"""`factorial`: main effects and interactions of a study's components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mdaf_core.cli.options import MarginOption, MetricOption, SplitOption, chosen_margin
from mdaf_core.cli.output import emit, number, table

if TYPE_CHECKING:
    from mdaf_core.analysis.factorial import Effects


def command(
    study: Annotated[str, typer.Argument(help="Id of a factorial study.")],
    split: SplitOption = None,
    metric: MetricOption = None,
    margin: MarginOption = None,
) -> None:
    """See what each component of a factorial study contributes.

    Main effects and interactions of two, with intervals over other seeds and other users; every run tells of every
    component. `study run factorial --data NAME` runs such a study.
    """
    from mdaf_core.studies.results import effects_of
    from mdaf_core.studies.store import get_study

    found = effects_of(get_study(study), split=split, metric=metric, margin=chosen_margin(margin))
    emit({"study": study, **found.model_dump()}, lambda: _text(found))


def _text(found: Effects) -> str:
    from mdaf_core.reporting.topics.factorial import effects_table, sentences
    from mdaf_core.reporting.words import p_value

    if found.missing:
        return f"No effects yet: {found.missing}."
    shown = effects_table(found)
    write = {"p": p_value, "p of parity": p_value}
    rows = [
        [v if isinstance(v, str) else write.get(c, lambda x: number(x, 1))(v) for c, v in row.items()]
        for row in shown.iter_rows(named=True)
    ]
    return "\n".join([table(rows, shown.columns), "", *(f"- {one}" for one in sentences(found))])
