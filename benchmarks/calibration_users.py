"""The same where users or items are few, or unequal, and for ECE: `python -m benchmarks.calibration_users`."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from benchmarks.calibration import Count, count, crossed, shares
from benchmarks.many_studies import Units, auc_errors, aucs, eces
from benchmarks.measure import parser, report
from mdaf_core.analysis.items import crossed as pairs_of
from mdaf_core.analysis.sampling import two_way
from mdaf_core.analysis.significance import Difference, difference, sampling_component, seed_component
from mdaf_core.metrics.values import dense

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Codes = NDArray[np.int64]
Study = tuple[float, dict[str, Difference]]  # estimate, tests by method
SEEDS = (2, 3, 5)
TOGETHER = 50  # studies with the same users, or users and items: their labels, errors and scores are each study's own


@dataclass(frozen=True)
class Users:
    """Whose the rows are. `shape`: geometric; zipf (exponent `value`); top: `many` users hold the share `value`."""

    name: str
    users: int = 400
    rows: float = 5.0
    shape: str = "geometric"
    value: float = 0.0
    many: int = 1
    rate: float = 0.2

    def draw(self, rng: np.random.Generator) -> Codes:
        """(N,) users of rows."""
        if self.shape == "zipf":
            weight = np.arange(1, self.users + 1.0) ** -self.value
            size = np.maximum(1, self.users * self.rows * weight / weight.sum()).astype(int)
        else:
            size = rng.geometric(1 / self.rows, self.users)
            if self.shape == "top":
                others = size[self.many :].sum()
                size[: self.many] = others * self.value / (1 - self.value) / self.many
        return np.repeat(np.arange(self.users), size)

    def labels(self, rng: np.random.Generator, user: Codes) -> Bools:
        """(R, N) labels; users differ in their rate of positives."""
        rate = rng.beta(4 * self.rate, 4 * (1 - self.rate), (TOGETHER, self.users))
        return rng.random((TOGETHER, len(user))) < rate[:, user]


USERS = (
    Users("400 users, most of few rows"),
    Users("400 users, Zipf 1.2, the largest 24%", shape="zipf", value=1.2),
    Users("400 users, Zipf 1.5, the largest 40%", shape="zipf", value=1.5),
    Users("400 users, Zipf 1.2, rate 5%", shape="zipf", value=1.2, rate=0.05),
    Users("400 users, one with 20%", shape="top", value=0.2),
    Users("400 users, one with 30%", shape="top", value=0.3),
    Users("400 users, one with 40%", shape="top", value=0.4),
    Users("400 users, one with 50%", shape="top", value=0.5),
    Users("400 users, three with 60%", shape="top", value=0.6, many=3),
    Users("400 users, five with 60%", shape="top", value=0.6, many=5),
    Users("100 users, one with 30%, rate 30%", users=100, rows=20, shape="top", value=0.3, rate=0.3),
    Users("100 users, rate 1%", users=100, rows=30, rate=0.01),
    Users("30 users", users=30, rows=20),
    Users("30 users, Zipf 1.2, the largest 33%", users=30, rows=40, shape="zipf", value=1.2),
    Users("8 users", users=8, rows=60),
    Users("2,000 users, rate 0.5%", users=2000, rate=0.005),
    Users("2,000 users, Zipf 1.2, rate 2%", users=2000, shape="zipf", value=1.2, rate=0.02),
)


def normal(rng: np.random.Generator, sd: float, number: int) -> NDArray[np.float32]:
    """(R, number) errors of each study."""
    return sd * rng.standard_normal((TOGETHER, number), dtype=np.float32)


def two_models(users: Users, better: float, studies: int) -> Iterator[Study]:
    """Two models of which the first separates labels by `better` more; errors of users in offset and separation."""
    rng = np.random.default_rng(11)
    while studies > 0:
        user = users.draw(rng)
        label, units, n = users.labels(rng, user), Units(user), len(user)
        common = normal(rng, 0.3, users.users)[:, user] + normal(rng, 0.6, n)
        areas, errors = [], []
        for k in range(2):
            separation = 0.55 + better * (k == 0) + normal(rng, 0.4, users.users)[:, user]
            own = separation * label + normal(rng, 0.5, users.users)[:, user] + normal(rng, 0.3, n)
            for _ in range(max(SEEDS)):
                score = common + own + normal(rng, 0.35, n)
                area, won = aucs(label, score)
                areas.append(area)
                errors.append(auc_errors(label, score, won, units))
        rarer = units.of_rarer_label(label)
        known = np.isfinite(errors[0]).all(1) & (rarer >= 2) & (label.sum(1) >= 5)
        for study in np.flatnonzero(known)[:studies]:
            estimate, error = (
                np.stack([both[study] for both in half[: max(SEEDS)]])
                - np.stack([both[study] for both in half[max(SEEDS) :]])
                for half in (areas, errors)
            )
            alone = sampling_component(error[0], "users", int(rarer[study]))
            tests = {"one training each": difference(float(estimate[0]), [alone], "", "")}
            tests |= {f"{s} seeds": crossed(estimate[:s], error[:s], int(rarer[study])) for s in SEEDS}
            yield float(estimate.mean()), tests
        studies -= int(known.sum())


def calibration_errors(users: Users, worse: float, studies: int) -> Iterator[Study]:
    """ECE of two models with errors of users that all seeds share; the first is shifted by `worse` on the logit."""
    rng = np.random.default_rng(12)
    while studies > 0:
        user = users.draw(rng)
        units, n = Units(user), len(user)
        z = logit(users.rate) + normal(rng, 0.6, n) + normal(rng, 0.4, users.users)[:, user]
        label = rng.random(z.shape) < expit(z + normal(rng, 0.4, users.users)[:, user])
        found = []
        for k in range(2):
            own = z + normal(rng, 0.3, n) + normal(rng, 0.3, users.users)[:, user] + worse * (k == 0)
            found += [eces(label, own + normal(rng, 0.05, 1) + normal(rng, 0.2, n), units) for _ in range(max(SEEDS))]
        value, error = (np.stack(part, axis=1) for part in zip(*found, strict=True))
        estimates = value[:, : max(SEEDS)] - value[:, max(SEEDS) :]
        errors = error[:, : max(SEEDS)] - error[:, max(SEEDS) :]
        for d, e, rarer in list(zip(estimates, errors, units.of_rarer_label(label), strict=True))[:studies]:
            tests = {f"{s} seeds": crossed(d[:s], e[:s], int(rarer)) for s in SEEDS}
            for s in SEEDS:
                tests[f"{s} seeds, t test over seeds alone"] = difference(
                    float(d[:s].mean()), [seed_component(d[:s])], "", ""
                )
            yield float(d.mean()), tests
        studies -= TOGETHER


def with_items(items: int, spread: float, studies: int, better: float, rows: int) -> Iterator[Study]:
    """Rows of 300 users and `items` (Zipf 0.8) that differ in their rate of clicks (sd 1 on the logit).

    Each model has an error of sd `spread` of each item, the same in its three seeds: on these items one of both models
    is truly better, over all items neither.
    """
    rng = np.random.default_rng(13)
    weight = np.arange(1, items + 1.0) ** -0.8
    seeds = 3
    while studies > 0:
        user, item = dense(rng.integers(0, 300, rows)), dense(rng.choice(items, rows, p=weight / weight.sum()))
        by = [Units(code) for code in (user, item, pairs_of(user, item))]
        known = normal(rng, 1.0, items)[:, item]
        label = rng.random(known.shape) < expit(logit(0.2) + known)
        common = 0.6 * known + normal(rng, 0.6, rows)
        areas, errors = [], []
        for k in range(2):
            separation = 0.55 + better * (k == 0) + normal(rng, 0.3, 300)[:, user]
            own = separation * label + normal(rng, spread, items)[:, item]
            own = own + normal(rng, 0.3, 300)[:, user] + normal(rng, 0.3, rows)
            for _ in range(seeds):
                score = common + own + normal(rng, 0.3, rows)
                area, won = aucs(label, score)
                areas.append(area)
                errors.append([auc_errors(label, score, won, units) for units in by])
        rarer = [units.of_rarer_label(label) for units in by[:2]]
        for study in range(min(TOGETHER, studies)):
            estimates = np.array([area[study] for area in areas])
            d = estimates[:seeds] - estimates[seeds:]
            over = [np.stack([error[way][study] for error in errors]) for way in range(3)]
            of_users, of_items, of_pairs = (e[:seeds] - e[seeds:] for e in over)
            of_both = two_way(of_users, of_items, of_pairs, (int(rarer[0][study]), int(rarer[1][study])))[1]
            assert of_both is not None
            yield (
                float(d.mean()),
                {
                    "seeds × users, on these items": crossed(d, of_users, int(rarer[0][study])),
                    "seeds × users and items": difference(float(d.mean()), [of_both, seed_component(d)], "", ""),
                },
            )
        studies -= TOGETHER


def counted(null: Iterator[Study], true: Iterator[Study]) -> dict[str, Count]:
    """Rejections without a difference, and coverage of the difference that all studies have in the mean."""
    found: dict[str, Count] = {}
    for _, tests in null:
        for method, test in tests.items():
            count(found.setdefault(method, Counter()), test, 0.0)
    studies = list(true)
    truth = float(np.mean([estimate for estimate, _ in studies]))
    for _, tests in studies:
        for method, test in tests.items():
            count(found.setdefault(method, Counter()), test, truth)
    return found


def scenarios(n: int) -> dict[str, Callable[[], dict[str, Count]]]:
    out: dict[str, Callable[[], dict[str, Count]]] = {}
    for users in USERS:
        out[f"AUC, {users.name}"] = lambda users=users: counted(two_models(users, 0.0, n), two_models(users, 0.2, n))
    for users in (USERS[0], USERS[1], USERS[5], Users("100 users, rate 5%", users=100, rows=20, rate=0.05)):
        out[f"ECE, {users.name}"] = lambda users=users: counted(
            calibration_errors(users, 0.0, n), calibration_errors(users, 0.6, n)
        )
    for items, spread, rows in ((20, 0.5, 6000), (40, 0.5, 6000), (100, 0.5, 6000), (200, 0.5, 2000), (200, 0.0, 2000)):
        errors = f"with an error of {spread:g} each" if spread else "without errors"
        out[f"Items, {items} {errors}, {rows:,} rows, 3 seeds"] = lambda items=items, spread=spread, rows=rows: counted(
            with_items(items, spread, n, 0.0, rows), with_items(items, spread, n, 0.2, rows)
        )
    return out


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind (default 1000)")
    arguments.add_argument("--only", default="", help="scenarios whose name contains this (default all)")
    args = arguments.parse_args()
    result: dict[str, Any] = {"studies": args.studies, "scenarios": {}}
    table: list[list[Any]] = [["studies", "method", "rejects, no difference", "covers"]]
    begun = time.process_time()
    for title, run in scenarios(args.studies).items():
        if args.only not in title:
            continue
        found = {method: shares(counts) for method, counts in run().items()}
        result["scenarios"][title] = found
        table += [
            [title, m, *("–" if s[part] is None else f"{s[part]:.1%}" for part in ("rejects", "covers"))]
            for m, s in found.items()
        ]
        print(*table[-len(found) :], sep="\n", file=sys.stderr, flush=True)
    result["CPU seconds"] = time.process_time() - begun
    report(result, {f"{args.studies:,} studies of each kind, {result['CPU seconds']:.0f} s": table}, args.json)


if __name__ == "__main__":
    main()
