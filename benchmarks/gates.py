"""Planted truths: does the gate test find adaptive gates and only those, and does occlusion find the planted event?

    python -m benchmarks.gates --home /tmp/gates          20 seeds; those trained already are not trained again

Method: for each seed a data set of 60,000 synthetic rows is generated (`synthetic tiny` with three times its rows and
users; half of the users click by their history, half by their taste, so that a gate has something true to find) and
mdaf-full, its sequential branch half as wide, is trained on it for three epochs. Its gate is then tested by
`evaluation.gates.adaptivity`, as the Gates page does:

- **adaptive**: the gate as learned. Truth: adaptive, since the weight of the history differs between the users.
- **constant**: a module in the place of the gate gives the gate's mean to every row. Truth: not adaptive.
- **shuffled**: a module in the place of the gate gives each row another row's g. Truth: not adaptive, since the
  prediction knows nothing of its own row's g.

How often the test calls a gate adaptive that is not is measured by more draws of such gates for each seed: shuffled
ones, and **jitter**, the hardest null: g is the mean ± 0.01, drawn at random, where neither replacement costs or
gains anything on average.

Occlusion: the synthetic truth has a sequential part (`data/sources/synthetic.py`). Without an event of the history
that part has another value; the *planted relevant event* of a row is the one whose absence lowers it most, that is,
whose absence lowers the true log-odds of a click most. Several can tie (of two neighbours of the target's category
either stands in for the other): each of them counts as relevant. A row has one if some event's absence lowers the
part, and if there are two events at least. The row's story (`evaluation.story.row_story`) finds it if the event with
the largest effect on the logit is a relevant one. Rows are drawn at random from the test rows that have one, of both
kinds of users. By chance a random event would be right as often as the column says.
"""

from __future__ import annotations

import argparse
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from benchmarks.measure import report
from mdaf_core.data.sources import synthetic

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from mdaf_core.data.dataset import PreparedDataset
    from mdaf_core.models.mdaf import MDAF
    from mdaf_core.tracking import RunRecord

STUDY = "gates-benchmark"
SIZE: Any = "tiny"
MORE_ROWS = replace(synthetic.SIZES[SIZE], rows=(42_000, 9_000, 9_000), users=450)
SETTINGS = {"training.max_epochs": 3, "training.warmup_epochs": 0, "training.batch_size": 256,
            "training.learning_rate": 0.002, "model.sequential.hidden_dim": 64}  # fmt: skip
NULLS = ("constant", "shuffled")
JITTER = 0.01


def trained(seed: int) -> tuple[RunRecord, PreparedDataset]:
    """mdaf-full on a data set of its own, both made from `seed`."""
    from mdaf_core import tracking
    from mdaf_core.data.dataset import PreparedDataset, list_datasets
    from mdaf_core.data.prepare import prepare
    from mdaf_core.training.fit import train
    from mdaf_core.training.presets import get_preset

    name = f"synthetic-{SIZE}-{seed}"
    if name not in list_datasets():
        synthetic.SIZES[SIZE] = MORE_ROWS
        prepare("synthetic", options={"size": SIZE, "seed": seed}, name=name)
    dataset = PreparedDataset.open(name)
    config = get_preset("mdaf-full").with_overrides(SETTINGS)
    done = [r for r in tracking.list_runs(STUDY) if r.state == "finished" and r.seed == seed and r.dataset == name]
    if not done:
        result = train(config, dataset, seed, study=STUDY)
        return tracking.get_run(result.run_id), dataset
    return done[0], dataset


def with_gate(model: MDAF, dataset: PreparedDataset, kind: str, seed: int, mean: float) -> pl.DataFrame:
    """Test predictions of the trained model with another module in the place of its gate."""
    import torch

    from mdaf_core.training.config import TrainingConfig
    from mdaf_core.training.predict import predict

    random = torch.Generator().manual_seed(seed)

    class Replaced(torch.nn.Module):
        def forward(self, static_BD: torch.Tensor, sequential_BD: torch.Tensor) -> torch.Tensor:
            if kind == "constant":
                return torch.full_like(static_BD[:, :1], mean)
            assert learned is not None
            return learned(static_BD, sequential_BD)[torch.randperm(len(static_BD), generator=random)]

    learned, rows = model.fusion, dataset.rows("test")
    model.fusion = Replaced()
    try:
        columns = predict(model, dataset, "test", TrainingConfig())
    finally:
        model.fusion = learned
    return pl.DataFrame({"user": np.asarray(rows.user), "label": np.asarray(rows.label), **columns})


