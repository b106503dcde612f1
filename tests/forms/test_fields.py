"""One way from a pydantic model to the fields of a form, whatever a plug-in's configuration holds."""

import math
from datetime import datetime
from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, ValidationError, model_validator
from streamlit.testing.v1 import AppTest

from mdaf_core.base.validation import problems
from mdaf_core.data.formats.options import SourceOptions, refused_options
from mdaf_core.forms.fields import fields, nested, refusals
from mdaf_core.forms.text import as_list, as_numbers, as_text
from mdaf_core.models.registry import models


class Small(BaseModel):
    kind: Literal["small"] = "small"
    width: int = Field(8, ge=1, description="Units.")


class Large(BaseModel):
    kind: Literal["large"] = "large"
    width: int = Field(512, ge=64)
    depth: Annotated[int, Field(ge=1)] | None = None


class Part(BaseModel):
    rate: float = Field(0.5, gt=0, lt=1, description="Share.")


class Pooling(Enum):
    MEAN = "mean"
    LAST = "last"


class Everything(BaseModel):
    """All that a plug-in may use, and two types that no form takes."""

    kind: Literal["everything"] = "everything"
    count: int = Field(3, ge=0, le=10, description="How many.")
    factor: float = 1
    active: bool = True
    maybe: bool | None = None
    name: str = "a"
    note: str | None = None
    mode: Literal["x", "y"] = "x"
    level: Literal[1, 2, 3] = 2
    other_mode: Literal["x", "y"] | None = None
    pooling: Pooling = Pooling.LAST
    limit: float | None = None
    most: Annotated[int, Field(ge=1)] | None = None
    since: datetime | None = None
    sizes: list[int] = [256, 128]
    rates: list[float] = [0.5, 2]
    names: list[str] = ["a", "b"]
    some_names: list[str] | None = None
    modes: list[Literal["x", "y"]] = ["x"]
    shares: tuple[float, float] = (0.5, 0.5)
    part: Part = Part()
    tower: Annotated[Small | Large, Field(discriminator="kind")] = Small()
    table: dict[str, int] = {"a": 1}
    points: list[list[float]] = [[0.0]]
    needed: int

    @model_validator(mode="after")
    def _together(self):
        if self.count > 5 and not self.active:
            raise ValueError("count above 5 needs active")
        return self


KINDS = {
    "count": "integer", "factor": "number", "active": "switch", "maybe": "switch", "name": "text", "note": "text",
    "mode": "choice", "level": "choice", "other_mode": "choice", "pooling": "choice", "limit": "number",
    "most": "integer", "since": "moment",
    "sizes": "integers", "rates": "numbers", "names": "texts", "some_names": "texts", "modes": "choices",
    "shares": "numbers", "part.rate": "number", "tower.kind": "choice", "tower.width": "integer", "table": "shown",
    "points": "shown", "needed": "integer",
}  # fmt: skip


def test_every_kind_of_field_is_known():
    found = {field.path: field for field in fields(Everything)}
    assert {path: field.kind for path, field in found.items()} == KINDS
    assert {path for path, field in found.items() if field.optional} == {
        "maybe", "note", "other_mode", "limit", "most", "since", "some_names",
    }  # fmt: skip
    assert found["count"].help == "How many. (0 to 10)" and found["most"].help == "(at least 1)"
    assert found["part.rate"].help == "Share. (above 0, below 1)" and found["part.rate"].group == "part"
    assert found["tower.kind"].choices == ("small", "large") and found["level"].choices == (1, 2, 3)
    assert "dict[str, int]" in found["table"].help and "a form does not take" in found["table"].help
    assert found["pooling"].choices == ("mean", "last") and found["pooling"].value == "last"
    assert found["needed"].value is None


def test_an_instance_shows_its_own_values_and_the_fields_of_its_variant():
    value = Everything(needed=1, tower=Large(width=64), names=["q,r"])
    found = {field.path: field for field in fields(value, "model")}
    assert found["model.tower.kind"].value == "large" and found["model.tower.width"].value == 64
    assert found["model.tower.depth"].kind == "integer" and found["model.tower.depth"].group == "model.tower"
    assert found["model.names"].as_text(["q,r"]) == '["q,r"]'


def test_members_of_enumerations_and_parts_have_a_text_that_is_read_back():
    assert (
        as_text(Pooling.LAST) == "last" and Everything(needed=1, pooling=as_text(Pooling.MEAN)).pooling is Pooling.MEAN
    )
    assert Part.model_validate_json(as_text(Part(rate=0.25))) == Part(rate=0.25)


