"""How often is a gate called adaptive that is not, and does the word hang on its shuffles? Nothing is trained.

    python -m benchmarks.gate_level               300 studies a line, a few minutes

A study: 2,000 rows of 250 users (or one user with 30% of them), two seeds. Two branches speak for a row, each a noisy
opinion, new noise every seed; the prediction is (1 − g) · static + g · sequential. The columns are made as those of a
trained model (`training/replaced.py`), the word is `analysis/adaptivity.py`'s.

- **noise**: g is 0.5 ± 0.1 at random, new for each seed. Truth: not adaptive.
- **another row's**: each user has a better branch; g says which it is for another row. Not adaptive.
- **taste**: g is a function of user and row that has nothing to do with which branch is better, the same for all seeds.
  Not adaptive: it costs nothing, on average, to replace it.
- **score**: the branches say nothing, g is the classifier. It must not be called adaptive.
- **weak**: g says a little about the better branch. Truth: adaptive, rarely shown; its mean cost is the margin of the
  third word, so that "costs less than the margin" is false, or just so.

Flips: of one trained model with a weak gate, how often two draws of the shuffles differ in whether a cost is shown,
with one shuffle and with twenty.
"""

from __future__ import annotations

import argparse
import sys
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import torch

from benchmarks.measure import report
from mdaf_core.analysis.adaptivity import describe
from mdaf_core.analysis.effects import Effects, effects_of
from mdaf_core.analysis.margins import Margin
from mdaf_core.analysis.significance import BP
from mdaf_core.training import replaced
from mdaf_core.training.replaced import Fused, branch_columns

if TYPE_CHECKING:
    from numpy.typing import NDArray

ROWS, USERS, SEEDS = 2_000, 250, 2
NULLS = ("noise", "another row's", "taste", "score")
WEAK = 0.04  # by how much g leans to the better branch


def gate(kind: str, rng: np.random.Generator, right: NDArray[np.bool_], taste: NDArray[Any]) -> NDArray[np.float64]:
    """(N,) g of one seed; `right`: the static branch is the better one; `taste`: fixed for the study."""
    if kind == "noise":
        return 0.5 + 0.1 * rng.normal(size=ROWS)
    if kind == "another row's":
        return np.where(rng.permutation(right), 0.3, 0.7)
    if kind == "taste":
        return 1 / (1 + np.exp(-taste))
    return 0.5 + np.where(right, -WEAK, WEAK) + 0.1 * rng.normal(size=ROWS)


def study(
    kind: str, seed: int, concentrated: bool, draws: tuple[int, ...] = (0,), repeats: int = SEEDS
) -> list[Effects]:
    """The effects of one simulated study, for each seed of the shuffles."""
    rng = np.random.default_rng([seed, NULLS.index(kind) if kind in NULLS else 9])
    user = rng.integers(0, USERS, ROWS)
    if concentrated:
        user[rng.random(ROWS) < 0.3] = 0
    of_user = 0.7 * rng.normal(size=USERS)[user]
    label = rng.random(ROWS) < 1 / (1 + np.exp(1 - of_user))
    right, taste = rng.random(USERS)[user] < 0.5, rng.normal(size=USERS)[user] + 0.5 * rng.normal(size=ROWS)
    seeds = []
    for _ in range(repeats):
        noise = rng.normal(size=(2, ROWS))
        static = of_user + noise[0] + np.where(right, 1.0, 0.2) * label
        sequential = of_user + noise[1] + np.where(right, 0.2, 1.0) * label
        g = gate(kind, rng, right, taste)
        if kind == "score":
            static, sequential = -3 + 0.1 * noise[0], 3 + 0.1 * noise[1]
            g = 1 / (1 + np.exp(-(label + of_user + rng.normal(size=ROWS))))
        seeds.append((static, sequential, g))
    return [effects_of([columns(*one, label, user, draw) for one in seeds], range(repeats)) for draw in draws]