def false_alarms(model: MDAF, dataset: PreparedDataset, seed: int, draws: int) -> dict[str, int]:
    """How many of `draws` gates that know nothing of their rows are called adaptive. Branches are computed once."""
    import torch

    from mdaf_core.data.loader import BatchLoader
    from mdaf_core.evaluation.gates import adaptivity

    rows, random = dataset.rows("test"), torch.Generator().manual_seed(1000 + seed)
    frame = pl.DataFrame({"user": np.asarray(rows.user), "label": np.asarray(rows.label)})
    with torch.inference_mode():
        pairs = [model.branches(batch) for batch in BatchLoader(dataset, "test", 2048)]
        static_ND, sequential_ND = (torch.cat(side) for side in zip(*pairs, strict=True))
        learned_N = model.fuse(static_ND, sequential_ND).gate_B

        def logit(gate_N: torch.Tensor) -> NDArray[np.float64]:
            return model.fuse(static_ND, sequential_ND, gate_N).logit_B.double().numpy()

        def shuffle(gate_N: torch.Tensor) -> torch.Tensor:
            return gate_N[torch.randperm(len(gate_N), generator=random)]

        assert learned_N is not None
        mean_N = learned_N.mean().expand(len(learned_N))
        alone = {"logit_static": logit(torch.zeros_like(mean_N)), "logit_sequential": logit(torch.ones_like(mean_N))}
        found = {}
        for kind in ("shuffled", "jitter"):
            found[kind] = 0
            for _ in range(draws):
                noise_N = JITTER * torch.randn(len(mean_N), generator=random)
                gate_N = shuffle(learned_N) if kind == "shuffled" else mean_N + noise_N
                answers = {"logit": gate_N, "logit_g_mean": gate_N.mean().expand_as(gate_N),
                           "logit_g_permuted": shuffle(gate_N)}  # fmt: skip
                columns = {name: logit(given) for name, given in answers.items()}
                found[kind] += adaptivity(frame.with_columns(**columns, **alone)).verdict == "adaptive"
    return found


# --- the planted relevant event ---------------------------------------------------------------------------------------


def planted_effects(history: NDArray[np.int64], category: int, following: NDArray[np.int64]) -> NDArray[np.float64]:
    """(L,) by how much the sequential part falls without each event. `history`: (L,) categories, newest first."""
    from mdaf_core.data.sources.synthetic import RECENT, sequential_part

    variants = [history, *(np.delete(history, k) for k in range(len(history)))]
    recent = np.full((len(variants), RECENT), -1)
    for row, events in zip(recent, variants, strict=True):
        row[: min(RECENT, len(events))] = events[:RECENT]
    part = sequential_part(recent, np.full(len(variants), category), following)
    return part[0] - part[1:]


def occlusion(run: RunRecord, dataset: PreparedDataset, seed: int, rows: int) -> list[dict[str, Any]]:
    """For `rows` random test rows that have a relevant event: segment, length, whether the story ranks it first."""
    from mdaf_core.data.sources.synthetic import SyntheticOptions, following_categories
    from mdaf_core.evaluation.story import row_story

    synthetic.SIZES[SIZE] = MORE_ROWS
    following = following_categories(SyntheticOptions(size=SIZE, seed=seed))
    ids = dict(dataset.vocabulary("category").select("code", pl.col("id").cast(pl.Int64) - 1).iter_rows())
    test, out = dataset.rows("test"), []
    for position in np.random.default_rng(seed).permutation(len(test)):
        start, end = int(test.history_start[position]), int(test.history_end[position])
        codes = dataset.events["category"][max(start, end - 50) : end][::-1]
        if len(codes) < 2:
            continue
        history = np.array([ids[int(code)] for code in codes])
        effects = planted_effects(history, ids[int(test.columns["category"][position])], following)
        if effects.max() < 1e-9:
            continue
        story = row_story(run, "test", int(test.row_id[position]))
        found = np.array([event.effect_logit for event in story.history])
        relevant = effects > effects.max() - 1e-9
        first = int(found.argmax())
        out.append({
            "segment": str(test.columns["segment"][position]), "events": len(history), "tied": int(relevant.sum()),
            "found": bool(relevant[first]),
        })  # fmt: skip
        if len(out) == rows:
            break
    return out


