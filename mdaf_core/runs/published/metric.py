"""Metrics of other people's tables: the program's own where the name is one of theirs, else taken as they are."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import BaseModel, Field

from mdaf_core.metrics.registry import metrics

_SAME = {
    "auc": ("roc_auc", "auc_roc", "auroc", "rocauc"),
    "gauc": ("g_auc", "group_auc", "uauc"),
    "pr_auc": ("auprc", "aupr", "prauc", "average_precision"),
    "logloss": ("log_loss", "binary_crossentropy", "bce", "cross_entropy", "crossentropy"),
}
_LOWER = re.compile(
    r"loss|err|rmse|mse|mae|mape|brier|(^|_)(ece|nll|ne|ce|bce|ppl|wer|cer|fid|eer|fpr|kl)(_|$)"
    r"|perplexity|entropy|distance|deviation|regret"
)
_SHARES = re.compile(
    r"auc|auroc|acc|(^|_)(hr|hit|hits|map|mrr|f1|f|ap|r|p|em|iou|dice|ndcg|recall|precision)(_?\d+)?(_|$)|ndcg|recall"
    r"|precision|hit|err|mrr"
)
_UNBOUNDED = re.compile(r"rmse|mse|mae|perplexity|ppl|fid|psnr|return|reward|elo")


def tokens(name: str) -> list[str]:
    """The words of a column's name: `metrics.valAUC@10` → metrics, val, auc, 10."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z][A-Za-z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    # gAUC, mAP and nDCG are single words
    split = re.sub(r"(?i)(?<![a-z])(g|m|n|u)_(auc|ap|dcg)(?![a-z])", r"\1\2", split)
    return [word for word in re.split(r"[^a-z0-9+]+", split.lower()) if word]


class ReportedMetric(BaseModel):
    """A metric as a table gives it."""

    key: str = Field(description="Its name here: the program's own key where it is one of its metrics.")
    title: str
    direction: Literal[1, -1] = Field(description="1 where larger is better, -1 where smaller is.")
    percent: bool = Field(False, description="Whether the table gives it in percent: it was divided by 100.")
    in_bp: bool = Field(True, description="Whether differences are given in bp (1e-4); else in its own unit.")

    @property
    def words(self) -> str:
        """Inside a sentence."""
        known = metrics().get(self.key)
        return known.words if known else self.title


def key_of(words: list[str]) -> str:
    """A metric's key from the words of its name."""
    name = "_".join(words)
    return next((key for key, others in _SAME.items() if name == key or name in others), name)


def metric_of(key: str, title: str, values: list[float]) -> ReportedMetric:
    """What is known of a metric: its direction from the registry, else from its name; its scale from its values."""
    known = metrics().get(key)
    size = max((abs(value) for value in values), default=0.0)
    share = bool(known or _SHARES.search(key)) and not _UNBOUNDED.search(key)
    percent = bool(values) and share and not _LOWER.search(key) and 1.5 < size <= 100 and _mostly_above_one(values)
    direction: Literal[1, -1] = known.direction if known else (-1 if _LOWER.search(key) else 1)
    in_bp = bool(known) or (share and (percent or size <= 1.5)) or (size <= 3 and not _UNBOUNDED.search(key))
    return ReportedMetric(
        key=key, title=known.title if known else title, direction=direction, percent=percent, in_bp=in_bp
    )


def _mostly_above_one(values: list[float]) -> bool:
    return 2 * sum(value > 1 for value in values) > len(values)


def likeness(key: str) -> int:
    """How likely a metric is the one a table is about: the smaller, the likelier."""
    order = ("auc", "gauc", "ndcg", "accuracy", "acc", "score", "metric", "f1", "recall", "hit", "hr")
    found = [i for i, word in enumerate(order) if key == word or word in key.split("_")]
    return min(found, default=len(order) + bool(_LOWER.search(key)))
