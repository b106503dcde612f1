"""Are planted effects found by a 2^(5-1), and with how many runs? `python -m benchmarks.factorial`.

Five components with effects 0, 10, 10, 30 and 30 bp and one interaction of 10 bp; one run's deviation over seeds is
10 bp, and users add their part. Beside it ablations that take out one component at a time, until the intervals are as
narrow.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.measure import parser, report
from mdaf_core.analysis.design import Design, combinations_of
from mdaf_core.analysis.factorial import effects
from mdaf_core.analysis.sampling import one_way
from mdaf_core.analysis.significance import difference, seed_component
from mdaf_core.metrics.values import Floats

BP = 1e-4
MAIN = {"a": 0.0, "b": 10.0, "c": 10.0, "d": 30.0, "e": 30.0}
TOGETHER = ("b × d", 10.0)
USERS, DEVIATION = 200, 10 * BP


def made(rng: np.random.Generator, truth: Floats, seeds: int, users: float) -> tuple[Floats, Floats]:
    """(C, S) metrics and (C, S, K) sampling errors of configurations with these true metrics."""
    own = rng.normal(size=(len(truth), 1, USERS)) * users * BP / np.sqrt(USERS)
    each = rng.normal(size=(len(truth), seeds, USERS)) * 2 * BP / np.sqrt(USERS)
    errors = own + each
    trained = truth[:, None] + DEVIATION * (rng.normal(size=(len(truth), seeds)) + rng.normal(size=seeds))
    return trained + errors.sum(-1), errors - errors.mean(-1, keepdims=True)


def factorial(studies: int, seeds: int, users: float) -> dict[str, Any]:
    """Coverage, mean width, and how often an effect is shown."""
    generators, runs = combinations_of(len(MAIN), 1)
    names = [str(i) for i in range(len(runs))]
    design = Design(
        factors={name: [] for name in MAIN}, generators=generators,
        levels=dict(zip(names, map(list, runs), strict=True)),
    )  # fmt: skip
    level = np.array(runs)
    truth = (level @ np.array(list(MAIN.values())) / 2 + level[:, 1] * level[:, 3] * TOGETHER[1] / 2) * BP
    expected = {**MAIN, TOGETHER[0]: TOGETHER[1]}
    rng = np.random.default_rng(6)
    covered: dict[str, int] = dict.fromkeys(["every effect", *expected], 0)
    shown = dict.fromkeys(expected, 0)
    width, count = 0.0, 0
    for _ in range(studies):
        x, errors = made(rng, truth, seeds, users)
        for one in effects(design, names, x, errors, USERS, "users", None):
            assert one.test is not None
            inside = one.test.low <= expected.get(one.effect, 0.0) * BP <= one.test.high
            covered["every effect"] += inside
            count += 1
            if one.effect in expected:
                covered[one.effect] += inside
                shown[one.effect] += one.verdict in ("better", "worse")
            width += 0.0 if one.together else (one.test.high - one.test.low) / 2 / len(MAIN)
    out = {name: n / (count if name == "every effect" else studies) for name, n in covered.items()}
    return {"covers": out, "shown": {n: k / studies for n, k in shown.items()}, "half": width / studies / BP,
            "runs": len(runs) * seeds}  # fmt: skip


def one_out(studies: int, seeds: int, users: float) -> float:
    """Mean half width of the interval of one component, in bp, by ablations of the program's comparison."""
    rng, width = np.random.default_rng(7), 0.0
    for _ in range(studies):
        x, errors = made(rng, np.zeros(2), seeds, users)
        _, shared = one_way(errors[0] - errors[1], "users", USERS)
        assert shared is not None
        test = difference(0.0, [shared, seed_component(x[0] - x[1])], "", "")
        width += (test.high - test.low) / 2
    return width / studies / BP


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind (default 1000)")
    args = arguments.parse_args()
    begun = time.perf_counter()
    result: dict[str, Any] = {"studies": args.studies}
    table = [["seeds", "users, bp", "every effect covers", *(f"{n} covers, shown" for n in (*MAIN, TOGETHER[0])),
              "half width, bp", "runs", "one out: runs for it", "share"]]  # fmt: skip
    for seeds, users in ((2, 0.0), (2, 5.0), (3, 5.0)):
        found = factorial(args.studies, seeds, users)
        needed = next(s for s in range(2, 200) if s == 199 or one_out(200, s, users) <= found["half"])
        many = needed * (len(MAIN) + 1)
        result[f"{seeds}, {users}"] = {**found, "one out": many}
        each = [f"{found['covers'][n]:.1%}, {found['shown'][n]:.0%}" for n in (*MAIN, TOGETHER[0])]
        more = ">" if needed == 199 else ""
        table.append([str(seeds), f"{users:g}", f"{found['covers']['every effect']:.1%}", *each, f"{found['half']:.1f}",
                      str(found["runs"]), f"{more}{many}", f"{found['runs'] / many:.0%}"])  # fmt: skip
    result["seconds"] = time.perf_counter() - begun
    report(result, {f"{args.studies:,} studies of each kind, {result['seconds']:.0f} s": table}, args.json)


if __name__ == "__main__":
    main()
