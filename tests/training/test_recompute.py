"""A run of an earlier version is asked anew: new columns, the recorded logits untouched; or refused."""

from __future__ import annotations

import polars as pl
import pytest
from safetensors.torch import load_file, save_file

from mdaf_core.analysis.adaptivity import contributions
from mdaf_core.base.errors import StudioError
from mdaf_core.runs import tracking
from mdaf_core.runs.presets import get_preset
from mdaf_core.training.fit import train
from mdaf_core.training.recompute import recompute
from tests.conftest import new_home

QUICK = {"training.max_epochs": 1, "training.warmup_epochs": 0, "training.batch_size": 4096, "model.fusion_dim": 8}
SMALL = {"item_dim": 4, "category_dim": 4, "hidden_dim": 8, "static_dim": 4, "blocks": 1}
OLD = ["row_id", "user", "label", "timestamp", "history_length", "logit", "probability", "g", "logit_static",
       "logit_sequential"]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory, empty_store, give_tiny):
    with pytest.MonkeyPatch.context() as patch:
        dataset = give_tiny(new_home(tmp_path_factory.mktemp("shared") / "artifacts", patch, empty_store))
        config = get_preset("mdaf-bst").with_overrides(QUICK | {f"model.sequential.{k}": v for k, v in SMALL.items()})
        yield tracking.get_run(train(config, dataset, 1).run_id)


def test_an_old_run_is_asked_anew(run):
    path = run.directory / "predictions" / "test.parquet"
    whole = pl.read_parquet(path)
    old = whole.select(OLD).with_columns(logit_g_mean="logit", logit_g_permuted="logit")
    old.write_parquet(path)
    assert contributions([run]).gate.verdict == "one permutation only"
    recompute(run)
    anew = pl.read_parquet(path)
    assert anew["logit"].equals(old["logit"]) and set(anew.columns) == set(whole.columns)
    assert contributions([run]).gate.verdict != "one permutation only"
    assert contributions([run]).history is not None


def test_another_model_is_refused_and_nothing_changes(run):
    weights = run.directory / "weights.safetensors"
    kept, before = weights.read_bytes(), (run.directory / "predictions" / "test.parquet").read_bytes()
    tensors = {name: tensor.clone() for name, tensor in load_file(weights).items()}
    tensors["out.bias"] += 1.0
    try:
        save_file(tensors, weights)
        with pytest.raises(StudioError, match="predicts otherwise now"):
            recompute(run)
    finally:
        weights.write_bytes(kept)
    assert (run.directory / "predictions" / "test.parquet").read_bytes() == before
