"""How curves are drawn, and of which other studies: the choices of the page Curves beside configurations and seeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from mdaf_core.base.errors import StudioError
from pages import beside, shared

if TYPE_CHECKING:
    import polars as pl

    from mdaf_core.studies.store import Study

BY = {"epoch": "epoch", "rows": "rows", "time": "time"}
MANY = 6  # configurations of another study that has none of the names chosen
DRAWN = ("val_loss", "train_loss", "lr", "grad_norm", "gate_mean", "val_auc")
"""What the page draws anyway."""
SMOOTHING_HELP = (
    "0: as measured. Else the mean of the epochs so far, each counting so many times as much as the one after it; what "
    "is shown on hovering is smoothed, too. Tables never are."
)


@dataclass(frozen=True)
class Options:
    """How curves are drawn.

    Attributes:
        axis: what they are drawn over; log: y logarithmic where above 0; weight: of smoothing.
        more: further metrics; beside: ids of other studies.
    """

    axis: str = "epoch"
    log: bool = False
    weight: float = 0.0
    more: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    @property
    def by(self) -> str:
        return BY[self.axis]


def choose(study: Study) -> Options:
    """The choices, folded away; all of them live in the link."""
    from mdaf_core.reporting.topics.curves.frames import AXES, TITLES
    from mdaf_core.studies.store import list_studies

    studies = {one.id: one.title or one.id for one in list_studies() if one.id != study.id and not one.archived}
    more = [name for name in TITLES if name not in DRAWN]
    with st.popover("Axes and more", icon=":material/tune:"):
        axis = st.segmented_control(
            "Over", list(AXES), format_func=lambda name: BY[name].capitalize(), default="epoch", required=True,
            key="axis", bind="query-params",
            help="Rows: training rows seen so far. Time: of the epochs, evaluation included, on whatever machine each "
            "run was trained.",
        )  # fmt: skip
        log = st.toggle("Logarithmic y", key="log", bind="query-params", help="Where all values are above 0.")
        weight = st.slider("Smoothing", 0.0, 0.95, 0.0, 0.05, key="smoothing", bind="query-params", help=SMOOTHING_HELP)
        chosen = st.multiselect(
            "Further metrics", more, format_func=TITLES.__getitem__, key="more", bind="query-params",
            placeholder="Everything that is recorded of an epoch",
        )  # fmt: skip
        others = beside.choose(
            "Other studies", "beside", studies, placeholder="Their curves in the same charts",
            help="Configurations of the same names, with all their seeds; their data may be others.",
        )  # fmt: skip
    return Options(axis, log, weight, tuple(chosen), tuple(others))


def whole(
    frame: pl.DataFrame, study: Study, chosen: tuple[str, ...], options: Options
) -> tuple[pl.DataFrame, list[str]]:
    """Epochs as they are drawn, those of other studies under their study's name, and the order of colours."""
    import polars as pl

    from mdaf_core.reporting.topics.curves import frames
    from mdaf_core.studies.store import get_study

    parts, order = [frames.with_axes(frame, _rows(study))], list(study.configuration_names)
    for one in options.beside:
        other = get_study(one)
        names = [name for name in other.configuration_names if name in chosen] or other.configuration_names[:MANY]
        labels = {name: f"{name} · {other.title or other.id}" for name in names}
        theirs = shared.epochs(one).filter(pl.col("configuration").is_in(names))
        theirs = theirs.with_columns(pl.col("configuration").replace(labels))
        parts.append(frames.with_axes(theirs, _rows(other)))
        order += [label for label in labels.values() if label not in order]
    out = frames.smoothed(pl.concat(parts), list(frames.TITLES), options.weight)
    if options.axis == "rows" and out["rows"].is_null().any():
        st.caption("Of runs whose data set is gone the rows of an epoch are not known: they are not drawn.")
        out = out.drop_nulls("rows")
    return out, order


def _rows(study: Study) -> int | None:
    """Training rows of an epoch; None where the data set is gone."""
    from mdaf_core.data.store.dataset import PreparedDataset

    try:
        return PreparedDataset.open(study.dataset).meta.splits["train"].rows
    except StudioError:
        return None
