"""Predictions of other programs: recognised, matched with the rows of a data set, or refused with counts."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.export import export_rows
from mdaf_core.runs.importing.columns import Chosen
from mdaf_core.runs.importing.examine import Examined, examine
from mdaf_core.runs.importing.refused import Refused

LOG = """user,item,time,clicked,hour
""" + "".join(
    f"u{i % 7},i{i % (5 if i < 200 else 8)},{1_700_000_000 + 60 * (i // 2)},{int(i * 7919 % 5 < 2)},{i % 24}\n"
    for i in range(240)
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """A log of 240 rows with items that training rows do not have; 24 rows each of validation and test."""
    from mdaf_core.data.prepare.pipeline import prepare

    folder = tmp_path_factory.mktemp("importing")
    (folder / "log.csv").write_text(LOG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MDAF_HOME", str(folder / "home"))
        options = {"label": "clicked", "user": "user", "item": "item", "timestamp": "time"}
        return prepare("table", path=folder / "log.csv", name="log", options=options)


@pytest.fixture(scope="module")
def rows(dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> pl.DataFrame:
    """Both splits as `data export` writes them, with a score."""
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    export_rows(dataset, ["val", "test"], path)
    frame = pl.read_parquet(path)
    return frame.with_columns(score=np.random.default_rng(1).uniform(0.01, 0.99, len(frame)))


def of_test(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.filter(pl.col("split") == "test").drop("split")


def logits(found: Examined, split: str = "test") -> np.ndarray:
    return found.parts[split].logit  # type: ignore[index]


def wanted(rows: pl.DataFrame, split: str = "test") -> np.ndarray:
    p = rows.filter(pl.col("split") == split)["score"].to_numpy()
    return np.log(p) - np.log(1 - p)


def test_a_row_is_found_by_its_id_whatever_the_order(dataset, rows, tmp_path: Path) -> None:
    mixed = rows.select("row_id", "label", "score").sample(fraction=1.0, shuffle=True, seed=3)
    mixed.write_csv(tmp_path / "p.csv")
    mixed.write_csv(tmp_path / "p.tsv", separator="\t")
    mixed.write_parquet(tmp_path / "p.parquet")
    mixed.write_ndjson(tmp_path / "p.jsonl")
    for source in [
        *tmp_path.iterdir(),
        mixed,
        mixed.to_pandas(),
        {name: mixed[name].to_numpy() for name in mixed.columns},
    ]:
        found = examine({None: source}, dataset)
        assert list(found.parts) == ["val", "test"]
        for split in ("val", "test"):
            np.testing.assert_array_equal(logits(found, split), wanted(rows, split))
            assert found.parts[split].scores.labels_checked  # type: ignore[index]


def test_a_row_is_found_by_its_raw_ids_also_those_unseen_in_training(dataset, rows) -> None:
    assert len(dataset.unseen("item"))
    mixed = (
        of_test(rows).select("user", "item", "timestamp", prediction="score").sample(fraction=1.0, shuffle=True, seed=3)
    )
    assert mixed.select("user", "item", "timestamp").is_unique().all()
    np.testing.assert_array_equal(logits(examine({None: mixed}, dataset)), wanted(rows))
    moments = mixed.with_columns(time=pl.from_epoch("timestamp").dt.strftime("%Y-%m-%dT%H:%M:%SZ")).drop("timestamp")
    thousandths = mixed.with_columns(pl.col("timestamp") * 1000)
    for other in (moments, thousandths):
        np.testing.assert_array_equal(logits(examine({None: other}, dataset)), wanted(rows))


def test_numbers_alone_are_matched_by_position(dataset, rows, tmp_path: Path) -> None:
    p = of_test(rows)["score"].to_numpy()
    np.save(tmp_path / "p.npy", p)
    np.save(tmp_path / "column.npy", p[:, None])
    np.save(tmp_path / "classes.npy", np.stack([1 - p, p], 1))
    np.savez(tmp_path / "p.npz", y_pred=p, y_true=of_test(rows)["label"].to_numpy())
    (tmp_path / "lightgbm.txt").write_text("".join(f"{value!r}\n" for value in p.tolist()))
    for path in sorted(tmp_path.iterdir()):
        found = examine({"test": path}, dataset)
        np.testing.assert_array_equal(logits(found), wanted(rows), err_msg=path.name)
        assert found.parts["test"].scores.matched.startswith("position")
    np.savez(tmp_path / "both.npz", val=rows.filter(pl.col("split") == "val")["score"].to_numpy(), test=p)
    both = examine({None: tmp_path / "both.npz"}, dataset)
    np.testing.assert_array_equal(logits(both, "val"), wanted(rows, "val"))
    with pytest.raises(UsageError, match=r"24 scores|say which"):
        examine({None: tmp_path / "p.npy"}, dataset)  # as many validation as test rows
    with pytest.raises(UsageError, match="23 scores without ids"):
        examine({"test": p[1:]}, dataset)


def test_pandas_index_is_no_row_id_and_must_be_in_order(dataset, rows, tmp_path: Path) -> None:
    frame = of_test(rows).select("label", pred="score").to_pandas()
    frame.to_csv(tmp_path / "p.csv")
    np.testing.assert_array_equal(logits(examine({"test": tmp_path / "p.csv"}, dataset)), wanted(rows))
    frame.sample(frac=1, random_state=1).to_csv(tmp_path / "shuffled.csv")
    with pytest.raises(UsageError, match="does not number its rows"):
        examine({"test": tmp_path / "shuffled.csv"}, dataset)


def _fifth(column: str, value: pl.Expr) -> pl.Expr:
    """A column with another value in the fifth row."""
    return pl.when(pl.int_range(pl.len()) == 4).then(value).otherwise(column).alias(column)


@pytest.mark.parametrize(
    ("change", "kind", "count"),
    [
        (lambda f: f.with_columns(_fifth("label", 1 - pl.col("label"))), "label", 1),
        (lambda f: f.slice(1), "missing", 1),
        (lambda f: pl.concat([f, f.slice(4, 1)]), "twice", 1),
        (lambda f: f.with_columns(_fifth("row_id", pl.lit(99_999))), "unknown", 1),
        (lambda f: f.slice(12), "missing", 12),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_counts_and_the_first(dataset, rows, tmp_path, change, kind, count) -> None:
    whole = of_test(rows).select("row_id", "label", "score")
    change(whole.with_columns(pl.col("label").cast(pl.Int64))).write_csv(tmp_path / "p.csv")
    with pytest.raises(Refused) as refused:
        examine({None: tmp_path / "p.csv"}, dataset)
    problems = {problem.kind: problem for problem in refused.value.problems}
    assert problems[kind].count == count and len(problems[kind].first) == min(count, 10)
    if kind in ("label", "unknown"):
        assert "line 6" in problems[kind].first[0]
    if kind == "twice":
        assert "line 6" in problems[kind].first[0] and "line 26" in problems[kind].first[0]
    if kind == "missing":
        assert str(whole["row_id"][0]) in problems[kind].first[0]


def test_rows_of_one_key_need_one_score_or_labels_that_tell_them_apart(home, tmp_path: Path) -> None:
    from mdaf_core.data.prepare.pipeline import prepare

    lines = [f"u{i % 3},i{i % 3},{1_700_000_000 + 60 * (i // 6)},{i // 3 % 2}" for i in range(120)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time,clicked", *lines]))
    options = {"label": "clicked", "user": "user", "item": "item", "timestamp": "time"}
    twice = prepare("table", path=tmp_path / "log.csv", name="twice", options=options)
    export_rows(twice, ["test"], tmp_path / "rows.parquet")
    rows = pl.read_parquet(tmp_path / "rows.parquet")
    key = ["user", "item", "timestamp"]
    assert rows.select(key).is_duplicated().all()
    by_label = rows.with_columns(score=0.2 + 0.5 * pl.col("label") + 0.01 * pl.col("user").str.tail(1).cast(pl.Float64))
    found = examine({"test": by_label.select(*key, "label", "score").reverse()}, twice)
    p = by_label["score"].to_numpy()
    np.testing.assert_array_equal(found.parts["test"].logit, np.log(p) - np.log(1 - p))
    with pytest.raises(Refused, match="row ids must tell"):
        examine({"test": by_label.select(*key, "score")}, twice)
    alike = rows.with_columns(score=pl.lit(0.25))
    assert "share their" in " ".join(examine({"test": alike.select(*key, "score")}, twice).sentences())


def test_scores_are_said_or_recognised_and_never_guessed(dataset, rows) -> None:
    p = of_test(rows).select("row_id", "score")
    z = p.with_columns(score=(pl.col("score") / (1 - pl.col("score"))).log())
    assert examine({None: z}, dataset).parts["test"].scores.scale == "logit"
    assert "between 0 and 1" in examine({None: p}, dataset).parts["test"].scores.scale_because
    for frame, words in (
        (p.rename({"score": "logit"}), "called 'logit'"),
        (p.with_columns(pl.col("score") * 100), "Say what they are"),
        (p.with_columns((pl.col("score") > 0.5).cast(pl.Float64)), "decisions"),
        (p.with_columns(pctr="score"), "several columns of scores"),
        (p.rename({"score": "mystery"}).with_columns(other=pl.lit(1)), "is not clear"),
    ):
        with pytest.raises(UsageError, match=words):
            examine({None: frame}, dataset)
    np.testing.assert_allclose(logits(examine({None: p.rename({"score": "mystery"})}, dataset)), wanted(rows))
    said = examine({None: p.rename({"score": "logit"})}, dataset, Chosen(scale="logit"))
    np.testing.assert_array_equal(logits(said), p["score"].to_numpy())
    with pytest.raises(Refused, match="outside 0 to 1"):
        examine({None: z.rename({"score": "probability"})}, dataset)


@pytest.mark.parametrize("bad", ["", "nan", "inf", "0,5 %"])
def test_a_score_is_needed_for_every_row(dataset, rows, tmp_path: Path, bad: str) -> None:
    lines = [f"{row},{score}" for row, score in of_test(rows).select("row_id", "score").iter_rows()]
    lines[2] = f'{lines[2].split(",")[0]},"{bad}"'
    (tmp_path / "p.csv").write_text("\n".join(["row_id,score", *lines]))
    with pytest.raises(Refused, match="line 4"):
        examine({None: tmp_path / "p.csv"}, dataset)


def test_probabilities_of_0_and_1_rank_beyond_all_others_and_rounding_is_said(dataset, rows) -> None:
    p = of_test(rows)["score"].to_numpy().round(3)
    p[:2] = 0, 1
    p[2:4] = 0.001, 0.999
    found = examine({"test": p}, dataset)
    z, said = logits(found), " ".join(found.sentences())
    assert np.isfinite(z).all() and z[0] == z.min() < z[2] and z[1] == z.max() > z[3]
    np.testing.assert_allclose(1 / (1 + np.exp(-z[:2])), [0.0005, 0.9995], rtol=1e-9)
    assert "2 of 24 probabilities are exactly 0 or 1" in said
    at = rows.with_row_index().filter(pl.col("split") == "val")["index"][0]
    edge = rows.with_columns(score=pl.when(pl.int_range(pl.len()) == at).then(0.0).otherwise("score"))
    of_both = examine({None: edge}, dataset)
    assert {split: part.scores.infinite for split, part in of_both.parts.items()} == {"val": 1, "test": 0}


@pytest.mark.parametrize("none", [np.zeros(0), np.zeros((0, 1)), pl.DataFrame({"row_id": [], "logit": []})])
def test_no_scores_are_a_sentence(dataset, tmp_path: Path, none) -> None:
    with pytest.raises(BadInputError, match="There are no scores in a table in memory"):
        examine({"test": none}, dataset)
    if isinstance(none, np.ndarray):
        np.save(tmp_path / "none.npy", none)
        with pytest.raises(BadInputError, match=r"There are no scores in none\.npy"):
            examine({"test": tmp_path / "none.npy"}, dataset)


def test_a_line_of_scores_that_is_none_is_not_left_out(dataset, tmp_path: Path) -> None:
    """Preparing may leave bad rows out; of an import each row is needed."""
    (tmp_path / "ragged.csv").write_text("row_id,logit\n216,0.5\n217,0.5,1\n")
    with pytest.raises(BadInputError, match=r"line 3.*a score is needed for every row") as said:
        examine({"test": tmp_path / "ragged.csv"}, dataset)
    assert "skip_bad_rows" not in str(said.value)


def test_nothing_is_unpickled(dataset, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:  # type: ignore[type-arg]
            return (Path(tmp_path / "exploded").write_text, ("x",))

    np.save(tmp_path / "p.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    (tmp_path / "p.pkl").write_bytes(pickle.dumps([Bomb()]))
    for name in ("p.npy", "p.pkl"):
        with pytest.raises(BadInputError, match="not opened"):
            examine({"test": tmp_path / name}, dataset)
    assert not (tmp_path / "exploded").exists()


def test_the_columns_of_other_libraries_need_no_options(dataset, rows, tmp_path: Path) -> None:
    frame = of_test(rows)
    shapes = {
        "fuxictr.csv": frame.select("label", pl.col("score").alias("y_pred")),
        "recbole.csv": frame.select(
            pl.col("user").alias("user_id:token"), pl.col("item").alias("item_id:token"),
            pl.col("timestamp").alias("timestamp:float"), pl.col("label").alias("label:float"),
            pl.col("score").alias("prediction"),
        ),
        "deepctr.csv": frame.select("row_id", pl.col("score").alias("pred_ctr"), pl.col("label").alias("click")),
        "kaggle.csv": frame.select(pl.col("row_id").alias("id"), pl.col("score").alias("click")),
    }  # fmt: skip
    for name, shape in shapes.items():
        shape.write_csv(tmp_path / name)
        if name == "kaggle.csv":  # `click` is what others call the label
            with pytest.raises(UsageError, match=r"others than 0 and 1|is not clear"):
                examine({"test": tmp_path / name}, dataset)
            found = examine({"test": tmp_path / name}, dataset, Chosen(score="click"))
        else:
            found = examine({"test": tmp_path / name}, dataset)
        np.testing.assert_array_equal(logits(found), wanted(rows), err_msg=name)


def test_rows_are_exported_as_they_came(dataset, rows, tmp_path: Path) -> None:
    given = pl.read_csv(LOG.encode()).with_row_index("row_id")
    joined = rows.join(given, on="row_id", how="inner", maintain_order="left")
    assert len(joined) == len(rows)
    for mine, theirs in (("user", "user_right"), ("item", "item_right"), ("timestamp", "time"), ("label", "clicked")):
        assert joined[mine].cast(pl.String).to_list() == joined[theirs].cast(pl.String).to_list(), mine
    export_rows(dataset, ["test"], tmp_path / "plain.csv", labels=False, history=True)
    plain = pl.read_csv(tmp_path / "plain.csv")
    assert "label" not in plain.columns
    assert plain["row_id"].to_list() == of_test(rows)["row_id"].to_list()
    earlier = {}
    for user, item, time in given.select("user", "item", "time").iter_rows():
        earlier.setdefault(user, []).append((time, item))
    for row, text in plain.select("row_id", "history_item").iter_rows():
        user, time = given["user"][row], given["time"][row]
        assert (
            pl.Series([text]).str.json_decode(pl.List(pl.String))[0].to_list()
            == [item for when, item in earlier[user] if when < time][-50:]
        )
    with pytest.raises(UsageError, match=r"\.parquet, \.csv or \.tsv"):
        export_rows(dataset, ["test"], tmp_path / "rows.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plain.csv"]
