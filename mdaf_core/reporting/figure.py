"""A figure that a study gives to a paper: a chart, its data, and a caption that says what it rests on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from mdaf_core.reporting.drawing import alt
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.stamp import Origin
from mdaf_core.reporting.theme import Typeface

Drawn = tuple["alt.TopLevelMixin", pl.DataFrame, str]


@dataclass(frozen=True)
class Figure:
    """A chart for the paper, its caption and the data behind it. `file`: name of its files, without ending."""

    name: str
    title: str
    caption: str
    chart: alt.TopLevelMixin
    data: pl.DataFrame
    file: str
    origin: Origin
    typeface: Typeface = "sans"


@dataclass(frozen=True)
class Kind:
    """How one figure is made. A topic's module lists its own in `FIGURES` (name → kind): it is found there.

    Attributes:
        group: under which it stands on the Export page.
        make: chart, data and caption; raises a `StudioError` where the study has nothing to draw it from.
        of_a_split: it shows the rows of one split; of_a_metric: it shows the metric compared by.
    """

    title: str
    group: str
    make: Callable[[Material], Drawn]
    of_a_split: bool = True
    of_a_metric: bool = False
