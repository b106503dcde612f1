"""How long the tests over rows take at the report's size: `python -m benchmarks.tests_of_rows`."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.measure import parser, report, seconds
from mdaf_core.analysis.significance import bootstrap_auc, delong, paired_auc

ROWS = 225_446


def main() -> None:
    args = parser(__doc__, steps=5).parse_args()
    rng = np.random.default_rng(0)
    label = rng.random(ROWS) < 0.05
    base = rng.normal(size=ROWS) + 0.25 * label
    scores = base + 0.3 * rng.normal(size=(8, ROWS))
    a, b = scores[:2]
    user = rng.integers(0, 100_000, ROWS)
    few = rng.integers(0, 20_000, ROWS)
    measured: dict[str, Any] = {
        "DeLong, 2 models": seconds(lambda: delong(label, scores[:2]).difference(0, 1), args.steps),
        "DeLong clustered by 100,000 users": seconds(lambda: paired_auc(label, a, b, user), args.steps),
        "DeLong, 8 models with covariance": seconds(lambda: delong(label, scores), args.steps),
        "bootstrap, 100,000 users, 2,000 resamples": seconds(lambda: bootstrap_auc(label, a, b, user, 2000), 1),
        "bootstrap, 20,000 users, 2,000 resamples": seconds(lambda: bootstrap_auc(label, a, b, few, 2000), 1),
    }
    table = [["what", "seconds"], *([name, value] for name, value in measured.items())]
    report({"rows": ROWS, "seconds": measured}, {f"Two models on {ROWS:,} rows, 5% positives": table}, args.json)


if __name__ == "__main__":
    main()
