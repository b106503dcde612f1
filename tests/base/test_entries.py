"""What people type where a number is due: the number, or a sentence; never a traceback, never another number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from mdaf_core.base.entries import LARGEST, known_entry, whole_number
from mdaf_core.base.errors import UsageError
from mdaf_core.cli.main import app
from mdaf_core.queue import api
from mdaf_core.studies.seeds import parse_seeds

NO_NUMBERS = [
    "²",
    "³¹",
    "٣",
    "௧",
    "１２",
    "Ⅷ",
    "①",
    "-1",
    "+1",
    "1.0",
    "1e3",
    "",
    " ",
    "9" * 20,
    "9" * 5000,
    "0x1",
    "1_0",
]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_no_whole_number(text: str) -> None:
    assert whole_number(text) is None
    with pytest.raises(UsageError, match="Seeds look like"):
        parse_seeds(text)
    with pytest.raises(UsageError, match="Seeds look like"):
        parse_seeds(f"1-{text}")


@given(st.integers(0, LARGEST))
def test_whole_numbers(number: int) -> None:
    assert whole_number(f" {number} ") == whole_number(f"000{number}") == number


@given(st.text(max_size=8))
def test_any_text_is_a_number_or_none(text: str) -> None:
    found = whole_number(text)
    assert found is None or str(found) == (text.strip().lstrip("0") or "0")


def test_the_largest_seed_is_one_that_a_study_takes() -> None:
    assert parse_seeds("4294967295") == [4294967295]
    with pytest.raises(UsageError, match="at most 4294967295"):
        parse_seeds("4294967296")


@pytest.mark.parametrize("verb", [["cancel"], ["retry"], ["resume"], ["log"], ["move"]])
@pytest.mark.parametrize("number", ["99999999999999999999", "9223372036854775808", "9223372036854775807"])
def test_a_job_of_twenty_digits_is_none_that_there_is(home, verb: list[str], number: str) -> None:  # type: ignore[no-untyped-def]
    from mdaf_core.queue import store
    from mdaf_core.queue.store import NewJob

    store.add([NewJob(kind="sleep", title="one", payload={})])
    found = CliRunner().invoke(app, ["jobs", *verb, number, *(["up"] if verb == ["move"] else [])])
    assert isinstance(found.exception, UsageError) or found.exit_code == 2
    assert f"There is no job {number}" in str(found.exception) + found.output
    with pytest.raises(UsageError, match=f"no job {number}"):
        api.get_job(int(number))


def test_a_name_that_is_none_is_answered_with_those_there_are() -> None:
    assert known_entry("a", {"a": 1, "b": 2}, "is no figure") == 1
    with pytest.raises(UsageError, match=r"^There are no criteria 'c'\. Known: a, b\.$"):
        known_entry("c", {"a": 1, "b": 2}, "are no criteria")
