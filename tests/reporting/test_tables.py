"""Tables for the paper: LaTeX that compiles in principle, marks that are explained, no claim beyond the tests."""

from __future__ import annotations

import re

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.analysis import costs
from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.significance import half_width
from mdaf_core.reporting.paper import table as paper_table
from mdaf_core.reporting.paper import tables
from mdaf_core.reporting.topics import cost
from mdaf_core.reporting.topics.comparison import table as results_of
from mdaf_core.studies import results
from tests.reporting.example_study import make_study

ODD = "mdaf_variant & 50% #1 {a}^b ~c \\d $e"


@pytest.fixture
def study(made_once):
    return made_once(lambda: make_study(["mdaf-full", "lr", ODD], [1, 2, 3]))


@pytest.fixture
def table(study) -> paper_table.PaperTable:
    runs = results.study_runs(study)
    return results_of.results_table(compare_study(runs, "mdaf-full"), runs)


def unescaped(latex: str) -> list[str]:
    """Special characters outside mathematics that LaTeX would take for commands of its own."""
    text = re.sub(r"^%.*?\n", "\n", latex, count=1)  # the comment that names the packages
    text = text.replace("{!}{%", "{!}{")
    text = re.sub(r"\$[^$]*\$", "", text.replace(r"\$", ""))
    text = re.sub(r"\\[a-zA-Z]+\*?|\\[&%#_{}\\]", "", text)
    return re.findall(r"(?<!\\)[%#_^~$]", text.replace("tab:results-test", ""))


@given(st.text(alphabet=st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=40))
def test_any_name_is_escaped(name: str) -> None:
    escaped = paper_table.latex_escape(name)
    assert unescaped(escaped) == []
    plain = re.sub(r"\\[{}]", "", escaped)
    assert plain.count("{") == plain.count("}")


def test_latex_is_well_formed(table: paper_table.PaperTable) -> None:
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


def test_best_is_bold_and_second_underlined(table: paper_table.PaperTable) -> None:
    best = table.cells["Configuration"].index("mdaf-full")
    assert table.best["AUC"] == {best}
    assert rf"\textbf{{{paper_table.latex_escape(table.cells['AUC'][best])}}}" in table.latex()
    assert r"\underline{" in table.latex()
    assert f"**{table.cells['AUC'][best]}**" in table.markdown()
    lowest = min(range(3), key=lambda i: table.data["logloss_mean"][i])
    assert table.best["Log loss"] == {lowest}, "of losses the lowest is the best"


def test_ties_as_printed_share_a_place() -> None:
    assert results_of.ranks([0.70001, 0.70004, 0.69], 4, 1) == ({0, 1}, {2})
    assert results_of.ranks([None, 0.5], 4, 1) == ({1}, set())


def test_the_caption_explains_exactly_the_marks_there_are(table: paper_table.PaperTable) -> None:
    cells = " ".join(text for values in table.cells.values() for text in values)
    for mark in results_of.MARKS.values():
        assert (mark in cells) == (mark in table.caption), mark
    assert "3 seeds" in table.caption
    assert "test rows" in table.caption
    assert "Holm" in table.caption


def test_one_seed_has_no_marks_and_says_so(home) -> None:
    study = make_study(seeds=[1])
    runs = results.study_runs(study)
    table = results_of.results_table(compare_study(runs, "mdaf-full"), runs)
    assert "one seed, so no variance is known" in table.caption
    assert not set("".join(map("".join, table.cells.values()))) & set(results_of.MARKS.values())
    assert "±" not in "".join(table.cells["AUC"])


def test_csv_has_the_figures_in_full(table: paper_table.PaperTable) -> None:
    back = pl.read_csv(table.csv().encode())
    assert back["mean"].to_list() == table.data["mean"].to_list()


def test_markdown_cells_are_not_broken_by_names(home) -> None:
    study = make_study(["mdaf-full", "a|b*c_d"], [1, 2])
    runs = results.study_runs(study)
    lines = cost.table(costs.of_runs(runs)).markdown().splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:4]} == {10}


def test_html_escapes_names_and_marks_the_best(home) -> None:
    study = make_study(["mdaf-full", "<img src=x onerror=alert(1)>"], [1, 2])
    runs = results.study_runs(study)
    table = results_of.results_table(compare_study(runs, "mdaf-full"), runs)
    html = table.html()
    assert "<img" not in html
    assert "&lt;img" in html
    assert f"<b>{max(table.cells['AUC'])}</b>" in html
    assert html.count("<tr>") == 3


def test_plus_minus_is_the_interval_over_seeds_and_users(study, table: tables.PaperTable) -> None:
    """Not the standard deviation over seeds, which says nothing of other users."""
    comparison = compare_study(results.study_runs(study), "mdaf-full")
    cells = dict(zip(table.cells["Configuration"], table.cells["AUC"], strict=True))
    for c in comparison.configurations:
        assert c.mean is not None and c.summary is not None and c.summary.sd is not None
        half = half_width(c.mean.components, 0.05)
        assert {part.name for part in c.mean.components} == {"users", "seeds"}
        assert cells[c.configuration] == f"{c.summary.mean:.4f} ± {half:.4f}"
        assert half > 1.5 * c.summary.sd
    assert "±: half the width of the 95% interval of a mean, which covers other seeds and other users." in table.caption


def test_intervals_beside_adjusted_tests_are_said_not_to_be_adjusted(study, table: tables.PaperTable) -> None:
    assert "intervals are not adjusted for the number of comparisons" in table.caption
    assert "95% intervals cover other seeds and other users" in table.caption
    alone = make_study(["mdaf-full", "lr"], [1, 2, 3])
    runs = results.study_runs(alone)
    caption = results_of.results_table(compare_study(runs, "mdaf-full"), runs).caption
    assert "not adjusted" not in caption, "one comparison has nothing to adjust for"


def test_one_seed_has_no_interval_anywhere(home) -> None:
    study = make_study(seeds=[1])
    runs = results.study_runs(study)
    table = results_of.results_table(compare_study(runs, "mdaf-full"), runs)
    assert "interval]" not in " ".join(table.cells)
    cells = " ".join(text for values in table.cells.values() for text in values)
    assert "[" not in cells and "±" not in cells
    assert "No interval: with one shared seed the variance over seeds is unknown." in table.caption
    assert table.data["covers"].drop_nulls().str.contains("with these trained models").all(), "the CSV says what it has"


def test_a_configuration_with_one_seed_among_others(home) -> None:
    study = make_study(["mdaf-full", "mdaf-static", "lr"], [1, 2], failed=[("lr", 2)])
    runs = [run for run in results.study_runs(study) if run.state == "finished"]
    table = results_of.results_table(compare_study(runs, "mdaf-full"), runs)
    (heading,) = [name for name in table.cells if name.startswith("Δ")]
    shown = dict(zip(table.cells["Configuration"], table.cells[heading], strict=True))
    assert "[" in shown["mdaf-static"] and "[" not in shown["lr"]
    assert "No interval for lr" in table.caption


def test_numbers_in_powers_of_ten_are_set_like_numbers() -> None:
    cells = {
        "Setting": ["model.dropout", "decay"],
        "dcnv2": ["0.407", "1.74e-05"],
        "Tried": ["0..0.5", "1e-06..0.1 log"],
    }
    latex = paper_table.PaperTable("t", "T", "C.", cells, pl.DataFrame()).latex()
    assert r"\begin{tabular}{@{}lrl@{}}" in latex
