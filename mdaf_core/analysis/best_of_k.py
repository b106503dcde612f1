"""How good the best of k trials is expected to be: what more trials buy, and what fewer would have shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl


def expected_best(values: Sequence[float]) -> pl.DataFrame:
    """Expected best of k trials for k = 1 … n (Dodge et al. 2019, "Show Your Work", section 3): trials are drawn from
    those there are, each with probability 1/n, and the largest value is kept:

        E[max of k] = Σᵢ v₍ᵢ₎ · ((i/n)^k − ((i−1)/n)^k)        v₍₁₎ ≤ … ≤ v₍ₙ₎

    The band is one standard deviation of that maximum to each side, within the values there are. Drawn trials are taken
    as independent; those of a sampler that learns are not, and the curve says what these trials would show in a random
    order. As it draws with returning, its last point is below the best value (Tang et al. 2020).

    Returns:
        Columns trials (k), expected, low, high; empty without values.
    """
    v = np.sort(np.asarray(values, dtype=np.float64))
    n = len(v)
    if not np.isfinite(v).all():
        raise ValueError("values must be finite")
    k = np.arange(1, n + 1)
    edges = (np.arange(n + 1) / max(n, 1))[None, :] ** k[:, None]  # (k, n + 1)
    weight = np.diff(edges, axis=1)
    mean = weight @ v
    sd = np.sqrt(np.maximum((weight * (v[None, :] - mean[:, None]) ** 2).sum(1), 0.0)) if n else mean
    low, high = (v[0], v[-1]) if n else (0.0, 0.0)
    return pl.DataFrame(
        {"trials": k, "expected": mean, "low": np.maximum(mean - sd, low), "high": np.minimum(mean + sd, high)}
    )