# --- all seeds --------------------------------------------------------------------------------------------------------


def one_seed(seed: int, rows: int, draws: int) -> dict[str, Any]:
    """Verdicts and costs (bp) of the gates, false alarms, and the rows of the occlusion."""
    from mdaf_core.evaluation.gates import adaptivity
    from mdaf_core.evaluation.predictions import load_predictions
    from mdaf_core.models.weights import load_model
    from mdaf_core.training.config import RunConfig

    run, dataset = trained(seed)
    config = RunConfig.model_validate_json((run.directory / "config.json").read_text())
    model: Any = load_model(config.model, dataset.meta.features(), run.directory / "weights.safetensors")
    frames = {"adaptive": load_predictions(run.run_id, "test")}
    mean = float(frames["adaptive"]["g"].mean())  # type: ignore[arg-type]
    frames |= {kind: with_gate(model, dataset, kind, seed, mean) for kind in NULLS}
    found: dict[str, Any] = {"seed": seed, "auc": run.result.test.auc if run.result else None}
    for kind, frame in frames.items():
        test = adaptivity(frame)
        costs = {r.name: [x / 1e-4 for x in (r.test.estimate, r.test.low, r.test.high)] for r in test.replacements}
        found[kind] = {"verdict": test.verdict, **costs}
    found["false_alarms"] = false_alarms(model, dataset, seed, draws)
    found["occlusion"] = occlusion(run, dataset, seed, rows)
    return found


def tables(found: list[dict[str, Any]], draws: int) -> dict[str, list[list[Any]]]:
    gates: list[list[Any]] = [["gate", "truth", "right", "cost of the mean, bp", "cost of shuffling, bp"]]
    for kind, truth in (("adaptive", "adaptive"), *((kind, "not adaptive on this data") for kind in NULLS)):
        costs = {name: [f[kind][name][0] for f in found] for name in ("mean", "permuted")}
        right = sum(f[kind]["verdict"] == truth for f in found)
        ranges = [f"{min(c):.1f} to {max(c):.1f}" for c in costs.values()]
        gates.append([kind, truth.removesuffix(" on this data"), f"{right} of {len(found)}", *ranges])
    alarms: list[list[Any]] = [["gate", "draws", "called adaptive", "share"]]
    for kind in ("shuffled", "jitter"):
        count = sum(f["false_alarms"][kind] for f in found)
        alarms.append([kind, draws * len(found), count, f"{count / max(1, draws * len(found)):.1%}"])
    events: list[list[Any]] = [["rows", "number", "found first", "by chance"]]
    every = [row for f in found for row in f["occlusion"]]
    groups = {"all": every} | {s: [r for r in every if r["segment"] == s] for s in ("session", "habit")}
    for name, rows in groups.items():
        right, chance = np.mean([r["found"] for r in rows]), np.mean([r["tied"] / r["events"] for r in rows])
        events.append([name, len(rows), f"{right:.1%}", f"{chance:.1%}"])
    return {"Verdicts": gates, "Gates that know nothing of their rows": alarms, "Occlusion": events}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="folder for data sets and runs")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=200, help="rows of each seed whose events are left out in turn")
    parser.add_argument("--draws", type=int, default=25, help="further shuffled and jittered gates of each seed")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    os.environ["MDAF_HOME"] = str(options.home.resolve())
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    found = []
    for seed in range(options.seeds):
        found.append(one_seed(seed, options.rows, options.draws))
        shown = {kind: found[-1][kind]["verdict"] for kind in ("adaptive", *NULLS)}
        right = np.mean([row["found"] for row in found[-1]["occlusion"]])
        print(f"seed {seed}: {shown}, occlusion {right:.0%}", file=sys.stderr, flush=True)
    report({"seeds": found}, tables(found, options.draws), options.json)


if __name__ == "__main__":
    main()
