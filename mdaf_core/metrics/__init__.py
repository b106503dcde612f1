"""Figures of scored rows, one file each. A plug-in's metric takes what it needs from here."""

from mdaf_core.metrics.metric import Metric
from mdaf_core.metrics.values import Scored, Undefined

__all__ = ["Metric", "Scored", "Undefined"]
