"""What a search tries of settings: as it is typed, and as every preset's own class declares it."""

from __future__ import annotations

import pytest

from mdaf_core.base.errors import UsageError
from mdaf_core.models.space import Choice, Range, parse
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.studies.tuning.begin import check_space, spaces_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=0..0.5", Range(low=0, high=0.5)),
        ("a = 1e-4..1e-2 log", Range(low=1e-4, high=1e-2, log=True)),
        ("a=7..255 whole log", Range(low=7, high=255, log=True, whole=True)),
        ("a=8,16,32", Choice(values=[8, 16, 32])),
        ("a=[8, 16]", Choice(values=[8, 16])),
        ("a=mean,last", Choice(values=["mean", "last"])),
        ("a=true,null", Choice(values=[True, None])),
        ("a=[[64],[256, 128]]", Choice(values=[[64], [256, 128]])),
        ("a=", None),
    ],
)
def test_as_it_is_typed(text, expected):
    assert parse(text) == ("a", expected)
    if expected is not None:
        assert parse(f"a={expected.words}") == ("a", expected)


@pytest.mark.parametrize(
    "text", ["a", "=1..2", "a=2..1", "a=0..1 log", "a=0..1 odd", "a=3", "a=x..y", "a=[[1", "a=1..inf"]
)
def test_what_cannot_be_tried_is_said(text):
    with pytest.raises(UsageError, match="search space"):
        parse(text)


def test_every_preset_takes_what_is_tried_of_it():
    for name in preset_names():
        config = get_preset(name)
        space = config.space()
        check_space(config, space)
        assert 2 <= len(space) <= 8, name


def test_spaces_are_changed_in_those_that_have_the_setting():
    configs = [get_preset("dcnv2"), get_preset("lr"), get_preset("gbdt")]
    first, second, third = spaces_of(configs, ["model.dropout=0.1..0.2", "training.weight_decay="])
    assert first["model.dropout"] == Range(low=0.1, high=0.2) and "model.dropout" not in second
    assert "training.weight_decay" not in first and "training.learning_rate" in second
    assert "training.learning_rate" not in third and "model.num_leaves" in third  # trees have no such training
    with pytest.raises(UsageError, match=r"no setting 'model\.nothing'"):
        spaces_of(configs, ["model.nothing=1,2"])
    with pytest.raises(UsageError, match="whole numbers"):
        check_space(configs[0], {"model.cross_layers": Range(low=1, high=4)})
    with pytest.raises(UsageError, match="dropout"):
        check_space(configs[0], {"model.dropout": Range(low=0, high=1.5)})
