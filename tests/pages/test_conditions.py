"""What stands beside results, as Markdown."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from tests.waiting import PATIENT


def test_commands_in_sentences_are_code_and_names_are_as_they_are() -> None:
    def script() -> None:
        from pages import conditions

        conditions.block(["Run `data audit x` again, for a_b_c."], ["Prepared by `data prepare`."])

    app = AppTest.from_function(script, default_timeout=PATIENT).run()
    assert not app.exception
    assert app.markdown[1].value == r":orange[:material/warning:] Run `data audit x` again, for a\_b\_c."
    assert app.caption[0].value == "Prepared by `data prepare`."
