"""Metrics of one run on one split: exact, in float64, defined for ties. See docs/statistics.md for every definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mdaf_core.errors import StudioError
from mdaf_core.training.results import SplitMetrics

CALIBRATION_BINS = 15

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


class Undefined(StudioError):
    """The metric has no value on these rows. The reason is a sentence."""


class GroupedAUC(NamedTuple):
    """gAUC and the share of rows it covers (rows whose user has both labels)."""

    value: float
    coverage: float


@dataclass(frozen=True)
class Ranking:
    """Rows grouped by equal score, lowest first; G groups.

    Attributes:
        order: (N,) indices that sort the rows by score.
        start: (G,) first sorted position of each group.
        positives, negatives: (G,) int64 counts in each group.
    """

    order: NDArray[np.int64]
    start: NDArray[np.int64]
    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        return self.positives + self.negatives

    @property
    def negatives_below(self) -> NDArray[np.int64]:
        return np.cumsum(self.negatives) - self.negatives

    @property
    def positives_above(self) -> NDArray[np.int64]:
        return self.positives.sum() - np.cumsum(self.positives)


def checked(label: ArrayLike, score: ArrayLike) -> tuple[Bools, Floats]:
    """Labels as booleans and scores as float64, both (N,).

    Raises:
        StudioError: lengths differ, a label is neither 0 nor 1, or a score is not finite.
    """
    y, s = np.asarray(label), np.asarray(score, np.float64)
    if y.ndim != 1 or y.shape != s.shape:
        raise StudioError(f"Labels and scores must be two equally long columns; got shapes {y.shape} and {s.shape}.")
    if y.dtype != np.bool_ and not np.isin(y, (0, 1)).all():
        raise StudioError("Labels must be 0 or 1.")
    bad = len(s) - int(np.isfinite(s).sum())
    if bad:
        raise StudioError(
            f"{bad:,} of {len(s):,} predictions are not finite: the training diverged. "
            "Lower the learning rate or clip the gradient, then train again."
        )
    return y.astype(np.bool_), s


def _both_labels(y: Bools) -> tuple[int, int]:
    positives = int(y.sum())
    negatives = len(y) - positives
    if not len(y):
        raise Undefined("There are no rows.")
    if not positives or not negatives:
        raise Undefined(f"All {len(y):,} rows have label {int(positives > 0)}: it takes both labels to rank them.")
    return positives, negatives


def rank(y: Bools, s: Floats) -> Ranking:
    """Sort rows by score and group ties: O(n log n), the only sort that AUC, DeLong and the curves need."""
    order = np.argsort(s, kind="stable")
    sorted_score = s[order]
    start = np.flatnonzero(np.r_[True, sorted_score[1:] != sorted_score[:-1]])
    positives = np.add.reduceat(y[order].astype(np.int64), start)
    return Ranking(order, start, positives, np.diff(np.r_[start, len(s)]) - positives)


def auc(label: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve: P(score of a positive > score of a negative) + ½ P(equal), over all pairs.

    Exact (the pairs are counted in integers, one division at the end); O(n log n); ties count a half, so the value
    depends neither on the order of rows nor on a monotone transform of the scores.

    Args:
        label: (N,) 0 or 1.
        score: (N,) finite numbers; larger means more likely positive.

    Raises:
        Undefined: no rows, or one label only.
        StudioError: see `checked`.
    """
    y, s = checked(label, score)
    positives, negatives = _both_labels(y)
    ranking = rank(y, s)
    twice = int(ranking.positives @ (2 * ranking.negatives_below + ranking.negatives))
    return twice / (2 * positives * negatives)


def placements(label: ArrayLike, score: ArrayLike) -> tuple[Floats, float]:
    """Placement values of DeLong et al. 1988 and the AUC, their mean.

    The placement of a positive is the share of negatives it beats, of a negative the share of positives that beat it;
    ties count a half.

    Returns:
        ((N,) placement of each row, AUC).

    Raises:
        Undefined: no rows, or one label only.
    """
    y, s = checked(label, score)
    positives, negatives = _both_labels(y)
    ranking = rank(y, s)
    of_positive = (ranking.negatives_below + 0.5 * ranking.negatives) / negatives
    of_negative = (ranking.positives_above + 0.5 * ranking.positives) / positives
    value = np.empty(len(y))
    value[ranking.order] = np.where(
        y[ranking.order], np.repeat(of_positive, ranking.sizes), np.repeat(of_negative, ranking.sizes)
    )
    twice = int(ranking.positives @ (2 * ranking.negatives_below + ranking.negatives))
    return value, twice / (2 * positives * negatives)


