"""Presets, overrides and their errors."""

from __future__ import annotations

import pytest

from mdaf_core.base.errors import UsageError
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset, preset_names


@pytest.mark.parametrize("name", preset_names())
def test_presets_survive_json(name: str) -> None:
    config = get_preset(name)
    assert RunConfig.model_validate_json(config.model_dump_json()) == config


def test_presets_are_copies() -> None:
    get_preset("dcnv3").training.max_epochs = 1
    assert get_preset("dcnv3").training.max_epochs == 20


def test_overrides_reach_nested_settings() -> None:
    config = get_preset("mdaf-full").with_overrides(["training.max_epochs=2", "model.sequential.blocks=1"])
    assert config.training.max_epochs == 2
    assert config.model.sequential.blocks == 1  # type: ignore[union-attr]
    assert get_preset("mdaf-full").with_overrides(["model.sequential.kind=bst"]).model.sequential.heads == 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.max_epochs=0", "training.max_epochs must be at least 1; it is 0"),
        ("training.max_epoch=3", "no setting 'training.max_epoch'"),
        ("model.dropout=1.5", "model.dropout must be below 1; it is 1.5"),
        ("nothing.at.all=1", "'nothing' does not exist"),
        ("training.max_epochs", "looks like training.max_epochs=2"),
        ("model.kind=magic", "magic"),
        ("training.max_epochs=" + "9" * 5000, "training.max_epochs must be a whole number"),
        ("training.max_epochs=" + "[" * 5000, "training.max_epochs must be a whole number"),
    ],
)
def test_bad_overrides_say_what_is_wrong(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        get_preset("dcnv3").with_overrides([override])


def test_unknown_preset_lists_the_known() -> None:
    with pytest.raises(UsageError, match="mdaf-full"):
        get_preset("mdaf")


def test_histories_may_be_ten_thousand_events_long_or_all() -> None:
    config = get_preset("bst").with_overrides(["training.max_history=all"])
    assert config.training.max_history == 10_000
    with pytest.raises(UsageError, match="max_history must be at most 10000; it is 10001"):
        config.with_overrides(["training.max_history=10001"])


@pytest.mark.parametrize(("history", "meaning"), [(50, None), (200, 50), (1000, 50)])
def test_what_was_stored_before_features_told_more_events_apart_keeps_them_as_they_were(history, meaning) -> None:
    now = get_preset("mamba4rec-v2").with_overrides({"training.max_history": history})
    assert now.training.match_events is None
    stored = now.model_dump(mode="json")
    del stored["training"]["match_events"]
    before = RunConfig.model_validate(stored)
    assert before.training.match_events == meaning
    assert RunConfig.model_validate_json(before.model_dump_json()) == before
    assert RunConfig.model_validate_json(now.model_dump_json()) == now


@pytest.mark.parametrize(("encoding", "meaning"), [("stream", 1.0), ("window", None)])
def test_what_was_stored_before_ids_had_a_rate_of_their_own_keeps_the_common_one(encoding, meaning) -> None:
    stored = get_preset("mamba4rec-v2").with_overrides({"training.history_encoding": encoding}).model_dump(mode="json")
    assert RunConfig.model_validate(stored).training.embedding_rate is None
    del stored["training"]["embedding_rate"]
    before = RunConfig.model_validate(stored)
    assert before.training.embedding_rate == meaning
    assert RunConfig.model_validate_json(before.model_dump_json()) == before
