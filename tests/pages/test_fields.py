"""A field of a form reaches the browser although a run of the page is interrupted, and begins anew where it should."""

from datetime import datetime
from typing import Any, Literal

import pytest
from pydantic import BaseModel
from streamlit.testing.v1 import AppTest


class Every(BaseModel):
    whole: int = 3
    number: float = 0.25
    maybe_whole: int | None = 4
    maybe_number: float | None = 0.5
    none_yet: int | None = None
    switch: bool = True
    maybe_switch: bool | None = False
    choice: Literal["a", "b"] = "b"
    maybe_choice: Literal["a", "b"] | None = "b"
    choices: list[Literal["a", "b", "c"]] = ["a", "c"]
    text: str = "0.8, 0.1, 0.1"
    moment: datetime | None = datetime(2020, 1, 2, 3, 4)
    integers: list[int] = [32, 16]
    column: str | None = "item"
    column_list: list[str] = ["price", "item"]


def _page() -> None:
    import streamlit as st

    from mdaf_core.forms.fields import fields
    from pages.fields import draw, place
    from tests.pages.test_fields import Every

    st.text_input("Other", key="other")
    for field in fields(Every):
        columns = ["item", "price"] if field.path.startswith("column") else None
        st.session_state.setdefault("entered", {})[field.path] = draw(
            field, place(field.path), value=field.value, columns=columns
        )


@pytest.fixture
def page() -> AppTest:
    app = AppTest.from_function(_page, default_timeout=60).run()
    assert not app.exception
    return app


def _sent(widget: Any) -> Any:
    """What a browser that never saw the widget before shows of it."""
    proto = widget.proto
    kind = type(proto).__name__
    if kind == "Selectbox":
        if proto.set_value:
            return proto.raw_value
        return proto.options[proto.default] if proto.HasField("default") else None
    if kind == "MultiSelect":
        return list(proto.raw_values) if proto.set_value else [proto.options[one] for one in proto.default]
    if proto.set_value:
        return proto.value
    return proto.default if kind == "Checkbox" or proto.HasField("default") else None


def _widgets(app: AppTest) -> dict[str, Any]:
    found = [*app.text_input, *app.number_input, *app.selectbox, *app.multiselect, *app.toggle]
    return {widget.key: widget for widget in found if widget.key != "other"}


SHOWN = {
    "whole": 3, "number": 0.25, "maybe_whole": 4, "maybe_number": 0.5, "none_yet": None, "switch": True,
    "maybe_switch": "no", "choice": "b", "maybe_choice": "b", "choices": ["a", "c"], "text": "0.8, 0.1, 0.1",
    "moment": "2020-01-02 03:04:00", "integers": "32, 16", "column": "item", "column_list": ["price", "item"],
}  # fmt: skip


def test_every_run_tells_a_browser_what_an_untouched_field_holds(page):
    """What the first run sent is lost when a click interrupts it: the second must say it again."""
    for _ in range(2):
        assert {key: _sent(widget) for key, widget in _widgets(page).items()} == SHOWN
        page.text_input(key="other").set_value("something else").run()


def test_what_can_be_empty_can_be_emptied_and_stays_so(page):
    for key in ("maybe_switch", "maybe_choice", "column"):
        page.selectbox(key=key).set_value(None).run()
    for key in ("maybe_whole", "maybe_number"):
        page.number_input(key=key).set_value(None).run()
    page.text_input(key="other").set_value("something else").run()
    entered = page.session_state["entered"]
    assert all(entered[k] is None for k in ("maybe_switch", "maybe_choice", "column", "maybe_whole", "maybe_number"))


def test_a_field_that_begins_anew_is_another_widget_with_the_value_it_began_with(page):
    from pages.fields import _VERSIONS

    page.text_input(key="text").set_value("0.5, 0.5").run()
    page.number_input(key="whole").set_value(9).run()
    assert page.session_state["entered"]["text"] == "0.5, 0.5"
    page.session_state[_VERSIONS] = {"text": 1}  # as `anew` does
    page.run()
    assert page.text_input(key="text-1").value == SHOWN["text"]
    assert page.session_state["entered"]["text"] == SHOWN["text"] and page.session_state["entered"]["whole"] == 9


def test_what_is_not_among_the_choices_is_left_empty_for_the_model_to_refuse():
    def one() -> None:
        import streamlit as st

        from mdaf_core.forms.fields import fields
        from pages.fields import draw
        from tests.pages.test_fields import Every

        for field in fields(Every):
            if field.kind in ("choice", "choices") and not field.optional:
                st.write(draw(field, field.path, value=["z"] if field.kind == "choices" else "z"))

    app = AppTest.from_function(one, default_timeout=60).run()
    assert not app.exception and app.selectbox(key="choice").value is None
