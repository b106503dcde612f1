"""What is wrong with a setting is said in people's words, with the path that `--set` takes."""

from __future__ import annotations

from enum import Enum
from typing import Literal

import pytest
from pydantic import BaseModel

from mdaf_core.base.errors import UsageError
from mdaf_core.data.formats.base import parse_options
from mdaf_core.data.formats.registry import get_source
from mdaf_core.models.base import ModelSettings
from mdaf_core.runs.presets import get_preset

SETTINGS = [
    ("training.learning_rate=-0.001", "training.learning_rate must be above 0; it is -0.001"),
    ("training.label_smoothing=1", "training.label_smoothing must be below 1; it is 1"),
    ("training.max_epochs=0", "training.max_epochs must be at least 1; it is 0"),
    ("training.max_epochs=1001", "training.max_epochs must be at most 1000; it is 1001"),
    ("training.max_epochs=2.5", "training.max_epochs must be a whole number; it is 2.5"),
    ("training.max_epochs=many", "training.max_epochs must be a whole number; it is 'many'"),
    ("training.max_epochs=null", "training.max_epochs cannot be empty"),
    ("training.weight_decay=Infinity", "training.weight_decay must be a finite number; it is inf"),
    ("training.learning_rate=NaN", "training.learning_rate must be a finite number"),
    ("training.schedule=steps", "training.schedule must be 'cosine' or 'constant'; it is 'steps'"),
    ("model.static.dropout=1", "model.static.dropout must be below 1; it is 1"),
    ("model.hidden_units=[64,0]", "model.hidden_units, entry 2, must be at least 1; it is 0"),
    ("model.hidden_units=64", "model.hidden_units must be a list, such as [256, 128]; it is 64"),
    ("model.sequential.pooling=max", "model.sequential.pooling must be"),
]


@pytest.mark.parametrize(("setting", "said"), SETTINGS)
def test_settings(setting: str, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        get_preset("mdaf-full").with_overrides([setting])
    assert str(raised.value).startswith(f"Invalid setting: {said}") and str(raised.value).endswith(".")
    assert "Input should" not in str(raised.value) and "mamba4rec." not in str(raised.value)


OPTIONS = [
    ({"fractions": "0.8,0.1"}, "The option fractions takes more values: number 3 is missing."),
    ({"fractions": "0.8,0.1,0.3"}, "The option fractions: take three positive shares"),
    ({"fractions": "0.8,0.1,x"}, "The option fractions, entry 3, must be a number; it is 'x'."),
    ({"min_count": 0}, "The option min_count must be at least 1; it is 0."),
    ({"split": "weekly"}, "The option split must be"),
    ({"val_from": "2017-05-12"}, "val_from and test_from go together"),
]


@pytest.mark.parametrize(("options", "said"), OPTIONS)
def test_options(options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        parse_options(get_source("user-behavior"), options)
    assert str(raised.value).startswith(said) and "Field required" not in str(raised.value)


class Colour(Enum):
    RED = "red"


class Part(BaseModel):
    size: int = 1


class Odd(ModelSettings):
    kind: Literal["odd"] = "odd"
    colour: Colour = Colour.RED
    table: dict[str, float] = {}
    part: Part = Part()
    spare: Part | None = None


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("colour=green", "Invalid setting: model.colour must be 'red'; it is 'green'."),
        ("table=3", 'Invalid setting: model.table must be settings with their values, such as {"size": 2}; it is 3.'),
        ("part=3", 'Invalid setting: model.part must be settings with their values, such as {"size": 2}; it is 3.'),
        ("spare.size=3", "There is no setting 'model.spare.size': model.spare is empty. Set it whole: model.spare="),
    ],
)
def test_fields_that_only_models_of_others_have(setting: str, said: str) -> None:
    config = get_preset("lr").model_copy(update={"model": Odd()})
    with pytest.raises(UsageError) as raised, pytest.MonkeyPatch.context() as patch:
        patch.setattr("mdaf_core.models.registry.models", lambda *_: {"odd": Odd})
        config.with_overrides([f"model.{setting}"])
    assert str(raised.value).startswith(said)
