"""Are words across data sets false more often than they may be? `python -m benchmarks.across`.

Differences of D data sets are drawn as `analysis.across` sees them: a true difference of the data set (all alike, or
normal with the stated spread), the sampling error over users that all seeds share, and S seeds; the standard error of a
data set is 1, or as `SPREADS` says. Without a true mean difference: share of studies with p < 5%. Beside the program's
two tests stand those of meta-analyses: Hartung and Knapp's (2001) with weights from DerSimonian and Laird's variance
(1986), plain and never below the fixed model's, and the normal test with the same weights. Last, how often a mean
difference of three standard errors is found.
"""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.measure import parser, report
from mdaf_core.analysis.across import average_elsewhere, average_here
from mdaf_core.analysis.significance import Component, Difference, difference, seed_component

USERS = 60  # degrees of freedom of the users' part
SPREADS = {"alike": (1.0,) * 6, "unequal": (1, 3, 2, 1, 3, 2), "one of 10": (10, 1, 1, 1, 1, 1)}
TESTS = ("here", "elsewhere", "Hartung-Knapp", "modified", "normal")


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind (default 1000)")
    args = arguments.parse_args()
    begun = time.perf_counter()
    rng = np.random.default_rng(18)
    result: dict[str, Any] = {"studies": args.studies}
    table = [["data sets", "seeds", "errors", "users' share", "spread of truths", *TESTS, "found here", "elsewhere"]]
    for count, seeds, spread, share, tau in product((2, 3, 6), (2, 3, 5), SPREADS, (0.2, 0.8), (0.0, 2.0)):
        if (tau and spread == "unequal") or (share == 0.8 and spread == "unequal") or (seeds == 5 and tau):
            continue
        errors = np.array(SPREADS[spread][:count], float)
        null = [_tests(rng, errors, seeds, share, tau, 0.0) for _ in range(args.studies)]
        size = 3.0 * float(np.sqrt((errors**2).sum()) / count)
        some = [_tests(rng, errors, seeds, share, tau, size)[:2] for _ in range(args.studies // 4)]
        level, found = (np.array(null) < 0.05).mean(0), (np.array(some) < 0.05).mean(0)
        result[f"{count}, {seeds}, {spread}, {share}, {tau}"] = dict(zip(TESTS, level.tolist(), strict=True))
        shown = [f"{x:.1%}" for x in level] + [f"{x:.0%}" for x in found]
        table.append([str(count), str(seeds), spread, f"{share:g}", f"{tau:g}", *shown])
    levels = [one for key, one in result.items() if key != "studies"]
    highest = ["highest", "", "", "", "", *(f"{max(one[name] for one in levels):.1%}" for name in TESTS), "", ""]
    result["seconds"] = time.perf_counter() - begun
    report(result, {f"{args.studies:,} studies of each kind, {result['seconds']:.0f} s": [*table, highest]}, args.json)


def _tests(
    rng: np.random.Generator, errors: np.ndarray, seeds: int, share: float, tau: float, size: float
) -> tuple[float, ...]:
    """p values of one study: here (of the mean of these data sets' true differences), elsewhere, and the others'."""
    true = rng.normal(size, tau, len(errors)) if tau else np.full(len(errors), size)
    found = []
    for truth, error in zip(true, errors, strict=True):
        of_users = error**2 * share
        values = truth + rng.normal(0, of_users**0.5) + rng.normal(0, (seeds * error**2 * (1 - share)) ** 0.5, seeds)
        users = Component(name="users", variance=of_users * rng.chisquare(USERS) / USERS, df=USERS)
        found.append(difference(float(values.mean()), [users, seed_component(values)], "", ""))
    here = average_here(found)
    elsewhere = average_elsewhere(found, here)
    about = here.estimate - float(true.mean()) + size  # the question here is of these data sets' own mean
    centred = difference(about, here.components, "", "")
    return (_p(centred), _p(elsewhere), *_meta(found))


def _p(test: Difference) -> float:
    return 1.0 if test.p is None else test.p


def _meta(found: list[Difference]) -> tuple[float, float, float]:
    """Hartung-Knapp, modified Hartung-Knapp, and the normal test, with DerSimonian and Laird's weights."""
    value, variance = np.array([d.estimate for d in found]), np.array([d.se**2 for d in found])
    fixed = 1 / variance
    df = len(value) - 1
    q = float((fixed * (value - np.average(value, weights=fixed)) ** 2).sum())
    between = max(0.0, (q - df) / (fixed.sum() - (fixed**2).sum() / fixed.sum()))
    weight = 1 / (variance + between)
    mean = np.average(value, weights=weight)
    scale = float((weight * (value - mean) ** 2).sum() / df)
    se = float(weight.sum() ** -0.5)
    plain = 2 * stats.t.sf(abs(mean) / (se * scale**0.5), df)
    modified = 2 * stats.t.sf(abs(mean) / (se * max(1.0, scale) ** 0.5), df)
    return float(plain), float(modified), float(2 * stats.norm.sf(abs(mean) / se))


if __name__ == "__main__":
    main()
