"""Do words hold their 5% when one looks after every seed, and what is saved? `python -m benchmarks.until_decided`.

Simulated studies whose seeds are added until decided, by the program's own tests, p values of all looks, Holm and
stops. Differences paired by seed are normal; the users' part, which no seed changes, is `share` times the seeds' part
of a mean over five seeds. Effects are in deviations of one seed's difference.
"""

from __future__ import annotations

import time
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
from scipy.stats import nct, t

from benchmarks.measure import parser, report
from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.looks import WORDS, stop
from mdaf_core.analysis.sequential import ALPHA, Look, UntilDecided, crossing, smallest
from mdaf_core.analysis.significance import BP, Component, Equivalence, difference, equivalence, seed_component
from mdaf_core.analysis.verdicts import decide
from mdaf_core.metrics.values import Floats


class Quick(UntilDecided):
    """With p values of all looks from a table, straight lines between logarithms: to 1% of the value."""

    def adjusted(self, p: float | None, sides: int = 2) -> float | None:
        return None if p is None else float(np.exp(np.interp(np.log(max(p, 1e-12)), *_table(sides))))


@cache
def _table(sides: int) -> tuple[Floats, Floats]:
    p = np.concatenate([np.geomspace(1e-12, 0.5, 120), np.linspace(0.51, 1.0, 30)])
    return np.log(p), np.log([crossing(float(one), UNTIL.first, UNTIL.most, sides) for one in p])


UNTIL = Quick()
FALSE = ("better", "worse")
UNIT = 1e-3  # AUC of one deviation of a seed


class Simulated:
    """One study: configurations against a reference, looked at after every seed."""

    def __init__(
        self, rng: np.random.Generator, effects: Floats, share: float, margin: float | None, shared: bool = True
    ):
        """`margin` in deviations; `shared`: differences have the reference's seeds in common, as they do."""
        of_users = rng.normal(size=len(effects)) * np.sqrt(share / 5)
        own = rng.normal(size=(len(effects), UNTIL.most))
        if shared and len(effects) > 1:
            own = (own - rng.normal(size=UNTIL.most)) / np.sqrt(2)
        self.differences = (effects[:, None] + of_users[:, None] + own) * UNIT
        self.users = Component(name="users", variance=share / 5 * UNIT**2, df=None)
        self.margin_bp = None if margin is None else margin * UNIT / BP
        self.looks: list[list[Look]] = [[] for _ in effects]

    def look(self, n: list[int], undecided: set[int]) -> StudyComparison:
        """The program's comparison with the first n seeds of each configuration."""
        out = StudyComparison(reference="r", split="test", metric="auc", configurations=[], until=UNTIL)
        out.margin_bp = self.margin_bp
        for i, seeds in enumerate(n):
            d = self.differences[i, :seeds]
            parts = [self.users, seed_component(d)]
            test = difference(float(d.mean()), parts, "", "")
            parity = None if self.margin_bp is None else equivalence(test, self.margin_bp)
            if not self.looks[i] or self.looks[i][-1].seeds < seeds:
                p_parity = None if parity is None else parity.p
                self.looks[i].append(Look(seeds=seeds, estimate=test.estimate, p=test.p, p_parity=p_parity))
            p = UNTIL.adjusted(smallest([one.p for one in self.looks[i]]))
            test = test.model_copy(update={"p": p})
            if parity is not None:
                q = UNTIL.adjusted(smallest([one.p_parity for one in self.looks[i]]), sides=1)
                parity = Equivalence(margin=parity.margin, p=1.0 if q is None else q, low=0, high=0)
            values = dict(enumerate(map(float, d)))
            entry = ComparedConfiguration(configuration=str(i), preset="", model="", run_ids={}, values=values)
            entry.shared_seeds, entry.seed_differences, entry.looks = list(values), values, self.looks[i]
            entry.difference, entry.difference_seeds, entry.equivalence = test, test, parity
            entry.interim = "open" if i in undecided else None
            out.configurations.append(entry)
        decide(out, waiting=0)
        return out

    def run(self) -> list[tuple[str, int]]:
        """Why each configuration stopped, and with how many seeds."""
        m = len(self.differences)
        ended: dict[int, tuple[str, int]] = {}
        for seeds in range(UNTIL.first, UNTIL.most + 1):
            undecided = set(range(m)) - set(ended)
            found = self.look([ended[i][1] if i in ended else seeds for i in range(m)], undecided)
            never = sum(why not in FALSE for why, _ in ended.values())
            for i in sorted(undecided):
                if why := stop(found, str(i), seeds, never):
                    ended[i] = (why, seeds)
                    never += why not in FALSE
            if len(ended) == m:
                break
        return [ended[i] for i in range(m)]


