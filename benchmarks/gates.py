"""Planted truths: does the gate test find adaptive gates and only those, and does occlusion find the planted event?

    python -m benchmarks.gates --home /tmp/gates          20 seeds; those trained already are not trained again

Method: for each seed a data set of 60,000 synthetic rows is generated (`synthetic tiny` with three times its rows and
users; half of the users click by their history, half by their taste, so that a gate has something true to find) and
mdaf-full, its sequential branch half as wide, is trained on it for three epochs. Its gate then gets its word
(`evaluation.adaptivity`), as the Gates page gives it:

- **adaptive**: the gate as learned. Truth: adaptive, since the weight of the history differs between the users.
- **constant**: a module in the place of the gate gives the gate's mean to every row. Truth: not adaptive.
- **shuffled**: a module in the place of the gate gives each row another row's g. Truth: not adaptive, since the
  prediction knows nothing of its own row's g.

How often gates that do not choose are called adaptive is counted by `benchmarks.gate_level`, without training.

Occlusion: the synthetic truth has a sequential part (`data/formats/synthetic.py`). Without an event of the history
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
from mdaf_core.data.formats import synthetic

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from mdaf_core.data.store.dataset import PreparedDataset
    from mdaf_core.models.mdaf import MDAF
    from mdaf_core.runs.tracking import RunRecord

STUDY = "gates-benchmark"
SIZE: Any = "tiny"
MORE_ROWS = replace(synthetic.SIZES[SIZE], rows=(42_000, 9_000, 9_000), users=450)
SETTINGS = {"training.max_epochs": 3, "training.warmup_epochs": 0, "training.batch_size": 256,
            "training.learning_rate": 0.002, "model.sequential.hidden_dim": 64}  # fmt: skip
NULLS = ("constant", "shuffled")


def trained(seed: int) -> tuple[RunRecord, PreparedDataset]:
    """mdaf-full on a data set of its own, both made from `seed`."""
    from mdaf_core.data.prepare.pipeline import prepare
    from mdaf_core.data.store.dataset import PreparedDataset, list_datasets
    from mdaf_core.runs import tracking
    from mdaf_core.runs.presets import get_preset
    from mdaf_core.training.fit import train

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

    from mdaf_core.runs.config import TrainingConfig
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


# --- the planted relevant event ---------------------------------------------------------------------------------------


def planted_effects(history: NDArray[np.int64], category: int, following: NDArray[np.int64]) -> NDArray[np.float64]:
    """(L,) by how much the sequential part falls without each event. `history`: (L,) categories, newest first."""
    from mdaf_core.data.formats.synthetic import RECENT, sequential_part

    variants = [history, *(np.delete(history, k) for k in range(len(history)))]
    recent = np.full((len(variants), RECENT), -1)
    for row, events in zip(recent, variants, strict=True):
        row[: min(RECENT, len(events))] = events[:RECENT]
    part = sequential_part(recent, np.full(len(variants), category), following)
    return part[0] - part[1:]


def occlusion(run: RunRecord, dataset: PreparedDataset, seed: int, rows: int) -> list[dict[str, Any]]:
    """For `rows` random test rows that have a relevant event: segment, length, whether the story ranks it first."""
    from mdaf_core.analysis.story import row_story
    from mdaf_core.data.formats.synthetic import SyntheticOptions, following_categories

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


def one_seed(seed: int, rows: int) -> dict[str, Any]:
    """Verdicts and costs (bp) of the gates, and the rows of the occlusion."""
    from mdaf_core.analysis.adaptivity import describe
    from mdaf_core.analysis.effects import effects_of
    from mdaf_core.models.weights import load_model
    from mdaf_core.runs.config import RunConfig
    from mdaf_core.runs.predictions import load_predictions

    run, dataset = trained(seed)
    config = RunConfig.model_validate_json((run.directory / "config.json").read_text())
    model: Any = load_model(config.model, dataset.meta.features(), run.directory / "weights.safetensors")
    frames = {"adaptive": load_predictions(run.run_id, "test")}
    mean = float(frames["adaptive"]["g"].mean())  # type: ignore[arg-type]
    frames |= {kind: with_gate(model, dataset, kind, seed, mean) for kind in NULLS}
    found: dict[str, Any] = {"seed": seed, "auc": run.result.test.auc if run.result else None}
    for kind, frame in frames.items():
        effects = effects_of([frame], [seed]).model_copy(update={"gated": True, "fusion": "gate"})
        told = describe(effects).gate
        found[kind] = {"verdict": told.verdict if told else None}
        for name, effect in effects.effects.items():
            found[kind][name] = [x / 1e-4 for x in (effect.test.estimate, effect.test.low, effect.test.high)]
    found["occlusion"] = occlusion(run, dataset, seed, rows)
    return found


def tables(found: list[dict[str, Any]]) -> dict[str, list[list[Any]]]:
    costs = ("g_median", "g_shuffled", "g_within_user", "choice", "main_of_g")
    gates: list[list[Any]] = [["gate", "truth", "right", *(f"{name}, bp" for name in costs)]]
    for kind in ("adaptive", *NULLS):
        adaptive = [f[kind]["verdict"] in ("adaptive", "adaptive between users") for f in found]
        right = sum(word == (kind == "adaptive") for word in adaptive)
        known = [[f[kind][name][0] for f in found if name in f[kind]] for name in costs]
        ranges = [f"{min(c):.1f} to {max(c):.1f}" if c else "" for c in known]
        gates.append([kind, "adaptive" if kind == "adaptive" else "not", f"{right} of {len(found)}", *ranges])
    events: list[list[Any]] = [["rows", "number", "found first", "by chance"]]
    every = [row for f in found for row in f["occlusion"]]
    groups = {"all": every} | {s: [r for r in every if r["segment"] == s] for s in ("session", "habit")}
    for name, rows in groups.items():
        right, chance = np.mean([r["found"] for r in rows]), np.mean([r["tied"] / r["events"] for r in rows])
        events.append([name, len(rows), f"{right:.1%}", f"{chance:.1%}"])
    return {"Verdicts": gates, "Occlusion": events}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, required=True, help="folder for data sets and runs")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=200, help="rows of each seed whose events are left out in turn")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of tables")
    options = parser.parse_args()
    os.environ["MDAF_HOME"] = str(options.home.resolve())
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    found = []
    for seed in range(options.seeds):
        found.append(one_seed(seed, options.rows))
        shown = {kind: found[-1][kind]["verdict"] for kind in ("adaptive", *NULLS)}
        right = np.mean([row["found"] for row in found[-1]["occlusion"]])
        print(f"seed {seed}: {shown}, occlusion {right:.0%}", file=sys.stderr, flush=True)
    report({"seeds": found}, tables(found), options.json)


if __name__ == "__main__":
    main()
