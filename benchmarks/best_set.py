"""Does the set of configurations that may be the best hold the best one? `python -m benchmarks.best_set`.

Simulated studies of 8 configurations, the first of which is the best: by a hair (all are equal: the hardest case), or
by as much as stated. Seeds and users are normal; configurations differ in how much seeds move them where that is said.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.measure import parser, report
from mdaf_core.analysis.best import Trained, p_of_best

USERS = 200


def study(
    rng: np.random.Generator, seeds: int, share: float, behind: float, uneven: bool, configurations: int = 8
) -> Trained:
    """One study; a seed's deviation is 1, the users' part of a mean `share` times the seeds' of five seeds."""
    spread = np.where(np.arange(configurations) % 2, 3.0, 1.0) if uneven else np.ones(configurations)
    own = rng.normal(size=(configurations, USERS)) * np.sqrt(share / 5 / USERS)
    each = rng.normal(size=(configurations, seeds, USERS)) * np.sqrt(0.2 / USERS)
    errors = own[:, None] + each  # what one user adds
    truth = -behind * np.arange(configurations)
    trained = truth[:, None] + spread[:, None] * rng.normal(size=(configurations, seeds)) + rng.normal(size=seeds)
    return Trained(trained + errors.sum(-1), errors - errors.mean(-1, keepdims=True), USERS)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind (default 1000)")
    arguments.add_argument("--draws", type=int, default=2000, help="of the null distribution (default 2000)")
    args = arguments.parse_args()
    begun = time.perf_counter()
    result: dict[str, Any] = {"studies": args.studies}
    table = [["seeds", "users", "each behind the one before", "seeds move them", "holds the best", "mean size"]]
    kinds = [(seeds, share, 0.0, False) for seeds in (3, 5, 10) for share in (0.0, 1.0, 10.0)]
    kinds += [(5, 1.0, 0.0, True), (5, 1.0, 0.3, False), (5, 1.0, 1.0, False)]
    for seeds, share, behind, uneven in kinds:
        rng = np.random.default_rng(4)
        held, size = 0, 0
        for _ in range(args.studies):
            p = p_of_best(study(rng, seeds, share, behind, uneven), args.draws)
            held, size = held + (p[0] >= 0.05), size + (p >= 0.05).sum()
        found = {"holds": held / args.studies, "size": size / args.studies}
        result[f"{seeds}, {share}, {behind}, {uneven}"] = found
        table.append(
            [str(seeds), f"{share:g}", f"{behind:g}", "1 or 3" if uneven else "alike", f"{found['holds']:.1%}",
             f"{found['size']:.1f}"]
        )  # fmt: skip
    result["seconds"] = time.perf_counter() - begun
    report(result, {f"{args.studies:,} studies of each kind, {result['seconds']:.0f} s": table}, args.json)


if __name__ == "__main__":
    main()
