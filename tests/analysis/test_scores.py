"""Scores of any origin: the same figures and words as runs give, and a sentence for every bad frame."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.analysis.comparison import compare_study
from mdaf_core.analysis.margins import parse_margin
from mdaf_core.analysis.scores import compare_scores, read_scores
from mdaf_core.analysis.significance import ONE_SEED
from mdaf_core.base.errors import BadInputError, StudioError, UsageError
from mdaf_core.metrics.auc import auc
from mdaf_core.metrics.values import log_odds, sigmoid

QUALITY = {"base": 1.0, "good": 0.2, "bad": 8.0}
SEEDS = (1, 2, 3)


def truth(n=600, users=80):
    rng = np.random.default_rng(0)
    known = rng.normal(size=n)
    return (rng.random(n) < sigmoid(known)).astype(int), known, rng.integers(0, users, n)


def scored(name, seed):
    known = truth()[1]
    noise = np.random.default_rng([seed, list(QUALITY).index(name)]).normal(size=len(known))
    return known + QUALITY[name] * noise


@pytest.fixture
def wide():
    label, _, user = truth()
    columns = {f"{name}@{seed}": scored(name, seed) for name in QUALITY for seed in SEEDS}
    return pl.DataFrame({"label": label, "user": user, **columns})


def as_long(wide):
    """A row a score; rows and users as text."""
    wide = wide.with_row_index("row").with_columns(
        pl.format("r{}", "row").alias("row"),
        pl.format("u{}", pl.col("user").cast(pl.String).str.zfill(3)).alias("user"),
    )
    parts = wide.unpivot(index=["row", "label", "user"], variable_name="training", value_name="score")
    name = pl.col("training").str.split("@")
    seed = name.list.last().cast(pl.Int64).alias("seed")
    return parts.select("row", "label", "user", name.list.first().alias("model"), seed, "score")


def figures(comparison):
    """Everything that a comparison says, but where its runs are kept."""
    found = comparison.model_dump(exclude={"configurations", "conditions"})
    leave = {"run_ids", "preset", "model"}
    return found, [one.model_dump(exclude=leave) for one in comparison.configurations]


@pytest.mark.parametrize("metric", ["auc", "gauc", "logloss", "pr_auc"])
def test_a_frame_says_what_the_same_runs_say_to_the_last_bit(make_run, wide, metric):
    label, _, user = truth()
    runs = [make_run(name, seed, label, scored(name, seed), user) for name in QUALITY for seed in SEEDS]
    margin = parse_margin("1%")
    expected = compare_study(runs, "base", "test", metric, margin)
    expected.items.unknown, expected.notes = "", [n for n in expected.notes if "share items" not in n]
    assert {c.configuration: c.verdict for c in expected.configurations}["good"] in ("better", "not shown")
    assert figures(compare_scores(wide, metric=metric, margin=margin)) == figures(expected)


def test_better_and_worse_come_from_the_tests(wide):
    found = {c.configuration: c.verdict for c in compare_scores(wide).configurations}
    assert found == {"good": "better", "base": "reference", "bad": "worse"}


def test_wide_long_pandas_and_a_mapping_are_one(wide):
    expected = figures(compare_scores(wide, reference="base"))
    for other in (wide.to_pandas(), wide.to_dict(as_series=False), as_long(wide), as_long(wide).to_pandas()):
        assert figures(compare_scores(other, reference="base")) == expected


def test_one_training_of_each_model_gives_no_verdict(wide):
    """As studies: another seed might turn it round."""
    found = compare_scores(wide.select("label", "user", pl.col("base@1").alias("base"), pl.col("good@1").alias("good")))
    other = next(c for c in found.configurations if c.configuration == "good")
    assert other.verdict == ONE_SEED and other.difference is not None and other.difference_seeds is None


def test_probabilities_and_logits_give_the_same(wide):
    models = wide.columns[2:]
    as_probability = wide.with_columns(pl.Series(name, sigmoid(wide[name].to_numpy())) for name in models)
    for metric in ("auc", "logloss", "brier"):
        a, b = (compare_scores(frame, metric=metric).configurations for frame in (wide, as_probability))
        assert [c.configuration for c in a] == [c.configuration for c in b]
        for one, other in zip(a, b, strict=True):
            assert one.summary.mean == pytest.approx(other.summary.mean, rel=1e-6)
            assert one.verdict == other.verdict


@given(st.lists(st.floats(0, 1), min_size=2, max_size=40), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_log_odds_are_finite_and_keep_ranks(probability, random):
    p = np.round(probability, 9)  # numbers closer than the logarithm can tell are not asked for
    z = log_odds(p)
    assert np.isfinite(z).all()
    assert np.allclose(sigmoid(z), p, rtol=1e-12, atol=1e-15)
    label = np.array([random.random() < 0.5 for _ in p])
    if 0 < label.sum() < len(label):
        assert auc(label, z) == auc(label, p)


def test_probabilities_of_0_and_1_are_said(wide):
    hard = wide.with_columns((pl.col(name) > 0).cast(pl.Float64) for name in wide.columns[2:])
    found = compare_scores(hard, metric="logloss")
    assert any(note.startswith("5,400 probabilities are exactly 0 or 1") for note in found.notes)
    assert all(np.isfinite(c.summary.mean) for c in found.configurations)


def test_rows_without_users_are_independent_and_items_can_vary(wide):
    rows = compare_scores(wide.drop("user"))
    assert rows.users is None and "rows" in rows.configurations[0].mean.covers
    items = wide.with_columns(pl.Series("item", np.random.default_rng(5).integers(0, 30, len(wide))))
    both = compare_scores(items, over_items=True)
    assert both.over_items and both.items.items == 30
    assert "other items" in next(c for c in both.configurations if c.configuration == "good").difference.covers


def test_names_and_references_are_chosen(wide):
    renamed = wide.rename({"label": "clicked", "user": "uid"}).with_columns(time=pl.Series(range(len(wide))))
    found = compare_scores(renamed, label="clicked", user="uid", models=["good", "bad"], reference="bad")
    assert found.reference == "bad" and {c.configuration for c in found.configurations} == {"good", "bad"}


def test_nothing_is_written(wide, home):
    before = sorted(home.rglob("*"))
    compare_scores(wide)
    assert sorted(home.rglob("*")) == before


def cell(wide, column, row, value):
    return wide.with_columns(
        pl.when(pl.int_range(pl.len()) == row).then(pl.lit(value)).otherwise(pl.col(column)).alias(column)
    )


BAD = {
    "NaN": (lambda w: cell(w, "good@2", 6, float("nan")), "Column 'good@2': 1 of 600 scores", "row 7"),
    "no score": (lambda w: cell(w, "good@2", 0, None), "Column 'good@2': 1 of 600 scores", "row 1."),
    "infinite": (lambda w: cell(w, "bad@1", 9, float("inf")), "not finite", "row 10"),
    "a wrong label": (lambda w: cell(w, "label", 2, 2), "Row 3 has label 2", "0 or 1"),
    "half a label": (lambda w: w.with_columns(pl.col("label") * 0.5), "has label 0.5", "0 or 1"),
    "label in words": (lambda w: w.with_columns(pl.lit("yes").alias("label")), "label 'yes'", "0 or 1"),
    "no label": (lambda w: cell(w, "label", 4, None), "'label' is empty in 1 of 600 rows", "row 5"),
    "one label": (lambda w: w.with_columns(label=0), "All 600 rows have label 0", "both labels"),
    "no rows": (lambda w: w.clear(), "no rows", ""),
    "no user": (lambda w: cell(w, "user", 1, None), "'user' is empty in 1 of 600", "row 2"),
    "text": (lambda w: w.with_columns(device=pl.lit("phone")), "'device' holds no numbers", "models"),
    "mixed": (lambda w: w.with_columns(p=pl.lit(0.5)), "'base@1' has", "all of 'p' lies from 0 to 1"),
    "a seed in words": (lambda w: w.rename({"bad@1": "bad@one"}), "'bad@one'", "name@42"),
    "a seed twice": (lambda w: w.rename({"bad@2": "bad@01"}), "'bad@1' and 'bad@01'", "same training"),
    "with and without": (lambda w: w.rename({"bad@2": "bad"}), "'bad'", "bad@42"),
    "lengths": (lambda w: {"label": [0, 1, 0], "a": [0.1, 0.2], "b": [1, 2, 3]}, "different lengths", "a has 2"),
    "columns twice": (
        lambda w: pd.DataFrame([[0, 0.1, 0.2], [1, 0.3, 0.4]], columns=["label", "a", "a"]), "two columns 'a'", "SEED",
    ),
    "a row is missing": (lambda w: as_long(w).slice(1), "scores 599 of 600 rows", "'r0'"),
    "a row twice": (lambda w: pl.concat([as_long(w), as_long(w).head(1)]), "base, seed 1, scores row 'r0' twice", ""),
    "labels differ": (
        lambda w: cell(as_long(w), "label", 0, 1 - w["label"][0]), "Row 'r0' has different values of 'label'", "",
    ),
    "users differ": (lambda w: cell(as_long(w), "user", 0, "u?"), "Row 'r0' has different values of 'user'", ""),
    "half a seed": (lambda w: as_long(w).with_columns(pl.col("seed") + 0.5), "'seed' takes whole numbers", ""),
    "kinds in one column": (
        lambda w: pd.DataFrame({"label": [0, 1], "a": [0.1, "x"], "b": [1.0, 2.0]}), "The frame cannot be read", "",
    ),
    "no model": (lambda w: cell(as_long(w), "model", 3, None), "'model' is empty in 1 of 5,400", "row 4"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_gets_a_sentence(wide, name):
    make, *said = BAD[name]
    with pytest.raises(BadInputError) as refused:
        compare_scores(make(wide))
    for words in said:
        assert words in str(refused.value)


WRONG = {
    "no label column": ({"label": "clicked"}, "no column 'clicked' with labels"),
    "no user column": ({"user": "uid"}, "no column 'uid' with users"),
    "no such model": ({"models": ["good", "best"]}, "column of a model 'best'"),
    "one model": ({"models": ["good"]}, "two models"),
    "no such reference": ({"reference": "best"}, "no model 'best'. Models: base, good, bad"),
    "no such metric": ({"metric": "recall"}, "recall"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_usage_gets_a_sentence(wide, name):
    options, said = WRONG[name]
    with pytest.raises(UsageError, match=said):
        compare_scores(wide, **options)


def test_what_is_no_frame_is_refused(wide):
    with pytest.raises(UsageError, match="got str"):
        compare_scores("scores.csv")
    with pytest.raises(UsageError, match="`row` is missing"):
        compare_scores(as_long(wide).drop("row"))
    with pytest.raises(UsageError, match=r"no model 'best'\. Models: base, good, bad"):
        compare_scores(as_long(wide), models=["best", "good"])


def test_probabilities_are_held_to_be_some(wide):
    with pytest.raises(BadInputError, match="which is no probability"):
        compare_scores(wide, scores="probabilities")


def test_files_are_read(wide, tmp_path):
    wide.write_csv(tmp_path / "a.csv")
    wide.write_csv(tmp_path / "a.tsv", separator="\t")
    wide.write_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.tsv", "a.parquet"):
        assert read_scores(tmp_path / name).equals(wide)
    (tmp_path / "bad.parquet").write_bytes(b"no")
    (tmp_path / "bad.csv").write_bytes(b"label,a\n0,1,2,3\n")
    for name in ("bad.parquet", "bad.csv", "absent.csv"):
        with pytest.raises(StudioError, match=name):
            read_scores(tmp_path / name)
