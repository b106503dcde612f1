"""Tables for the paper: LaTeX that compiles in principle, marks that are explained, no claim beyond the tests."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.evaluation.comparison import compare_study
from mdaf_core.reporting import frames, tables
from mdaf_core.studies import results
from tests.reporting.example_study import make_study

ODD = "mdaf_variant & 50% #1 {a}^b ~c \\d $e"


@pytest.fixture
def study(home):
    return make_study(["mdaf-full", "lr", ODD], [1, 2, 3])


@pytest.fixture
def table(study) -> tables.PaperTable:
    runs = results.study_runs(study)
    return tables.results_table(compare_study(runs, "mdaf-full"), runs)


def unescaped(latex: str) -> list[str]:
    """Special characters outside mathematics that LaTeX would take for commands of its own."""
    text = re.sub(r"^%.*?\n", "\n", latex, count=1)  # the comment that names the packages
    text = text.replace("{!}{%", "{!}{")
    text = re.sub(r"\$[^$]*\$", "", text.replace(r"\$", ""))
    text = re.sub(r"\\[a-zA-Z]+\*?|\\[&%#_{}\\]", "", text)
    return re.findall(r"(?<!\\)[%#_^~$]", text.replace("tab:results-test", ""))


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=40))
def test_any_name_is_escaped(name: str) -> None:
    escaped = tables.latex_escape(name)
    assert unescaped(escaped) == []
    plain = re.sub(r"\\[{}]", "", escaped)
    assert plain.count("{") == plain.count("}")


def test_latex_is_well_formed(table: tables.PaperTable) -> None:
    latex = table.latex()
    for environment in ("table*", "tabular"):
        assert latex.count(rf"\begin{{{environment}}}") == latex.count(rf"\end{{{environment}}}") == 1
    assert all(rule in latex for rule in (r"\toprule", r"\midrule", r"\bottomrule"))
    body = latex.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert len(body) == 3
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {len(table.cells) - 1}
    assert all(line.rstrip().endswith(r"\\") for line in body)
    assert unescaped(latex) == []
    assert r"mdaf\_variant \& 50\% \#1" in latex


def test_best_is_bold_and_second_underlined(table: tables.PaperTable) -> None:
    best = table.cells["Configuration"].index("mdaf-full")
    assert table.best["AUC"] == {best}
    assert rf"\textbf{{{tables.latex_escape(table.cells['AUC'][best])}}}" in table.latex()
    assert r"\underline{" in table.latex()
    assert f"**{table.cells['AUC'][best]}**" in table.markdown()
    lowest = min(range(3), key=lambda i: table.data["logloss_mean"][i])
    assert table.best["Log loss"] == {lowest}, "of losses the lowest is the best"


def test_ties_as_printed_share_a_place() -> None:
    assert tables._ranks([0.70001, 0.70004, 0.69], 4, 1) == ({0, 1}, {2})
    assert tables._ranks([None, 0.5], 4, 1) == ({1}, set())


def test_the_caption_explains_exactly_the_marks_there_are(table: tables.PaperTable) -> None:
    cells = " ".join(text for values in table.cells.values() for text in values)
    for mark in tables.MARKS.values():
        assert (mark in cells) == (mark in table.caption), mark
    assert "3 seeds" in table.caption
    assert "test rows" in table.caption
    assert "Holm" in table.caption


def test_one_seed_has_no_marks_and_says_so(home) -> None:
    study = make_study(seeds=[1])
    runs = results.study_runs(study)
    table = tables.results_table(compare_study(runs, "mdaf-full"), runs)
    assert "one seed, so no variance is known" in table.caption
    assert not set("".join(map("".join, table.cells.values()))) & set(tables.MARKS.values())
    assert "±" not in "".join(table.cells["AUC"])


def test_csv_has_the_figures_in_full(table: tables.PaperTable) -> None:
    back = pl.read_csv(table.csv().encode())
    assert back["mean"].to_list() == table.data["mean"].to_list()


def test_markdown_cells_are_not_broken_by_names(home) -> None:
    study = make_study(["mdaf-full", "a|b*c_d"], [1, 2])
    runs = results.study_runs(study)
    lines = tables.cost_table(frames.ledger(runs)).markdown().splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:4]} == {10}


def test_html_escapes_names_and_marks_the_best(home) -> None:
    study = make_study(["mdaf-full", "<img src=x onerror=alert(1)>"], [1, 2])
    runs = results.study_runs(study)
    table = tables.results_table(compare_study(runs, "mdaf-full"), runs)
    html = table.html()
    assert "<img" not in html
    assert "&lt;img" in html
    assert f"<b>{max(table.cells['AUC'])}</b>" in html
    assert html.count("<tr>") == 3
