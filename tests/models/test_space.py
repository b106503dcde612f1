"""What a search tries of settings: as it is typed, and as every preset's own class declares it."""

from __future__ import annotations

import pytest

from mdaf_core.base.errors import UsageError
from mdaf_core.models.space import Choice, Range, parse
from mdaf_core.runs.presets import get_preset, preset_names
from mdaf_core.studies.tuning.spaces import ALL, changes, check_space, further, parse_change, rows, spaces_of


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=0..0.5", Range(low=0, high=0.5)),
        ("a = 1e-4..1e-2 log", Range(low=1e-4, high=1e-2, log=True)),
        ("a=0.1 .. 0.12345678", Range(low=0.1, high=0.12345678)),
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
    "text",
    [
        "a",
        "=1..2",
        "a=2..1",
        "a=0..1 log",
        "a=0..1 odd",
        "a=3",
        "a=x..y",
        "a=[[1",
        "a=1..inf",
        "a=8,8",
        "a=1..2.5 whole",
    ],
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


def test_spaces_are_changed_in_those_that_have_the_setting_and_in_one():
    configs = [get_preset("dcnv2"), get_preset("lr"), get_preset("gbdt")]
    asked = ["lr:training.learning_rate=1e-3,1e-2", "model.dropout=0.1..0.2", "training.weight_decay=",
             "training.learning_rate=1e-4..1e-3 log", "gbdt : model.num_leaves="]  # fmt: skip
    first, second, third = spaces_of(configs, map(parse_change, asked))
    assert first["model.dropout"] == Range(low=0.1, high=0.2) and "model.dropout" not in second
    assert "training.weight_decay" not in first and "model.num_leaves" not in third
    assert first["training.learning_rate"] == Range(low=1e-4, high=1e-3, log=True)
    assert second["training.learning_rate"] == Choice(values=[1e-3, 1e-2])  # of one goes before of all
    assert "training.learning_rate" not in third and "model.min_data_in_leaf" in third  # trees have no such training
    refused = {
        "model.nothing=1,2": "in any of these",
        "lr:model.dropout=1,2": "no setting .* in lr",
        "gbdt:training.patience=1,2": "no setting .* in gbdt",
        "name=a,b": "no setting 'name'",
        "x:model.dropout=": "no configuration 'x'",
    }
    for text, said in refused.items():
        with pytest.raises(UsageError, match=said):
            spaces_of(configs, [parse_change(text)])
    with pytest.raises(UsageError, match="whole numbers"):
        check_space(configs[0], {"model.cross_layers": Range(low=1, high=4)})
    with pytest.raises(UsageError, match="dropout"):
        check_space(configs[0], {"model.dropout": Range(low=0, high=1.5)})


def test_the_form_changes_all_or_one():
    configs = [get_preset("dcnv2"), get_preset("lr")]
    typed = {ALL: {"training.learning_rate": "1e-3, 1e-2", "model.cross_layers": "1..3 whole"},
             "lr": {"training.learning_rate": "", "training.patience": "2..1"}, "gone": {"model.x": "1"}}  # fmt: skip
    first = {row.path: row for row in rows(configs, typed, "dcnv2")}
    assert first["training.learning_rate"].text == "1e-3, 1e-2" and not first["training.learning_rate"].changed
    assert first["model.dropout"].text == "0..0.5" and "training.patience" not in first
    second = {row.path: row for row in rows(configs, typed, "lr")}
    assert second["training.learning_rate"].text == "" and second["training.learning_rate"].changed
    assert second["training.learning_rate"].hint == f"stays {get_preset('lr').training.learning_rate:g}"
    assert "a smaller to a larger" in second["training.patience"].refused and "model.cross_layers" not in second
    assert "model.cross_layers" not in further(configs, typed, ALL) and "training.patience" in further(configs, {}, ALL)
    assert further(configs, {}, "lr")["training.schedule"].count(",") >= 1
    with pytest.raises(UsageError, match=r"training\.patience"):
        list(changes(configs, typed))
    del typed["lr"]["training.patience"]
    one, other = spaces_of(configs, changes(configs, typed))
    assert one["model.cross_layers"].words == "1..3 whole" and "training.learning_rate" not in other
