"""Do the tests keep their level, and the intervals cover? Simulated studies: `python -m benchmarks.calibration`."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from benchmarks.measure import parser, report
from mdaf_core.analysis.sampling import one_way
from mdaf_core.analysis.signed_rank import signed_rank
from mdaf_core.analysis.significance import (
    BP,
    Difference,
    bootstrap_auc,
    delong,
    difference,
    equivalence,
    holm,
    seed_component,
    seed_summary,
)
from mdaf_core.metrics.auc import auc, hanley_mcneil_se

Floats = NDArray[np.float64]
AUC = 0.65
DIFFERENCE = 0.05  # between the two models where one is better; also the margin of equivalence then
Count = Counter[str]


@dataclass(frozen=True)
class Rows:
    """Rows of users: labels, and what scores are made of. Score = quality · label + noise of total sd 1.

    Attributes:
        users: how many; rows: of each on average (geometric: many users with one row, few with many).
        common, own: share of the noise's variance that is the user's, in all models alike and in each by itself.
    """

    users: int = 400
    rows: float = 5.0
    rate: float = 0.2
    common: float = 0.1
    own: float = 0.15

    def draw(self, rng: np.random.Generator) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """(N,) labels and users. Users differ in their rate of positives."""
        size = rng.geometric(1 / self.rows, self.users)
        user = np.repeat(np.arange(self.users), size)
        rate = rng.beta(4 * self.rate, 4 * (1 - self.rate), self.users)
        return rng.random(len(user)) < rate[user], user


def quality(area: float) -> float:
    """Separation of labels that gives this AUC where noise has sd 1: Φ(d/√2) = AUC."""
    return float(np.sqrt(2) * ndtri(area))


def pairs(
    rows: Rows, better: float, studies: int, seed: int
) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.int64], Floats]]:
    """Labels, users and the (2, N) scores of two models, the first better by `better` in AUC."""
    rng = np.random.default_rng(seed)
    for _ in range(studies):
        label, user = rows.draw(rng)
        n = len(label)
        base = np.sqrt(rows.common) * rng.normal(size=rows.users)[user]
        base = base + np.sqrt(0.5 - rows.common) * rng.normal(size=n)
        own = np.sqrt(rows.own) * rng.normal(size=(2, rows.users))[:, user]
        own = own + np.sqrt(0.5 - rows.own) * rng.normal(size=(2, n))
        separation = np.array([[quality(AUC + better)], [quality(AUC)]])
        yield label, user, separation * label + base + own


def two_models(rows: Rows, studies: int, replicates: int) -> dict[str, Count]:
    """Rejections, coverage and parity at the margin for one pair of trained models a study."""
    found: dict[str, Count] = {}
    for better in (0.0, DIFFERENCE):
        for label, user, scores in pairs(rows, better, studies, seed=1):
            tests: dict[str, Difference] = {
                "DeLong": delong(label, scores).difference(0, 1),
                "jackknife over users": delong(label, scores, user).difference(0, 1),
            }
            if replicates:
                tests["bootstrap over users"] = bootstrap_auc(label, *scores, user, replicates)
            for name, test in tests.items():
                count(found.setdefault(name, Counter()), test, better)
    return found


def count(into: Count, test: Difference, truth: float) -> None:
    """One study's test where the true difference is `truth`: 0, or the margin of its equivalence test."""
    if truth == 0:
        into["null"] += 1
        into["rejected"] += test.p is not None and test.p < 0.05
    else:
        into["true"] += 1
        into["covered"] += test.low <= truth <= test.high
        if test.components:
            into["at margin"] += 1
            into["parity"] += equivalence(test, truth / BP).p < 0.05


@dataclass(frozen=True)
class Trainings:
    """How much of the noise is whose; variances, of a total of 1. `trained`: sd over seeds of the separation itself.

    Attributes:
        configuration: the user's in each configuration, whatever the seed; seed: the row's, in each training anew.
    """

    name: str
    configuration: float
    seed: float
    trained: float


KINDS = (
    Trainings("configurations alike, seeds differ by row", 0.0, 0.3, 0.0),
    Trainings("seeds differ in quality", 0.05, 0.2, 0.08),
    Trainings("users and seeds alike", 0.1, 0.3, 0.03),
    Trainings("users matter most", 0.3, 0.05, 0.0),
)


def over_seeds(kind: Trainings, seeds: int, configurations: int, studies: int) -> dict[str, Count]:
    """The same for studies of `configurations` (the last is the reference) with some seeds each."""
    rows = Rows()
    rng = np.random.default_rng(2)
    found: dict[str, Count] = {}
    spread = np.sqrt(2 + kind.trained**2)  # of the difference of a positive's and a negative's score, over seeds too
    separation = np.array([spread * ndtri(AUC + better) for better in (DIFFERENCE, 0.0)])
    for better in (0.0, DIFFERENCE):
        for _ in range(studies):
            label, user = rows.draw(rng)
            shape = (configurations if better == 0 else 2, seeds)
            of_row = np.sqrt(1 - kind.configuration - kind.seed) * rng.normal(size=len(label))
            of_user = np.sqrt(kind.configuration) * rng.normal(size=(shape[0], 1, rows.users))[:, :, user]
            of_seed = np.sqrt(kind.seed) * rng.normal(size=(*shape, len(label)))
            mean = np.full((shape[0], 1), separation[1])
            mean[0] = separation[0] if better else separation[1]
            d = mean + kind.trained * rng.normal(size=shape)
            made = delong(label, (d[..., None] * label + of_row + of_user + of_seed).reshape(-1, len(label)), user)
            areas = made.aucs.reshape(shape)
            differences = areas[:-1] - areas[-1]
            errors = made.errors.reshape(*shape, -1)
            tests = [crossed(d, e - errors[-1], made.units) for d, e in zip(differences, errors[:-1], strict=True)]
            count(found.setdefault("seeds × users (the verdict's)", Counter()), tests[0], better)
            alone = difference(float(differences[0].mean()), [seed_component(differences[0])], "", "")
            count(found.setdefault("t test over seeds alone", Counter()), alone, better)
            if better == 0 and len(tests) > 1:
                family = found.setdefault(f"any of {len(tests)} verdicts (Holm)", Counter())
                family["null"] += 1
                family["rejected"] += any(p is not None and p < 0.05 for p in holm([t.p for t in tests]))
    return found


