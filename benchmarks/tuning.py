"""What unequal budgets make of two copies of one model; do killed searches try the same? `python -m benchmarks.tuning`.

Simulated: a run's quality is its setting's effect and the luck of its seed (deviation 1); figures on validation and
test rows add errors of their own users. Effects are what a setting lacks to the model's best, exponential. Winners are
chosen on validation. Read naively, the winners' own test figures are compared by the errors of users; by the protocol
the winners are trained anew on fresh seeds and compared by the program's own test of seeds and users. `--kills 10`
searches twice on real jobs, once with its workers killed that often, and compares the trials.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from typing import Any

import numpy as np

from benchmarks.measure import parser, report
from mdaf_core.analysis.significance import Component, difference, seed_component

UNIT = 1e-3  # AUC of one deviation of a seed


def winner(rng: np.random.Generator, trials: int, effect: float, users: float) -> tuple[float, float, float]:
    """Effect, validation and test figure of the trial that is best on validation, in deviations of a seed."""
    effects = -effect * rng.exponential(size=trials) if effect else np.zeros(trials)
    quality = effects + rng.normal(size=trials)
    validation = quality + users * rng.normal(size=trials)
    best = int(validation.argmax())
    return float(effects[best]), float(validation[best]), float(quality[best] + users * rng.normal())


def is_called(values: np.ndarray, users: float) -> bool:
    """Whether the program's test calls a difference, of a value a seed, better or worse; of one seed, users alone."""
    parts = [Component(name="users", variance=2 * users**2 * UNIT**2, df=None)]
    parts += [seed_component(values * UNIT)] if len(values) > 1 else []
    p = difference(float(values.mean()) * UNIT, parts, "", "").p
    return p is not None and p < 0.05


def simulate(studies: int, budgets: tuple[int, int], effect: float, users: float, seeds: int) -> dict[str, float]:
    """Shares of studies in which one of two copies of a model is called better than the other."""
    rng = np.random.default_rng(1)
    naive = larger = confirmed = 0
    for _ in range(studies):
        (own, val, test), (other, other_val, other_test) = (winner(rng, k, effect, users) for k in budgets)
        naive += is_called(np.array([other_test - test]), users)
        larger += other_val > val
        shared = users * np.sqrt(2) * rng.normal()  # the errors of users are those of the rows, whatever the seed
        confirmed += is_called(other - own + shared + np.sqrt(2) * rng.normal(size=seeds), users)
    return {"naive": naive / studies, "more trials ahead": larger / studies, "protocol": confirmed / studies}


def killed(kills: int) -> dict[str, Any]:
    """Two searches alike on real jobs, the second with its workers killed; whether settings and figures agree."""
    os.environ |= {"MDAF_HOME": tempfile.mkdtemp(), "MDAF_THREADS": "1", "MDAF_SLOTS": "2"}
    import mdaf_core.tasks  # noqa: F401  (names the program that runs what is queued)
    from mdaf_core.data.prepare.pipeline import prepare
    from mdaf_core.queue import api
    from mdaf_core.runs.presets import get_preset
    from mdaf_core.studies.tuning import begin, found, going, search, spaces

    prepare("synthetic", path=None, name="tiny", options={"size": "tiny"})
    short = ["training.max_epochs=4", "training.batch_size=128"]
    configs = [get_preset(name).with_overrides(short) for name in ("dcnv2", "lr")]

    def run(kills: int) -> tuple[list[Any], int, int]:
        one = begin.begin(
            definition="own", dataset="tiny", configs=configs, spaces=spaces.spaces_of(configs), trials=4, seeds=[42]
        )
        rng, done, next_kill = np.random.default_rng(3), 0, time.monotonic() + 2
        while search.get(one.id).study is None:
            running = [job for job in api.list_jobs(["running"], group=one.id) if job.pid and job.progress.get("step")]
            if done < kills and running and time.monotonic() > next_kill:
                os.kill(int(running[rng.integers(len(running))].pid or 0), signal.SIGKILL)
                done, next_kill = done + 1, time.monotonic() + 1 + rng.exponential()
            if any(job.state == "failed" for job in api.list_jobs(group=one.id)):
                going.resume(one.id)
            time.sleep(0.2)
        told = found.tried(search.get(one.id))
        api.cancel_all(api.list_jobs(api.ACTIVE))
        attempts = sum(job.attempts for job in api.list_jobs(group=one.id))
        return [(t.trial.settings, t.value, t.epochs) for mine in told.values() for t in mine], done, attempts

    alone, _, _ = run(0)
    again, done, attempts = run(kills)
    return {"trials": len(alone), "kills": done, "attempts": attempts, "same": alone == again}


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies of each kind (default 1000)")
    arguments.add_argument(
        "--kills", type=int, default=0, help="of the workers of a real search (default 0: no search)"
    )
    args = arguments.parse_args()
    result: dict[str, Any] = {"studies": args.studies, "simulated": {}}
    rows = [
        ["trials", "effects", "users' errors", "fresh seeds", "read naively", "more trials ahead", "by the protocol"]
    ]
    for budgets, effect, users, seeds in (
        ((5, 50), 0.0, 0.5, 3), ((5, 50), 0.0, 1.0, 3), ((5, 50), 0.0, 0.5, 5), ((20, 20), 0.0, 0.5, 3),
        ((5, 50), 1.0, 0.5, 3), ((20, 20), 1.0, 0.5, 3), ((20, 20), 1.0, 0.5, 5), ((5, 50), 1.0, 0.5, 5),
    ):  # fmt: skip
        found = simulate(args.studies, budgets, effect, users, seeds)
        result["simulated"][f"{budgets}, {effect}, {users}, {seeds}"] = found
        rows.append(
            [f"{budgets[0]} and {budgets[1]}", f"{effect:g}", f"{users:g}", str(seeds), f"{found['naive']:.1%}",
             f"{found['more trials ahead']:.1%}", f"{found['protocol']:.1%}"]
        )  # fmt: skip
    tables = {f"{args.studies:,} studies of each kind, in deviations of a seed": rows}
    if args.kills:
        result["killed"] = found_of = killed(args.kills)
        tables["a search that was killed"] = [list(found_of), [str(value) for value in found_of.values()]]
    report(result, tables, args.json)
    if not result.get("killed", {}).get("same", True):
        sys.exit(1)


if __name__ == "__main__":
    main()