def simulate(studies: int, effects: list[float], share: float, margin: float | None = None, seed: int = 1) -> Any:
    """Shares of studies with a word for a difference, for parity, given up; mean seeds of a configuration."""
    rng = np.random.default_rng(seed)
    count: Counter[str] = Counter()
    seeds: list[int] = []
    for _ in range(studies):
        found = Simulated(rng, np.array(effects), share, margin).run()
        words = [why for why, _ in found]
        count["difference"] += any(word in FALSE for word in words)
        count["parity"] += "parity" in words
        count["given up"] += any(word.startswith("cannot") for word in words)
        seeds += [n for _, n in found]
    return {name: count[name] / studies for name in ("difference", "parity", "given up")} | {
        "seeds": float(np.mean(seeds)), "all": seeds,
    }  # fmt: skip


def fixed_seeds(effect: float, sequences: int = 1_000_000) -> tuple[float, int]:
    """How often the looks find an effect, from many sequences of t tests without stopping for futility, and the seeds
    with which one t test paired by seed at 5% finds it as often."""
    rng, edges = np.random.default_rng(3), np.arange(1, UNTIL.most + 1)
    level, found = UNTIL.nominal(ALPHA), 0
    for _ in range(sequences // 50_000):
        x = rng.normal(size=(50_000, UNTIL.most)) + effect
        mean = x.cumsum(1) / edges
        variance = ((x**2).cumsum(1) - edges * mean**2)[:, UNTIL.first - 1 :] / (edges - 1)[UNTIL.first - 1 :]
        n = edges[UNTIL.first - 1 :]
        statistic = np.abs(mean[:, UNTIL.first - 1 :]) / np.sqrt(variance / n)
        found += int((statistic >= t.ppf(1 - level / 2, n - 1)).any(1).sum())
    power = min(found / sequences, 1 - 1 / sequences)
    for n in range(2, 200):
        edge = t.ppf(1 - ALPHA / 2, n - 1)
        if nct.sf(edge, n - 1, effect * np.sqrt(n)) >= power:
            return power, n
    return power, 200


def given_up_wrongly(studies: int, effect: float, share: float, margin: float | None) -> float:
    """Share of studies that are given up although the seeds that were not trained would have decided them."""
    rng, wrong = np.random.default_rng(7), 0
    for _ in range(studies):
        one = Simulated(rng, np.array([effect]), share, margin)
        (why, seeds), *_ = one.run()
        if not why.startswith("cannot"):
            continue
        later = [one.look([n], {0}).configurations[0].verdict for n in range(seeds + 1, UNTIL.most + 1)]
        wrong += any(word in WORDS for word in later)
    return wrong / studies


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind (default 1000)")
    args = arguments.parse_args()
    begun = time.perf_counter()
    n = args.studies
    result: dict[str, Any] = {"studies": n, "level": {}, "effect": {}, "parity": {}, "given up": {}}
    level = [["no difference", "compared", "better or worse", "given up", "mean seeds"]]
    for compared in (1, 4):
        for name, share in (("seeds alone", 0.0), ("users a tenth", 0.1), ("alike", 1.0), ("users tenfold", 10.0)):
            found = simulate(n, [0.0] * compared, share)
            found.pop("all")
            result["level"][f"{name}, {compared}"] = found
            level.append(
                [name, str(compared), f"{found['difference']:.1%}", f"{found['given up']:.1%}", f"{found['seeds']:.1f}"]
            )
    effects = [["effect, deviations", "shown", "mean seeds", "fixed design of that power", "share"]]
    for effect in (1.0, 2**0.5, 2.0, 3.0):
        found = simulate(n, [effect], 0.0)
        power, fixed = fixed_seeds(effect)
        result["effect"][effect] = {k: v for k, v in found.items() if k != "all"} | {"fixed": fixed}
        effects.append(
            [f"{effect:.3g}", f"{found['difference']:.1%}", f"{found['seeds']:.1f}", f"{fixed} ({power:.4%})",
             f"{found['seeds'] / fixed:.0%}"]
        )  # fmt: skip
    parity = [["parity", "true difference", "margin", "parity", "mean seeds"]]
    for name, share in (("seeds alone", 0.0), ("users a tenth", 0.1), ("alike", 1.0)):
        for true, margin in ((2.0, 2.0), (0.0, 2.0)):
            found = simulate(n, [true], share, margin)
            result["parity"][f"{name}, {true}"] = {k: v for k, v in found.items() if k != "all"}
            parity.append([name, f"{true:g}", f"{margin:g}", f"{found['parity']:.1%}", f"{found['seeds']:.1f}"])
    futile = [["given up, and wrongly", "effect", "margin", "of all studies"]]
    for effect, margin in ((0.0, None), (0.3, None), (0.6, None), (1.0, None), (0.0, 1.0), (0.5, 1.0)):
        wrong = given_up_wrongly(n, effect, 0.0, margin)
        result["given up"][f"{effect}, {margin}"] = wrong
        futile.append(["seeds alone", f"{effect:g}", "none" if margin is None else f"{margin:g}", f"{wrong:.1%}"])
    result["seconds"] = time.perf_counter() - begun
    title = f"{n:,} studies of each kind, {result['seconds']:.0f} s"
    report(result, {title: level, "effects": effects, "parity": parity, "given up": futile}, args.json)


if __name__ == "__main__":
    main()
