"""Do words keep their 5% when people look early, or look at everything? `python -m benchmarks.interim`.

Studies without any difference. First: one or three configurations against a reference, looked at after each of five
seeds; a word for a difference at any look is false. Second: one configuration against a reference on two splits by six
metrics, through the files and functions that the program itself uses; a word for a difference without a mark is false.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
import time
from collections import Counter
from typing import Any

import numpy as np
import polars as pl

from benchmarks.calibration import Rows
from benchmarks.measure import parser, report
from mdaf_core.analysis.compared import ComparedConfiguration, StudyComparison
from mdaf_core.analysis.plan import seeds_done
from mdaf_core.analysis.significance import Component, difference, seed_component
from mdaf_core.analysis.verdicts import decide
from mdaf_core.base.files import write_json
from mdaf_core.runs.presets import get_preset
from mdaf_core.runs.results import RunResult
from mdaf_core.runs.split_metrics import split_metrics
from mdaf_core.runs.tracking import RunRecord, run_directory
from mdaf_core.studies import results
from mdaf_core.studies.store import create_study

FALSE = ("better", "worse")
SEEDS = 5
USERS_SHARE = {"seeds matter most": 0.1, "seeds and users alike": 1.0, "users matter most": 10.0}


def look(differences: np.ndarray, users: float, planned: int | None) -> list[str]:
    """The program's words for (C, S) differences paired by seed, the users' shared variance being known."""
    seeds = list(range(differences.shape[1]))
    entries = []
    for i, row in enumerate(differences):
        both = [Component(name="users", variance=users), seed_component(row)]
        entries.append(
            ComparedConfiguration(
                configuration=f"c{i}",
                preset="",
                model="",
                run_ids={},
                values=dict(zip(seeds, row, strict=True)),
                shared_seeds=seeds,
                difference=difference(float(row.mean()), both, "", ""),
                difference_seeds=difference(float(row.mean()), both[1:], "", ""),
                interim=None if planned is None else seeds_done(range(planned), seeds, planned),
            )
        )
    out = StudyComparison(reference="r", split="test", metric="auc", configurations=entries)
    decide(out, waiting=0)
    return [c.verdict for c in out.configurations]


def looks(share: float, others: int, studies: int) -> dict[str, float]:
    """How often a look gives a word for a difference where none exists.

    Args:
        share: the users' variance over the seeds'; others: configurations that are compared with the reference.
    """
    rng = np.random.default_rng(12)
    found: Counter[str] = Counter()
    users = share / SEEDS  # of the mean: as large as the seeds' part of it at a share of 1
    for _ in range(studies):
        reference = rng.normal(size=SEEDS)
        of_users = np.sqrt(users / 2) * (rng.normal(size=(others, 1)) - rng.normal())
        d = (rng.normal(size=(others, SEEDS)) - reference) / np.sqrt(2) + of_users
        for name, planned in (("each look a verdict", None), ("a verdict when planned seeds are done", SEEDS)):
            said = [look(d[:, :n], users, planned) for n in range(2, SEEDS + 1)]
            found[name] += any(word in FALSE for words in said for word in words)
        found["the last look alone"] += any(word in FALSE for word in look(d, users, SEEDS))
    return {name: count / studies for name, count in found.items()}


def choices(studies: int, seeds: int = 3) -> dict[str, float]:
    """How often any of six metrics on two splits gives a word for a difference, and one without a mark."""
    found: Counter[str] = Counter()
    rng = np.random.default_rng(13)
    rows = Rows(users=150, rows=5.0, rate=0.3)
    for _ in range(studies):
        home = tempfile.mkdtemp(prefix="mdaf-interim-")
        os.environ["MDAF_HOME"] = home
        try:
            words = _study(rng, rows, seeds)
        finally:
            shutil.rmtree(home)
        found["any of 6 metrics × 2 splits"] += any(word.startswith(FALSE) for word in words)
        found["any without a mark"] += any(word in FALSE for word in words)
    return {name: count / studies for name, count in found.items()}


def _study(rng: np.random.Generator, rows: Rows, seeds: int) -> list[str]:
    configs = [get_preset("lr"), get_preset("dcnv2")]
    study = create_study(
        title="", definition="own", dataset="null", configurations=configs, seeds=range(seeds), reference="lr"
    )
    drawn = {split: rows.draw(rng) for split in ("val", "test")}
    runs = []
    noise = {
        split: [0.9 * label + 0.5 * rng.normal(size=len(label)), 0.4 * rng.normal(size=(2, int(user.max()) + 1))]
        for split, (label, user) in drawn.items()
    }
    for c, config in enumerate(configs):
        for seed in range(seeds):
            run_id = f"{c * seeds + seed + 1:032x}"
            folder = run_directory(run_id)
            (folder / "predictions").mkdir(parents=True)
            metrics = {}
            for split, (label, user) in drawn.items():
                common, own = noise[split]
                logit = common + own[c][user] + 0.4 * rng.normal(size=len(label)) - 1
                metrics[split] = split_metrics(label, logit, user)
                n = len(label)
                frame = {
                    "row_id": np.arange(n),
                    "user": user,
                    "label": label.astype(np.uint8),
                    "timestamp": np.arange(n),
                }
                frame |= {
                    "history_length": np.zeros(n, np.int32),
                    "logit": logit,
                    "probability": 1 / (1 + np.exp(-logit)),
                }
                pl.DataFrame(frame).write_parquet(folder / "predictions" / f"{split}.parquet")
            result = RunResult(
                run_id=run_id, preset=config.preset, configuration=config.name, seed=seed, dataset="null", best_epoch=1,
                stopped="", epochs=[], val=metrics["val"], test=metrics["test"], rows_per_second=1.0, parameters=1,
            )  # fmt: skip
            write_json(folder / "result.json", result.model_dump(mode="json"))
            record = {"run_id": run_id, "study": study.id, "configuration": config.name, "preset": config.preset}
            record |= {"model": config.model.kind, "seed": seed, "dataset": "null", "fingerprint": "f" * 16}
            record |= {"state": "finished", "reason": "", "started": float(seed), "ended": float(seed) + 1}
            runs.append(RunRecord(**record))
    return [
        word
        for split in ("val", "test")
        for metric in metrics()
        if metric != "normalised_entropy"  # log loss over a constant: the same tests
        for word in results.compare(study, runs, split=split, metric=metric).frame()["marked"]  # type: ignore[arg-type]
    ]


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--studies", type=int, default=1000, help="simulated studies (default 1000)")
    arguments.add_argument("--choices", type=int, default=1000, help="of those looked at by everything (default 1000)")
    args = arguments.parse_args()
    begun = time.perf_counter()
    result: dict[str, Any] = {"studies": args.studies, "choices": args.choices, "looks": {}, "metrics": {}}
    table: list[list[Any]] = [["null studies", "words", "some false word"]]
    for others, (name, share) in itertools.product((1, 3), USERS_SHARE.items() if args.studies else ()):
        what = f"5 seeds, {others} compared, {name}"
        result["looks"][what] = looks(share, others, args.studies)
        table += [[what, words, f"{rate:.1%}"] for words, rate in result["looks"][what].items()]
    if args.choices:
        result["metrics"] = choices(args.choices)
        table += [
            ["3 seeds, planned: AUC on test rows", words, f"{rate:.1%}"] for words, rate in result["metrics"].items()
        ]
    result["seconds"] = time.perf_counter() - begun
    report(result, {f"{args.studies:,} and {args.choices:,} studies, {result['seconds']:.0f} s": table}, args.json)


if __name__ == "__main__":
    main()