def placement_variance(label: Bools, value: Floats, cluster: NDArray[np.integer] | None = None) -> float:
    """Variance of an AUC, or of a difference of AUCs of the same rows; see `placement_covariance`.

    Args:
        value: (N,) placements of one model, or the difference of two models' placements.
    """
    return float(placement_covariance(label, value[None], cluster)[0, 0])


def placement_covariance(label: Bools, value: Floats, cluster: NDArray[np.integer] | None = None) -> Floats:
    """Covariance of the AUCs of M models on the same rows, from the rows' placement values.

    Without clusters DeLong et al. 1988: cov(V₁₀)/m + cov(V₀₁)/n. With clusters Obuchowski 1997 (Biometrics 53):
    rows of one cluster (user) may depend on each other; where every cluster is one row it is DeLong's.

    Args:
        label: (N,) booleans.
        value: (M, N) placements of each model.
        cluster: (N,) integers from 0, or None for independent rows.

    Returns:
        (M, M), symmetric.

    Raises:
        Undefined: fewer than two positives or negatives, or fewer than two clusters with one of them.
    """
    positives, negatives = _both_labels(label)
    if min(positives, negatives) < 2:
        raise Undefined("A standard error takes two rows of each label.")
    of_positives, of_negatives = value[:, label], value[:, ~label]
    of_positives = of_positives - of_positives.mean(1, keepdims=True)
    of_negatives = of_negatives - of_negatives.mean(1, keepdims=True)
    if cluster is None:
        return of_positives @ of_positives.T / (positives * (positives - 1)) + of_negatives @ of_negatives.T / (
            negatives * (negatives - 1)
        )
    n_clusters = int(cluster.max()) + 1
    of, other = cluster[label], cluster[~label]
    m, n = (np.bincount(group, minlength=n_clusters) for group in (of, other))
    p = np.stack([np.bincount(of, weights=row, minlength=n_clusters) for row in of_positives])
    q = np.stack([np.bincount(other, weights=row, minlength=n_clusters) for row in of_negatives])
    with_m, with_n, either = int((m > 0).sum()), int((n > 0).sum()), int((m + n > 0).sum())
    if min(with_m, with_n) < 2:
        raise Undefined("A standard error over users takes two users with rows of each label.")
    cross = p @ q.T
    return (
        with_m / (with_m - 1) * (p @ p.T) / positives**2
        + with_n / (with_n - 1) * (q @ q.T) / negatives**2
        + either / (either - 1) * (cross + cross.T) / (positives * negatives)
    )


def mean_variance(value: Floats, cluster: NDArray[np.integer] | None = None) -> float:
    """Variance of the mean of `value`, (N,), over the rows that have one (not NaN); see `mean_covariance`."""
    return float(mean_covariance(value[None], cluster)[0, 0])


def mean_covariance(value: Floats, cluster: NDArray[np.integer] | None = None) -> Floats:
    """(M, M) covariance of the means of M values over the same rows, rows of one cluster being dependent.

    Clusters are the sampling units: the linearised covariance of ratios, Σ over clusters of
    products of summed residuals.

    Args:
        value: (M, N); rows where the first is NaN have none and are left out.
        cluster: (N,) integers from 0, or None for independent rows.

    Raises:
        Undefined: fewer than two rows or clusters.
    """
    covered = ~np.isnan(value[0])
    value = value[:, covered]
    group = np.arange(value.shape[1]) if cluster is None else cluster[covered]
    count = np.bincount(group)
    present = count > 0
    units = int(present.sum())
    if units < 2:
        raise Undefined("A standard error takes at least two rows, of two users.")
    total = np.stack([np.bincount(group, weights=row)[present] for row in value])
    residual = total - total.sum(1, keepdims=True) / len(group) * count[present]
    return units / (units - 1) * (residual @ residual.T) / len(group) ** 2


def dense(group: ArrayLike) -> NDArray[np.int64]:
    """Codes 0…U−1 of arbitrary group labels."""
    return np.unique(np.asarray(group), return_inverse=True)[1].reshape(-1)


def clusters(user: ArrayLike) -> NDArray[np.int64] | None:
    """(N,) codes 0…U−1 of the rows' users; None where there is one alone: rows of data without users are stored so,
    and are taken as independent."""
    codes = dense(user)
    return codes if codes.any() else None


def auc_se(label: ArrayLike, score: ArrayLike, user: ArrayLike | None = None) -> float:
    """Standard error of one AUC: DeLong's of independent rows, with several users Obuchowski's; see
    `placement_covariance`.

    Raises:
        Undefined: fewer than two positives or two negatives, or than two users with one of them.
    """
    value, _ = placements(label, score)
    cluster = None if user is None else clusters(user)
    return float(np.sqrt(max(0.0, placement_variance(np.asarray(label).astype(np.bool_), value, cluster))))