def crossed(differences: Floats, errors: Floats, units: int) -> Difference:
    """The verdict's test: differences (S,) of the seeds and their sampling errors (S, K) over users."""
    shared = one_way(errors, "users", units)[1]
    return difference(float(differences.mean()), [c for c in (shared,) if c] + [seed_component(differences)], "", "")


def on_given_rows(seeds: int, studies: int) -> dict[str, Count]:
    """Tests over seeds alone where seeds are all that varies: AUCs normal around each configuration's."""
    rng = np.random.default_rng(3)
    found: dict[str, Count] = {}
    for better in (0.0, DIFFERENCE):
        shared = rng.normal(0, 0.003, (studies, seeds))
        differences = better + rng.normal(0, 0.01, (studies, seeds))
        for row, base in zip(differences, AUC + shared, strict=True):
            count(
                found.setdefault("t test paired by seed", Counter()),
                difference(row.mean(), [seed_component(row)], "", ""),
                better,
            )
            ranks = signed_rank(row)
            into = found.setdefault("Wilcoxon's signed-rank test", Counter())
            into["null" if better == 0 else "true"] += ranks.low is not None or better == 0
            into["rejected"] += better == 0 and ranks.p < 0.05
            if better and ranks.low is not None and ranks.high is not None:
                into["covered"] += ranks.low <= better <= ranks.high
            if better:
                summary = seed_summary(base)
                into = found.setdefault("t interval of a mean over seeds", Counter())
                into["true"] += 1
                into["covered"] += (summary.low or 0) <= AUC <= (summary.high or 1)
    return found


def one_model(studies: int) -> dict[str, Count]:
    """Intervals of a single AUC: DeLong's by rows and by user, and Hanley and McNeil's from three figures."""
    found: dict[str, Count] = {}
    independent = Rows(users=2000, rows=1.0, rate=0.1, common=0.0, own=0.0)
    for name, rows in (("rows of their own", independent), ("rows of users", Rows(common=0.3, own=0.0))):
        for label, user, scores in pairs(rows, 0.0, studies, seed=4):
            area, m = auc(label, scores[0]), int(label.sum())
            errors = {
                "Hanley-McNeil": hanley_mcneil_se(area, m, len(label) - m),
                "DeLong": float(np.sqrt(delong(label, scores[0]).covariance[0, 0])),
                "jackknife over users": float(np.sqrt(delong(label, scores[0], user).covariance[0, 0])),
            }
            for method, se in errors.items():
                into = found.setdefault(f"{method}, {name}", Counter())
                into["true"] += 1
                into["covered"] += abs(area - AUC) <= 1.96 * se
    return found


def shares(found: Count) -> dict[str, float | None]:
    """Rejection under the null, coverage, parity claimed at the margin; None where not simulated."""
    parts = {"rejects": ("rejected", "null"), "covers": ("covered", "true"), "parity": ("parity", "at margin")}
    return {name: found[part] / found[whole] if found[whole] else None for name, (part, whole) in parts.items()}


def scenarios(args: argparse.Namespace) -> dict[str, Callable[[], dict[str, Count]]]:
    n = args.studies
    out: dict[str, Callable[[], dict[str, Count]]] = {
        "Two models, rows independent": lambda: two_models(Rows(users=2000, rows=1.0), n, args.replicates),
        "Two models, 5 rows a user, dependent": lambda: two_models(Rows(), n, args.replicates),
        "Two models, 12 rows a user, dependent": lambda: two_models(
            Rows(users=300, rows=12.0, own=0.3), n, args.replicates
        ),
        "Two models, 20 users of 12 rows, dependent": lambda: two_models(
            Rows(users=20, rows=12.0, own=0.3), n, args.replicates
        ),
        "One AUC": lambda: one_model(n),
    }
    for seeds in (3, 5, 8):
        out[f"{seeds} seeds on given rows"] = lambda seeds=seeds: on_given_rows(seeds, n)
    for seeds in (2, 3, 5):
        for kind in KINDS:
            out[f"{seeds} seeds, {kind.name}"] = lambda kind=kind, seeds=seeds: over_seeds(kind, seeds, 4, n)
    return out


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind (default 1000)")
    arguments.add_argument(
        "--replicates", type=int, default=1000, help="resamples of a bootstrap (default 1000; 0: none)"
    )
    arguments.add_argument("--only", default="", help="scenarios whose name contains this (default all)")
    args = arguments.parse_args()
    result: dict[str, Any] = {"studies": args.studies, "scenarios": {}}
    table: list[list[Any]] = [["studies", "method", "rejects, no difference", "covers", "parity at the margin"]]
    begun = time.perf_counter()
    for title, run in scenarios(args).items():
        if args.only not in title:
            continue
        found = {method: shares(counts) for method, counts in run().items()}
        result["scenarios"][title] = found
        table += [[title, m, *("–" if v is None else f"{v:.1%}" for v in s.values())] for m, s in found.items()]
    result["seconds"] = time.perf_counter() - begun
    report(result, {f"{args.studies:,} studies of each kind, {result['seconds']:.0f} s": table}, args.json)


if __name__ == "__main__":
    main()
