"""The same where users or items are few, or unequal, and for ECE: `python -m benchmarks.calibration_users`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from benchmarks.calibration import Count, count, crossed, shares
from benchmarks.measure import parser, report
from mdaf_core.evaluation.items import crossed as pairs_of
from mdaf_core.evaluation.jackknife import sampling_errors, units_of_rarer_label
from mdaf_core.evaluation.metrics import auc, dense, ece
from mdaf_core.evaluation.sampling import one_way, two_way
from mdaf_core.evaluation.significance import Difference, delong, difference, seed_component

Floats = NDArray[np.float64]
Study = tuple[Floats, dict[str, Difference | None]]  # estimates by seed, tests by method


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

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """(N,) labels and users; users differ in their rate of positives."""
        if self.shape == "zipf":
            weight = np.arange(1, self.users + 1.0) ** -self.value
            size = np.maximum(1, self.users * self.rows * weight / weight.sum()).astype(int)
        else:
            size = rng.geometric(1 / self.rows, self.users)
            if self.shape == "top":
                others = size[self.many :].sum()
                size[: self.many] = others * self.value / (1 - self.value) / self.many
        user = np.repeat(np.arange(self.users), size)
        rate = rng.beta(4 * self.rate, 4 * (1 - self.rate), self.users)
        return rng.random(len(user)) < rate[user], user


USERS = (
    Users("400 users, most of few rows"),
    Users("400 users, Zipf 1.2, the largest 24%", shape="zipf", value=1.2),
    Users("400 users, one with 30%", shape="top", value=0.3),
    Users("400 users, one with 50%", shape="top", value=0.5),
    Users("400 users, five with 60%", shape="top", value=0.6, many=5),
    Users("30 users", users=30, rows=20),
    Users("30 users, Zipf 1.2, the largest 33%", users=30, rows=40, shape="zipf", value=1.2),
    Users("8 users", users=8, rows=60),
    Users("2,000 users, rate 0.5%", users=2000, rate=0.005),
    Users("2,000 users, Zipf 1.2, rate 2%", users=2000, shape="zipf", value=1.2, rate=0.02),
    Users("100 users, one with 30%, rate 30%", users=100, rows=20, shape="top", value=0.3, rate=0.3),
)


def two_models(users: Users, better: float, studies: int, seeds: int) -> Iterator[Study]:
    """Two models of which the first separates labels by `better` more; errors of users in offset and separation."""
    rng = np.random.default_rng(11)
    while studies:
        label, user = users.draw(rng)
        if min(label.sum(), (~label).sum()) < 5 or units_of_rarer_label(label, user) < 2:
            continue
        studies -= 1
        n = len(label)
        common = 0.3 * rng.normal(size=users.users)[user] + 0.6 * rng.normal(size=n)
        scores = []
        for k in range(2):
            separation = 0.55 + better * (k == 0) + 0.4 * rng.normal(size=users.users)[user]
            own = separation * label + 0.5 * rng.normal(size=users.users)[user] + 0.3 * rng.normal(size=n)
            scores += [common + own + 0.35 * rng.normal(size=n) for _ in range(seeds)]
        made = delong(label, np.stack(scores), user)
        estimates, errors = made.aucs[:seeds] - made.aucs[seeds:], made.errors[:seeds] - made.errors[seeds:]
        if seeds == 1:
            yield estimates, {"jackknife over users": made.difference(0, 1)}
        else:
            yield estimates, {"seeds × users (the verdict's)": crossed(estimates, errors, made.units)}


def calibration_errors(users: Users, worse: float, studies: int, seeds: int) -> Iterator[Study]:
    """ECE of two models with errors of users that all seeds share; the first is shifted by `worse` on the logit."""
    rng = np.random.default_rng(12)
    for _ in range(studies):
        _, user = users.draw(rng)
        n = len(user)
        z = logit(users.rate) + 0.6 * rng.normal(size=n) + 0.4 * rng.normal(size=users.users)[user]
        label = rng.random(n) < expit(z + 0.4 * rng.normal(size=users.users)[user])
        found: list[list[tuple[float, Floats]]] = []
        for k in range(2):
            own = z + 0.3 * rng.normal(size=n) + 0.3 * rng.normal(size=users.users)[user] + worse * (k == 0)
            logits = [own + 0.05 * rng.normal() + 0.2 * rng.normal(size=n) for _ in range(seeds)]
            found.append([(ece(label, x), sampling_errors("ece", label, x, user)) for x in logits])
        estimates = np.array([a - b for (a, _), (b, _) in zip(*found, strict=True)])
        errors = np.stack([a - b for (_, a), (_, b) in zip(*found, strict=True)])
        yield (
            estimates,
            {
                "seeds × users (the verdict's)": crossed(estimates, errors, units_of_rarer_label(label, user)),
                "t test over seeds alone": difference(float(estimates.mean()), [seed_component(estimates)], "", ""),
            },
        )


def with_items(items: int, spread: float, studies: int, seeds: int, better: float) -> Iterator[Study]:
    """Rows of 300 users and `items` (Zipf 0.8), each model with an error of sd `spread` of each item, in all seeds."""
    rng = np.random.default_rng(13)
    weight = np.arange(1, items + 1.0) ** -0.8
    for _ in range(studies):
        user = dense(rng.integers(0, 300, 2000))
        item = dense(rng.choice(items, 2000, p=weight / weight.sum()))
        label = rng.random(2000) < 0.2
        common = 0.6 * rng.normal(size=2000)
        scores = []
        for k in range(2):
            own = (0.55 + better * (k == 0)) * label + spread * rng.normal(size=items)[item]
            own = own + 0.3 * rng.normal(size=300)[user] + 0.3 * rng.normal(size=2000)
            scores += [common + own + 0.3 * rng.normal(size=2000) for _ in range(seeds)]
        units = (units_of_rarer_label(label, user), units_of_rarer_label(label, item))
        areas = np.array([auc(label, s) for s in scores])
        estimates = areas[:seeds] - areas[seeds:]
        over = [
            np.stack([sampling_errors("auc", label, s, c) for s in scores]) for c in (user, item, pairs_of(user, item))
        ]
        of_users, of_items, of_pairs = (e[:seeds] - e[seeds:] for e in over)
        alone, both = one_way(of_users, "users", units[0])[1], two_way(of_users, of_items, of_pairs, units)[1]
        seen = seed_component(estimates)
        mean = float(estimates.mean())
        yield (
            estimates,
            {
                "seeds × users, on these items": difference(mean, [c for c in (alone, seen) if c], "", ""),
                "seeds × users and items": difference(mean, [c for c in (both, seen) if c], "", ""),
            },
        )


def counted(null: Iterator[Study], true: Iterator[Study]) -> dict[str, Count]:
    """Rejections without a difference, and coverage of the difference that all studies have in the mean."""
    found: dict[str, Count] = {}
    for _, tests in null:
        for method, test in tests.items():
            if test is not None:
                count(found.setdefault(method, Counter()), test, 0.0)
    studies = list(true)
    truth = float(np.mean([estimates.mean() for estimates, _ in studies]))
    for _, tests in studies:
        for method, test in tests.items():
            if test is not None:
                count(found.setdefault(method, Counter()), test, truth)
    return found


def scenarios(n: int) -> dict[str, Callable[[], dict[str, Count]]]:
    out: dict[str, Callable[[], dict[str, Count]]] = {}
    for users in USERS:
        for seeds in (1, 3):
            name = f"AUC, {users.name}, " + ("one training each" if seeds == 1 else f"{seeds} seeds")
            out[name] = lambda users=users, seeds=seeds: counted(
                two_models(users, 0.0, n, seeds), two_models(users, 0.2, n, seeds)
            )
    for users in (USERS[0], USERS[1], Users("100 users, rate 5%", users=100, rows=20, rate=0.05)):
        for seeds in (2, 3, 5):
            out[f"ECE, {users.name}, {seeds} seeds"] = lambda users=users, seeds=seeds: counted(
                calibration_errors(users, 0.0, n, seeds), calibration_errors(users, 0.6, n, seeds)
            )
    for items, spread in ((1000, 0.3), (200, 0.3), (40, 0.3), (200, 0.0)):
        name = (
            f"Items, {items:,} with an error of {spread:g} each, 3 seeds"
            if spread
            else f"Items, {items} without errors"
        )
        out[name] = lambda items=items, spread=spread: counted(
            with_items(items, spread, n, 3, 0.0), with_items(items, spread, n, 3, 0.2)
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
    result["CPU seconds"] = time.process_time() - begun
    report(result, {f"{args.studies:,} studies of each kind, {result['CPU seconds']:.0f} s": table}, args.json)


if __name__ == "__main__":
    main()