def user_auc(label: ArrayLike, score: ArrayLike, user: ArrayLike) -> Floats:
    """(N,) the AUC within each row's user; NaN where the user has one label only. One sort by (user, score)."""
    y, s = checked(label, score)
    group = np.asarray(user)
    if group.shape != y.shape:
        raise StudioError(f"One user a row is needed; got {len(group):,} users for {len(y):,} rows.")
    if not len(y):
        return np.empty(0)
    order = np.lexsort((s, group))
    y, s, group = y[order], s[order], group[order]
    new_user = np.r_[True, group[1:] != group[:-1]]
    start = np.flatnonzero(new_user | np.r_[True, s[1:] != s[:-1]])  # groups of equal (user, score)
    positives = np.add.reduceat(y.astype(np.int64), start)
    negatives = np.diff(np.r_[start, len(y)]) - positives

    first = np.flatnonzero(new_user[start])  # first group of each user
    user_positives = np.add.reduceat(positives, first)
    user_negatives = np.add.reduceat(negatives, first)
    before = np.cumsum(negatives) - negatives
    below = before - np.repeat(before[first], np.diff(np.r_[first, len(start)]))
    twice = np.add.reduceat(positives * (2 * below + negatives), first)
    pairs = user_positives * user_negatives
    value = np.divide(twice, 2 * pairs, out=np.full(len(first), np.nan), where=pairs > 0)
    out = np.empty(len(y))
    out[order] = np.repeat(value, user_positives + user_negatives)
    return out


def gauc(label: ArrayLike, score: ArrayLike, user: ArrayLike) -> GroupedAUC:
    """AUC within each user, averaged with the users' row counts as weights; users with one label are skipped.

    Other definitions in use weight by positives, or not at all, or count single-label users as 0.5; see
    docs/statistics.md.

    Args:
        label, score: as for `auc`.
        user: (N,) integers.

    Raises:
        Undefined: no user has both labels.
    """
    y, s = checked(label, score)
    _both_labels(y)
    value = user_auc(y, s, user)
    covered = ~np.isnan(value)
    if not covered.any():
        raise Undefined("No user has rows of both labels, so nothing can be ranked within a user.")
    return GroupedAUC(float(value[covered].mean()), float(covered.mean()))


def sigmoid(logit: ArrayLike) -> Floats:
    """1 / (1 + e^−z) without overflow."""
    z = np.asarray(logit, np.float64)
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def row_loss(label: ArrayLike, logit: ArrayLike) -> Floats:
    """(N,) −ln p(label) in nats, from logits: ln(1 + e^∓z), stable for any size of logit."""
    y, z = checked(label, logit)
    return np.logaddexp(0.0, np.where(y, -z, z))


def log_loss(label: ArrayLike, logit: ArrayLike) -> float:
    """Mean of `row_loss`."""
    loss = row_loss(label, logit)
    if not len(loss):
        raise Undefined("There are no rows.")
    return float(loss.mean())


def normalised_entropy(label: ArrayLike, logit: ArrayLike) -> float:
    """Log loss / entropy of the base rate (He et al. 2014, "Practical Lessons…", section 2): 1 is no better than it.

    Raises:
        Undefined: one label only (the base rate has no entropy).
    """
    y, _ = checked(label, logit)
    positives, negatives = _both_labels(y)
    p = positives / (positives + negatives)
    return log_loss(y, logit) / -(p * np.log(p) + (1 - p) * np.log1p(-p))


def normalised_entropy_values(label: ArrayLike, logit: ArrayLike) -> Floats:
    """(N,) values of the rows whose mean is the normalised entropy, and whose spread is that of its sampling error.

    The ratio linearised, as the base rate in its denominator is of the same rows.

    Raises:
        Undefined: one label only.
    """
    y, z = checked(label, logit)
    value = normalised_entropy(y, z)
    loss, p = row_loss(y, z), y.mean()
    entropy = loss.mean() / value
    return (loss - value * np.log((1 - p) / p) * (y - p)) / entropy


def brier(label: ArrayLike, logit: ArrayLike) -> float:
    """Mean squared difference between probability and label (Brier 1950)."""
    y, z = checked(label, logit)
    if not len(y):
        raise Undefined("There are no rows.")
    return float(np.mean((sigmoid(z) - y) ** 2))