def columns(
    static: NDArray[Any], sequential: NDArray[Any], g: NDArray[Any], label: NDArray[Any], user: NDArray[Any], draw: int
) -> pl.DataFrame:
    """Predictions of one seed, as a trained model leaves them."""
    s, q, weight = (torch.tensor(values, dtype=torch.float64) for values in (static, sequential, g))
    static_N2, sequential_N2 = torch.stack([s, weight], 1), torch.stack([q, weight], 1)

    def answer(static_B2: torch.Tensor, sequential_B2: torch.Tensor, gate_B1: torch.Tensor | None) -> torch.Tensor:
        given = static_B2[:, 1:] if gate_B1 is None else gate_B1  # the gate's own g lies beside the opinion
        return torch.lerp(static_B2, sequential_B2, given)[:, 0]

    fused = Fused(lambda index: (static_N2[index], sequential_N2[index]), answer, weight.unsqueeze(1))
    logit = (1 - g) * static + g * sequential
    asked = branch_columns(fused, label, logit, user, seed=draw)
    return pl.DataFrame({"user": user, "label": label, "g": g, "logit": logit, **asked})


def word(effects: Effects, margin: Margin | None = None) -> str:
    found = describe(effects.model_copy(update={"gated": True, "fusion": "gate"}), margin).gate
    assert found is not None
    return found.verdict


def levels(studies: int, concentrated: bool) -> list[list[Any]]:
    """One line a kind: how often each word is given."""
    out = []
    for kind in NULLS:
        given = [word(study(kind, seed, concentrated)[0]) for seed in range(studies)]
        of = {name: given.count(name) / studies for name in ("adaptive", "adaptive between users", "g acts as a score")}
        out.append(
            [kind, "one user has 30%" if concentrated else "ordinary", studies, *(f"{x:.1%}" for x in of.values())]
        )
        print(out[-1], file=sys.stderr, flush=True)
    return out


def third_word(studies: int, concentrated: bool) -> list[Any]:
    """Of weak gates, with their own mean cost as the margin: how often it is called less than that."""
    found = [study("weak", seed, concentrated)[0] for seed in range(studies)]
    costs = [np.mean([e.effects[name].test.estimate for e in found]) / BP for name in ("g_median", "g_shuffled")]
    margin = Margin(size=max(float(min(costs)), 0.01))
    given = [word(effects, margin) for effects in found]
    shares = [
        f"{given.count(name) / studies:.1%}" for name in ("below the margin", "adaptive", "adaptive between users")
    ]
    who = "one user has 30%" if concentrated else "ordinary"
    return [who, studies, f"{costs[0]:.0f}, {costs[1]:.0f}", f"{margin.size:.0f}", *shares]


def flips(studies: int, draws: int) -> list[list[Any]]:
    """Of weak gates: how often two draws of the shuffles differ in whether a cost is shown, and the costs' range."""
    out = []
    before = replaced.DRAWS
    try:
        for shuffles in (1, 20):
            replaced.DRAWS = shuffles
            different, spread = [], []
            for seed in range(studies):
                tests = [
                    e.effects["g_shuffled"].test for e in study("weak", seed, False, tuple(range(draws)), repeats=1)
                ]
                shown = [test.p is not None and test.p < 0.05 and test.estimate > 0 for test in tests]
                different.append(np.mean([a != b for a, b in combinations(shown, 2)]))
                spread.append(np.ptp([test.estimate for test in tests]) / BP)
            out.append([shuffles, studies, f"{np.mean(different):.1%}", f"{np.mean(spread):.0f}"])
    finally:
        replaced.DRAWS = before
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=300)
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    replaced.BRANCH_DRAWS = (1, 1, 1)  # the words asked for here do not rest on them
    n = options.studies
    tables: dict[str, list[list[Any]]] = {
        "Gates that do not choose": [
            ["g", "users", "studies", "adaptive", "between users", "as a score"],
            *(line for concentrated in (False, True) for line in levels(n, concentrated)),
        ],
        "Weak gates, margin at their own cost": [
            ["users", "studies", "costs, bp", "margin, bp", "less than the margin", "adaptive", "between users"],
            *(third_word(n, concentrated) for concentrated in (False, True)),
        ],
        "Two draws of the shuffles": [
            ["shuffles", "studies", "verdicts differ", "range of the cost over 6 draws, bp"],
            *flips(max(20, n // 8), 6),
        ],
    }
    report({name: lines for name, lines in tables.items()}, tables, options.json)


if __name__ == "__main__":
    main()
