"""Tables on pages show their texts."""

from __future__ import annotations

import json
from typing import Any

from streamlit.testing.v1 import AppTest

from tests.waiting import PATIENT


def widths(columns: dict[str, list[Any]]) -> dict[str, int]:
    """Column → width in pixels, of those that are given one."""

    def script(columns):  # type: ignore[no-untyped-def]
        import polars

        from pages import shared

        shared.show_table(polars.DataFrame(columns), "t")

    app = AppTest.from_function(script, kwargs={"columns": columns}, default_timeout=PATIENT).run()
    assert not app.exception
    configs = json.loads(app.dataframe[0].proto.columns)
    return {name: one["width"] for name, one in configs.items() if isinstance(one.get("width"), int)}


def test_a_text_much_longer_than_the_others_has_its_width() -> None:
    metrics = ["AUC", "gAUC", "Log loss", "Normalised entropy", "Brier score", "Expected calibration error", "PR-AUC"]
    found = widths({"Metric": metrics, "Rows": ["Test"] * 7, "Value": [0.5] * 7})
    assert found == {"Metric": 180}
    assert widths({"What": ["short"] * 12 + ["the thirteenth is long"]}) == {"What": 155}
    assert widths({"What": ["a word " * 40] * 3}) == {}, "Streamlit's own width, which has a limit"


def test_long_names_and_settings_that_won_take_several_lines() -> None:
    assert widths({"Configuration": ["lr", "x" * 80], "Winner": ["dropout 0.4, " * 8, "–"]}) == {
        "Configuration": 320, "Winner": 320,
    }  # fmt: skip