@pytest.mark.parametrize("model", models().values(), ids=lambda model: model.__name__)
def test_the_models_need_no_field_that_a_form_does_not_take(model):
    assert [field.path for field in fields(model) if field.kind == "shown"] == []


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.integers(-(10**17), 10**17), max_size=4))
def test_lists_come_back_from_their_text(texts, numbers):
    by_path = {field.path: field for field in fields(Everything)}
    names, sizes = by_path["names"], by_path["sizes"]
    assert as_list(as_text(texts)) == texts if texts else names.as_text(texts) == ""
    if numbers:
        assert sizes.entered(sizes.as_text(numbers)) == numbers
    assert as_numbers(",".join(map(str, numbers)), whole=True) == numbers


@given(st.text(max_size=20))
def test_no_text_breaks_a_field(text):
    for field in fields(Everything):
        value = field.entered(text)
        if field.kind in ("integers", "numbers") and value is not text and isinstance(value, list):
            assert all(isinstance(part, int | float) and not math.isnan(part) for part in value)


def test_numbers_that_are_none_stay_text():
    assert as_numbers("256; 128", whole=True) == "256; 128" and as_numbers("²", whole=True) == "²"
    assert as_numbers("[1, 2]", whole=True) == [1, 2] and as_numbers(" 1, ,2 ", whole=True) == [1, 2]
    assert as_numbers("0.5, 1e-3", whole=False) == [0.5, 0.001] and as_numbers("nan", whole=False) == "nan"


REFUSED = [
    ({"count": 11}, {"count": "Count must be at most 10; it is 11."}),
    ({"sizes": "a"}, {"sizes": "Sizes takes whole numbers separated by commas, such as 256, 128; it is 'a'."}),
    ({"rates": "a"}, {"rates": "Rates takes numbers separated by commas, such as 0.5, 2; it is 'a'."}),
    ({"tower.width": 0}, {"tower.width": "Width must be at least 1; it is 0."}),
    ({"tower.kind": "large", "tower.width": 1}, {"tower.width": "Width must be at least 64; it is 1."}),
    ({"count": 7, "active": False}, {"active": "Count above 5 needs active."}),
    ({"part.rate": 1.0}, {"part.rate": "Rate must be below 1; it is 1.0."}),
]


@pytest.mark.parametrize(("given", "sentences"), REFUSED)
def test_what_is_refused_is_said_at_its_field(given, sentences):
    raw = {"needed": 1} | nested(Everything, given)
    with pytest.raises(ValidationError) as caught:
        Everything.model_validate(raw)
    assert refusals(problems(caught.value, raw), given, fields(Everything)) == sentences


def test_a_default_may_be_made_and_one_that_cannot_be_is_empty():
    class Made(BaseModel):
        count: int = 3
        sizes: list[int] = Field(default_factory=lambda before: [before["count"]])
        broken: float = Field(default_factory=lambda: 1 / 0)

    assert [field.value for field in fields(Made)] == [3, [3], None]


def test_what_is_set_in_a_part_leaves_its_other_defaults():
    made = Everything.model_validate({"needed": 1} | nested(Everything, {"tower.kind": "large", "tower.depth": 2}))
    assert made.tower == Large(depth=2)


class OwnOptions(SourceOptions):
    """A plug-in's source."""

    layers: list[int] = [1]
    weights: list[float] = []
    part: Part = Part()
    table: dict[str, int] = {}


def test_a_plug_ins_options_are_refused_like_all_others():
    assert refused_options(OwnOptions, {"layers": "x", "part.rate": 2.0}).keys() == {"layers", "part.rate"}
    assert refused_options(OwnOptions, {"layers": "1, 2", "weights": [0.5], "part.rate": 0.2}) == {}


def _form():
    from pages.fields import draw
    from tests.forms.test_fields import Everything, OwnOptions, fields

    for field in fields(Everything):
        draw(field, f"f-{field.path}", value=field.value)
    import streamlit as st

    from pages.options_form import options_form

    st.session_state["chosen"] = options_form(OwnOptions, "own")


def test_every_kind_of_field_is_drawn_and_none_breaks_the_page():
    app = AppTest.from_function(_form).run()
    assert not app.exception
    drawn = {element.key for kind in ("number_input", "selectbox", "toggle", "text_input", "multiselect")
             for element in app.get(kind)}  # fmt: skip
    assert {f"f-{path}" for path in KINDS} <= drawn
    assert app.text_input(key="f-table").disabled and app.text_input(key="f-sizes").value == "256, 128"
    assert app.number_input(key="f-limit").value is None and app.number_input(key="f-factor").value == 1.0
    assert app.session_state["chosen"] == ({}, True)
    app.text_input(key="own-layers").set_value("3, 4").run()
    app.number_input(key="own-part.rate").set_value(0.25).run()
    assert not app.exception and app.session_state["chosen"] == ({"layers": [3, 4], "part.rate": 0.25}, True)
    app.text_input(key="own-weights").set_value("a lot").run()
    assert app.session_state["chosen"][1] is False
    assert any("Weights" in caption.value and "a lot" in caption.value for caption in app.caption)