def mass_bins(probability: Floats, bins: int = CALIBRATION_BINS) -> NDArray[np.int64]:
    """(N,) bin of each row: `bins` bins of equal mass by probability; equal probabilities share a bin."""
    inner = np.sort(probability)[len(probability) * np.arange(1, bins) // bins]
    return np.searchsorted(inner, probability, side="right")


def ece(label: ArrayLike, logit: ArrayLike, bins: int = CALIBRATION_BINS) -> float:
    """Expected calibration error: Σ share of rows · |mean probability − positive rate| over bins of equal mass.

    Equal-mass bins as in Nguyen & O'Connor 2015; at click rates of a few percent, equal-width bins would put nearly
    all rows into one.
    """
    y, z = checked(label, logit)
    if not len(y):
        raise Undefined("There are no rows.")
    p = sigmoid(z)
    index = mass_bins(p, bins)
    gap = np.bincount(index, weights=p - y, minlength=bins)
    return float(np.abs(gap).sum() / len(y))


def pr_auc(label: ArrayLike, score: ArrayLike) -> float:
    """Average precision: Σ (recall step) · precision over distinct scores, without interpolation.

    Raises:
        Undefined: no rows, or one label only.
    """
    y, s = checked(label, score)
    positives, _ = _both_labels(y)
    ranking = rank(y, s)
    hit = ranking.positives[::-1]
    shown = np.cumsum(ranking.sizes[::-1])
    return float((hit * np.cumsum(hit) / shown).sum() / positives)


def pr_auc_values(label: ArrayLike, score: ArrayLike) -> Floats:
    """(N,) values of the rows whose mean is the average precision, and whose spread is that of its sampling error.

    Average precision plus N times its derivative by the row's weight (the influence function): with P the precision and
    R the rows at or above a score, Σ over positives i at or below row k of (y_k − P_i) / R_i, and P_k − AP where k is
    positive itself; all divided by the number of positives.

    Raises:
        Undefined: fewer than two positives, or no negative.
    """
    y, s = checked(label, score)
    positives, _ = _both_labels(y)
    if positives < 2:
        raise Undefined("A standard error takes two positives.")
    ranking = rank(y, s)
    hit, shown = ranking.positives[::-1], np.cumsum(ranking.sizes[::-1])
    precision = np.cumsum(hit) / shown
    area = float((hit * precision).sum() / positives)
    below, precise_below = (np.cumsum((hit * x / shown)[::-1]) for x in (np.ones(len(hit)), precision))
    of_positive, of_any = precision[::-1] - area + below, precise_below  # by group, lowest score first
    influence = np.empty(len(y))
    influence[ranking.order] = y[ranking.order] * np.repeat(of_positive, ranking.sizes) - np.repeat(
        of_any, ranking.sizes
    )
    return area + len(y) / positives * influence


def split_metrics(
    label: ArrayLike, logit: ArrayLike, user: ArrayLike | None = None, true_probability: ArrayLike | None = None
) -> SplitMetrics:
    """All metrics of one split; those without a value are None, with the reason in `undefined`.

    Args:
        label: (N,) 0 or 1.
        logit: (N,) log-odds.
        user: (N,) integers for gAUC, or None where rows have no user.
        true_probability: (N,) probability each label was drawn with (synthetic data), or None.

    Raises:
        StudioError: a logit is not finite, or the columns do not fit together.
    """
    y, z = checked(label, logit)
    found: dict[str, Any] = {}
    undefined: dict[str, str] = {}

    def put(name: str, compute: Callable[[], float]) -> None:
        try:
            found[name] = compute()
        except Undefined as reason:
            undefined[name] = str(reason)

    put("auc", lambda: auc(y, z))
    put("auc_se", lambda: auc_se(y, z, user))
    put("logloss", lambda: log_loss(y, z))
    put("normalised_entropy", lambda: normalised_entropy(y, z))
    put("brier", lambda: brier(y, z))
    put("ece", lambda: ece(y, z))
    put("pr_auc", lambda: pr_auc(y, z))
    if user is None:
        undefined["gauc"] = "The rows of this data set have no user."
    else:
        try:
            found["gauc"], found["gauc_coverage"] = gauc(y, z, user)
        except Undefined as reason:
            undefined["gauc"] = str(reason)
    if true_probability is not None:
        put("oracle_auc", lambda: auc(y, true_probability))
        if "oracle_auc" in found and found["oracle_auc"] > 0.5:
            found["oracle_share"] = (found["auc"] - 0.5) / (found["oracle_auc"] - 0.5)
        else:
            undefined["oracle_share"] = "The true probabilities do not rank these rows better than chance."
    return SplitMetrics(rows=len(y), positives=int(y.sum()), undefined=undefined, **found)
