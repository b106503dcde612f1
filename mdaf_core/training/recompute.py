"""Asking a trained model anew: predictions that an earlier version left without some of today's columns."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mdaf_core.base.errors import StudioError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import EVALUATED, Split
from mdaf_core.runs import files
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.tracking import RunRecord, artifact

TOLERANCE = 1e-3
"""Of a logit: other versions of the libraries round differently, other weights or data differ by more."""


def recompute(run: RunRecord, say: Callable[[str], None] = lambda _: None) -> None:
    """Predict both splits again with the run's weights and put the predictions in the place of the old ones.

    The recorded logits stay what they are, so that no metric moves; every other column is new.

    Raises:
        UsageError: the run has no weights, no predictions, or its data set is gone.
        StudioError: the data set was prepared anew with other content, the weights are damaged, or the model does not
            predict what it predicted when it was trained.
    """
    from mdaf_core.runs.predictions import dataset_of, load_predictions, write_predictions

    config = files.load_config(artifact(run.run_id, "config.json"))
    for split in EVALUATED:
        dataset, recorded = dataset_of(run, split), load_predictions(run.run_id, split)
        say(f"{run.configuration}, seed {run.seed}: asking the model about {len(recorded):,} {split} rows.")
        columns = _ask(run, config, dataset, split)
        logit = recorded["logit"].to_numpy()
        apart = float(np.abs(columns["logit"] - logit).max(initial=0.0))
        if apart > TOLERANCE:
            raise StudioError(
                f"Run {run.run_id[:8]} predicts otherwise now than when it was trained (logits differ by up to "
                f"{apart:.3g} on {split} rows): its weights or the machine's arithmetic are not those of the run. "
                "Nothing was changed; train it again."
            )
        path = artifact(run.run_id, f"predictions/{split}.parquet")
        write_predictions(path, dataset.rows(split), columns | {"logit": logit}, config.training.max_history)


def _ask(run: RunRecord, config: RunConfig, dataset: PreparedDataset, split: Split) -> dict[str, np.ndarray]:
    if config.model.grown:
        import lightgbm as lgb

        from mdaf_core.training.gbdt import MODEL, predict_gbdt

        booster = lgb.Booster(model_file=str(artifact(run.run_id, MODEL)))
        return predict_gbdt(booster, config, dataset, split)
    from mdaf_core.models.weights import load_model
    from mdaf_core.training.neural import WEIGHTS, device_name
    from mdaf_core.training.predict import predict

    weights = artifact(run.run_id, WEIGHTS)
    model = load_model(config.model, dataset.meta.features(), weights, device_name())
    return predict(model, dataset, split, config.training)
