"""A run predicts from raw lines what it predicted of the prepared rows; what is new, missing or wrong is said."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mdaf_core.base.errors import BadInputError, StudioError, UsageError
from mdaf_core.data.apply import pieces
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.predicting.predict import predict_file, predict_frame
from mdaf_core.predicting.predictor import find_run, open_run
from tests.data.raw_files import write_criteo, write_ml_100k, write_ml_csv, write_taobao_ads, write_user_behavior
from tests.predicting.trained import make_run, stored

SCORES = ("logit", "probability", "g", "logit_static", "logit_sequential")


def test_ids(dataset: PreparedDataset) -> np.ndarray:
    """Positions in the input of the test rows, ascending."""
    return np.sort(np.asarray(dataset.rows("test").row_id))


test_ids.__test__ = False  # type: ignore[attr-defined]


def lines_of(path: Path, rows: np.ndarray, header: int = 0) -> str:
    lines = path.read_text("latin-1").splitlines(keepends=True)
    return "".join(lines[:header] + [lines[header:][row] for row in rows])


def check_same(run, out: Path, rows: np.ndarray) -> pl.DataFrame:
    """That `out` holds the stored test predictions, to 1e-6; returns it."""
    found, known = pl.read_parquet(out), stored(run)
    assert found["row"].to_list() == list(range(len(rows)))
    both = known.join(found.with_columns(row_id=pl.Series(rows)), on="row_id", suffix="_new")
    assert len(both) == len(known) == len(found)
    for name in SCORES:
        assert (name in known.columns) == (name in found.columns)
        if name in known.columns:
            assert (both[name] - both[f"{name}_new"]).abs().max() < 1e-6, name  # type: ignore[operator]
    return found


@pytest.fixture
def taobao(home: Path, tmp_path: Path) -> Path:
    write_taobao_ads(tmp_path / "ads")
    return tmp_path / "ads"


@pytest.mark.parametrize("preset", ["lr", "bst", "mdaf-bst", "gbdt"])
@pytest.mark.parametrize("options", [{}, {"history": "buy,pv", "min_count": 3}])
def test_lines_of_user_behavior(home: Path, tmp_path: Path, preset: str, options: dict) -> None:
    raw = tmp_path / "UserBehavior.csv"
    write_user_behavior(raw, 900)
    dataset = prepare("user-behavior", path=raw, name="ub", options=options)
    run, rows = make_run(dataset, preset), test_ids(dataset)
    (tmp_path / "new.csv").write_text(lines_of(raw, rows))
    said = predict_file(open_run(run), tmp_path / "new.csv", tmp_path / "out.parquet")
    found = check_same(run, tmp_path / "out.parquet", rows)
    assert found.columns[:4] == ["row", "user", "item", "timestamp"] and said.labelled == len(rows)
    assert said.metrics is not None and said.metrics.rows == len(rows)
    assert "0 of the file" in said.notes[0]  # all of them are in the log already


@pytest.mark.parametrize("preset", ["mamba4rec-v2", "gbdt"])
def test_what_came_of_events_is_read_of_the_log_and_of_new_lines(home: Path, tmp_path: Path, preset: str) -> None:
    raw = tmp_path / "UserBehavior.csv"
    write_user_behavior(raw, 900)
    dataset = prepare("user-behavior", path=raw, name="ub")
    run, rows = make_run(dataset, preset, settings={"model.outcomes": True}), test_ids(dataset)
    (tmp_path / "new.csv").write_text(lines_of(raw, rows))
    predict_file(open_run(run), tmp_path / "new.csv", tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)
    item, category, kind, time = raw.read_text().splitlines()[int(rows[-1])].split(",")[1:]
    scores = set()
    for kind in ("pv", "buy", "fav", ""):  # of the event before the row, whose user is new
        new = (f"99,{item},{category},{done},{int(time) + later}\n" for done, later in ((kind, 0), ("", 600)))
        (tmp_path / "new.csv").write_text("".join(new))
        predict_file(open_run(run), tmp_path / "new.csv", tmp_path / "out.parquet")
        scores.add(pl.read_parquet(tmp_path / "out.parquet")["logit"][1])
    assert len(scores) >= (4 if preset == "mamba4rec-v2" else 2)


def test_a_model_that_reads_a_log_once_is_given_the_whole_of_it(home: Path, tmp_path: Path) -> None:
    raw = tmp_path / "UserBehavior.csv"
    write_user_behavior(raw, 500, users=4)
    dataset = prepare("user-behavior", path=raw, name="ub")
    run, rows = make_run(dataset, "mamba4rec-v2", settings={"training.history_encoding": "stream"}), test_ids(dataset)
    (tmp_path / "new.csv").write_text(lines_of(raw, rows))
    predict_file(open_run(run), tmp_path / "new.csv", tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)


def test_rows_without_a_behaviour_are_predicted_the_same(home: Path, tmp_path: Path) -> None:
    raw = tmp_path / "UserBehavior.csv"
    write_user_behavior(raw, 900)
    dataset = prepare("user-behavior", path=raw, name="ub")
    run, rows = make_run(dataset, "bst"), test_ids(dataset)
    bare = [line.split(",") for line in lines_of(raw, rows).splitlines()]
    (tmp_path / "new.csv").write_text("".join(f"{u},{i},{c},,{t}\n" for u, i, c, _, t in bare))
    said = predict_file(open_run(run), tmp_path / "new.csv", tmp_path / "out.parquet")
    assert "label" not in check_same(run, tmp_path / "out.parquet", rows).columns
    assert said.labelled == 0 and said.metrics is None
    table = pl.DataFrame(bare, schema=["user", "item", "category", "label", "timestamp"], orient="row").drop("label")
    table.write_parquet(tmp_path / "new.parquet")
    predict_file(open_run(run), tmp_path / "new.parquet", tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)


@pytest.mark.parametrize("preset", ["mdaf-bst", "gbdt"])
def test_lines_of_movielens_beside_its_other_files(home: Path, tmp_path: Path, preset: str) -> None:
    raw = tmp_path / "ml-100k"
    write_ml_100k(raw)
    dataset = prepare("movielens", path=raw, name="ml")
    run, rows = make_run(dataset, preset), test_ids(dataset)
    (tmp_path / "new.data").write_text(lines_of(raw / "u.data", rows))
    with pytest.raises(UsageError, match=r"new\.data holds rows alone: say with --beside"):
        predict_file(open_run(run), tmp_path / "new.data", tmp_path / "out.parquet")
    predict_file(open_run(run), tmp_path / "new.data", tmp_path / "out.parquet", beside=raw)
    check_same(run, tmp_path / "out.parquet", rows)
    with gzip.open(raw / "later.data.gz", "wb") as packed:  # it stands beside them already
        packed.write((tmp_path / "new.data").read_bytes())
    predict_file(open_run(run), raw / "later.data.gz", tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)
    (raw / "u.data").write_bytes((tmp_path / "new.data").read_bytes())
    predict_file(open_run(run), raw, tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)
    (tmp_path / "new.data").write_text("1\t2\tfive\t880000000\n")
    with pytest.raises(BadInputError, match=r"new\.data, line 1: The field rating must be a number"):
        predict_file(open_run(run), tmp_path / "new.data", tmp_path / "out.parquet", beside=raw)


def test_lines_of_a_csv_release(home: Path, tmp_path: Path) -> None:
    raw = tmp_path / "ml-latest"
    write_ml_csv(raw)
    dataset = prepare("movielens", path=raw, name="ml")
    run, rows = make_run(dataset, "bst"), test_ids(dataset)
    (tmp_path / "new.csv").write_text(lines_of(raw / "ratings.csv", rows, header=1))
    predict_file(open_run(run), tmp_path / "new.csv", tmp_path / "out.parquet", beside=raw)
    check_same(run, tmp_path / "out.parquet", rows)


@pytest.mark.parametrize("counts", ["buckets", "numbers"])
@pytest.mark.parametrize("preset", ["dcnv2", "gbdt"])
def test_lines_of_criteo_with_and_without_labels(home: Path, tmp_path: Path, counts: str, preset: str) -> None:
    raw = tmp_path / "train.txt"
    write_criteo(raw)
    dataset = prepare("criteo", path=raw, name="criteo", options={"counts": counts, "min_count": 2})
    run, rows = make_run(dataset, preset), test_ids(dataset)
    text = lines_of(raw, rows)
    (tmp_path / "new.txt").write_text(text)
    said = predict_file(open_run(run), tmp_path / "new.txt", tmp_path / "out.parquet")
    assert check_same(run, tmp_path / "out.parquet", rows).columns[:3] == ["row", "label", "probability"]
    assert said.labelled == len(rows)
    (tmp_path / "new.txt").write_text("".join(line.partition("\t")[2] for line in text.splitlines(keepends=True)))
    said = predict_file(open_run(run), tmp_path / "new.txt", tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)
    assert said.labelled == 0
    names = [*(f"I{i}" for i in range(1, 14)), *(f"C{i}" for i in range(1, 27))]
    values = [line.split("\t")[1:] for line in text.splitlines()]
    table = pl.DataFrame(
        [[v or None for v in row] for row in values], schema=dict.fromkeys(names, pl.String), orient="row"
    )
    table.with_columns(pl.col(names[:13]).cast(pl.Int64)).write_parquet(tmp_path / "new.parquet")
    predict_file(open_run(run), tmp_path / "new.parquet", tmp_path / "out.parquet")
    check_same(run, tmp_path / "out.parquet", rows)


@pytest.mark.parametrize(
    "options",
    [
        {"ad_fields": "brand,price", "profile_fields": "age_level,pvalue_level"},
        {"history": "behavior-log", "ad_fields": "campaign,pid"},
        {"protocol": "report", "sample": 900},
    ],
)
def test_lines_of_taobao_ads(taobao: Path, tmp_path: Path, options: dict) -> None:
    dataset = prepare("taobao-ads", path=taobao, name="ads", options=options)
    run = make_run(dataset, "mdaf-bst")
    (tmp_path / "out").mkdir()
    predict_file(open_run(run), taobao, tmp_path / "out" / "all.parquet")  # the whole input, once more
    found = pl.read_parquet(tmp_path / "out" / "all.parquet")
    if "sample" not in options:
        known = stored(run).join(found.with_columns(row_id=pl.col("row").cast(pl.Int64)), on="row_id", suffix="_new")
        assert len(known) == dataset.meta.splits["test"].rows
        assert (known["logit"] - known["logit_new"]).abs().max() < 1e-6  # type: ignore[operator]
    else:  # of a sample of impressions, histories hold what the sample left out, too
        assert len(found) == 1500


@pytest.fixture
def clicks(home: Path, tmp_path: Path) -> tuple[Path, PreparedDataset]:
    """A table with quoted text, numbers, missing values, times with fractions, and histories of clicks."""
    rng = np.random.default_rng(5)
    n = 400
    columns = {
        "who": [f"u{u}" for u in rng.integers(0, 12, n)],
        "ad": rng.integers(1, 90, n).astype(str).tolist(),
        "when": [f"{1_700_000_000 + t / 4:.2f}" for t in np.sort(rng.integers(0, 20_000, n))],
        "price": [None if rng.random() < 0.1 else f"{rng.lognormal():.3f}" for _ in range(n)],
        "text": [['plain', 'a "quoted"\nline', 'a, comma', None][k] for k in rng.integers(0, 4, n)],
        "clk": rng.integers(0, 2, n).tolist(),
    }  # fmt: skip
    path = tmp_path / "clicks.csv"
    pl.DataFrame(columns).write_csv(path)
    options = {
        "label": "clk", "user": "who", "item": "ad", "timestamp": "when", "categorical": "text", "numeric": "price",
        "history": "positives",
    }  # fmt: skip
    return path, prepare("table", path=path, name="clicks", options=options)


def rows_of(path: Path, rows: np.ndarray) -> pl.DataFrame:
    return pl.read_csv(path, infer_schema=False)[rows.tolist()]


@pytest.mark.parametrize("preset", ["mdaf-bst", "gbdt"])
def test_rows_of_a_table(clicks, tmp_path: Path, preset: str) -> None:
    path, dataset = clicks
    run, rows = make_run(dataset, preset), test_ids(dataset)
    new = rows_of(path, rows)
    for name in ("new.csv", "new.tsv", "new.parquet", "new.csv.gz"):
        target = tmp_path / name
        if name.endswith(".parquet"):
            new.with_columns(pl.col("ad").cast(pl.Int64), pl.col("price").cast(pl.Float64)).write_parquet(target)
        elif name.endswith(".gz"):
            target.write_bytes(gzip.compress(new.write_csv().encode()))
        else:
            new.write_csv(target, separator="\t" if name.endswith(".tsv") else ",")
        predict_file(open_run(run), target, tmp_path / "out.parquet")
        found = check_same(run, tmp_path / "out.parquet", rows)
        assert found.columns[:5] == ["row", "who", "ad", "when", "label"]
    predict_file(open_run(run), tmp_path / "new.csv", tmp_path / "out.csv")
    assert pl.read_csv(tmp_path / "out.csv")["logit"].to_list() == pytest.approx(found["logit"].to_list(), abs=1e-9)


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_a_table_in_a_zip(clicks, tmp_path: Path, ending: str) -> None:
    """Whatever the file in it is called; of two it cannot be told which is meant."""
    path, dataset = clicks
    run, rows = make_run(dataset, "bst"), test_ids(dataset)
    new, plain = rows_of(path, rows), tmp_path / f"inner{ending}"
    if ending in (".csv", ".tsv"):
        new.write_csv(plain, separator="\t" if ending == ".tsv" else ",")
    else:
        (new.write_parquet if ending == ".parquet" else new.write_ndjson)(plain)
    for name in (f"new{ending}.zip", "new.zip") if ending != ".tsv" else (f"new{ending}.zip",):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(plain, plain.name)
        predict_file(open_run(run), tmp_path / name, tmp_path / "out.parquet")
        check_same(run, tmp_path / "out.parquet", rows)
    with zipfile.ZipFile(tmp_path / name, "a") as archive:
        archive.write(plain, f"other{ending}")
    with pytest.raises(BadInputError, match=f"inner{ending}, other{ending}"):
        predict_file(open_run(run), tmp_path / name, tmp_path / "out.parquet")


def test_a_plain_table_in_a_zip(home: Path, tmp_path: Path) -> None:
    write_user_behavior(tmp_path / "UserBehavior.csv")
    dataset = prepare("user-behavior", path=tmp_path / "UserBehavior.csv", name="behavior")
    run, rows = make_run(dataset, "bst"), test_ids(dataset)
    lines = [line.split(",") for line in lines_of(tmp_path / "UserBehavior.csv", rows).splitlines()]
    names = ("user", "item", "category", "label", "timestamp")
    table = pl.DataFrame([dict(zip(names, line, strict=True)) for line in lines]).drop("label")
    with zipfile.ZipFile(tmp_path / "new.zip", "w") as archive:
        archive.writestr("new.csv", table.write_csv())
    predict_file(open_run(run), tmp_path / "new.zip", tmp_path / "zipped.parquet")
    table.write_csv(tmp_path / "new.csv")
    predict_file(open_run(run), tmp_path / "new.csv", tmp_path / "plain.parquet")
    assert pl.read_parquet(tmp_path / "zipped.parquet").equals(pl.read_parquet(tmp_path / "plain.parquet"))


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(40, 3000), st.integers(1, 60), st.randoms(use_true_random=False))
def test_neither_pieces_nor_the_order_of_rows_matter(clicks, tmp_path, monkeypatch, size, rows_at_once, random) -> None:
    path, dataset = clicks
    run, rows = make_run(dataset, "bst"), test_ids(dataset)
    random.shuffle(order := rows.tolist())
    order = np.array(order)
    monkeypatch.setattr(pieces, "PIECE_BYTES", size)
    monkeypatch.setattr(pieces, "PIECE_ROWS", rows_at_once)
    new = rows_of(path, order)
    new.write_csv(tmp_path / "new.csv")
    new.write_parquet(tmp_path / "new.parquet")
    for name in ("new.csv", "new.parquet"):
        predict_file(open_run(run), tmp_path / name, tmp_path / "out.parquet")
        check_same(run, tmp_path / "out.parquet", order)


def test_new_events_enter_later_histories_and_unlabelled_ones_do_not(clicks, tmp_path: Path) -> None:
    _, dataset = clicks
    run = make_run(dataset, "bst")
    new = pl.DataFrame(
        {
            "who": ["nobody", "nobody", "nobody", "nobody"],
            "ad": ["17", "17", "new", "new"],
            "when": [1.8e9, 1.8e9 + 1, 1.8e9 + 2, 1.8e9 + 3],
            "price": [1.0, 1.0, None, None],
            "text": ["plain", "plain", None, "never seen"],
            "clk": [1, None, 1, 0],
        }
    )
    found, said = predict_frame(open_run(run), new)
    assert said.unknown == {"user": 4, "item": 2, "text": 1, "hour": 4, "dayofweek": 4} and said.labelled == 3
    assert "0 events of the log, 2 of the file" in said.notes[0] and "1 rows have no label" in said.notes[1]
    alone, _ = predict_frame(open_run(run), new[[2]])
    assert found["logit"][2] != alone["logit"][0]  # it has a history
    first, _ = predict_frame(open_run(run), new[[0]])
    assert found["logit"][0] == pytest.approx(first["logit"][0], abs=1e-6)  # it has none
    again, said = predict_frame(open_run(run), pl.concat([new, new]))
    assert said.rows == 8 and again["row"].to_list() == list(range(8))


def test_what_is_wrong_is_said_with_its_line(clicks, tmp_path: Path, monkeypatch) -> None:
    path, dataset = clicks
    predictor = open_run(make_run(dataset, "bst"))
    out = tmp_path / "out.parquet"
    new = rows_of(path, np.arange(40))

    def refused(frame: pl.DataFrame, match: str, error: type[StudioError] = BadInputError) -> None:
        frame.write_csv(tmp_path / "new.csv")
        with pytest.raises(error, match=match):
            predict_file(predictor, tmp_path / "new.csv", out)
        assert not out.exists() and not list(tmp_path.glob(".mdaf-predict-*"))

    refused(new.drop("ad"), "There is no column 'ad'. Columns of the file: who, when")
    plain = new.with_columns(text=pl.lit("t"))
    refused(plain.with_columns(price=pl.Series(["1"] * 30 + ["cheap"] + ["1"] * 9)), "new.csv, line 32: .*'cheap'")
    monkeypatch.setattr(pieces, "PIECE_BYTES", 300)
    refused(plain.with_columns(price=pl.Series(["1"] * 30 + ["cheap"] + ["1"] * 9)), "new.csv, line 32: .*'cheap'")
    refused(plain.with_columns(who=pl.Series(["u1"] * 39 + [None])), "new.csv, line 41: The field who is empty")
    refused(plain.with_columns(clk=pl.lit("maybe")), "line 2: The label clk must be 0 or 1")
    (tmp_path / "empty.csv").write_text("who,ad,when,price,text\n")
    with pytest.raises(BadInputError, match="no rows"):
        predict_file(predictor, tmp_path / "empty.csv", out)
    with pytest.raises(BadInputError, match="no such file"):
        predict_file(predictor, tmp_path / "none.csv", out)
    with pytest.raises(UsageError, match=r"written as .parquet or .csv"):
        predict_file(predictor, path, tmp_path / "out.xlsx")
    with pytest.raises(BadInputError, match="The frame: Row 3: The field who is empty"):
        predict_frame(predictor, plain.with_columns(who=pl.Series(["u1"] * 2 + [""] + ["u1"] * 37)))


def test_a_data_set_that_is_another_now_is_refused(clicks, home: Path) -> None:
    _, dataset = clicks
    with pytest.raises(StudioError, match="prepared anew with other content"):
        open_run(make_run(dataset, "bst", fingerprint="0" * 16))
    with pytest.raises(StudioError, match="no longer here"):
        open_run(make_run(dataset, "lr", dataset="gone"))
    run = make_run(dataset, "gbdt")
    (run.directory / "model.txt").unlink()
    with pytest.raises(UsageError, match=r"has no model\.txt"):
        open_run(run)
    with pytest.raises(UsageError, match="There is no run"):
        find_run("feed")
