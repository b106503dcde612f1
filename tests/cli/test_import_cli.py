"""`import predictions` and `data export` as from a shell."""

from __future__ import annotations

import polars as pl


def test_rows_go_out_and_scores_come_in(tiny, call, tmp_path) -> None:  # type: ignore[no-untyped-def]
    out = tmp_path / "rows.csv"
    code, value, _ = call("data", "export", "tiny", "--split", "test", "--out", str(out), "--without-labels", "--json")
    assert code == 0 and value["rows"] == tiny.meta.splits["test"].rows
    rows = pl.read_csv(out)
    assert "label" not in rows.columns
    scores = tmp_path / "scores.tsv"
    rows.select("row_id", ctr=(pl.col("row_id") % 89 + 1) / 100).reverse().write_csv(scores, separator="\t")
    arguments = ("import", "predictions", str(scores), "--data", "tiny", "--name", "dcn", "--seed", "1", "--json")
    code, looked, _ = call(*arguments, "--dry-run")
    assert code == 0 and "study" not in looked and looked["metrics"]["test"]["rows"] == value["rows"]
    code, kept, _ = call(*arguments)
    assert code == 0 and kept["study"] == "imported-tiny-1" and kept["configuration"] == "dcn (imported)"
    assert kept["splits"]["test"]["scale"] == "probability" and kept["metrics"] == looked["metrics"]
    code, _, error = call(*arguments)
    assert code == 2 and "has seed 1 of 'dcn' already" in error
    code, compared, _ = call("compare", kept["study"], "--json")
    assert code == 0 and compared["configurations"][0]["configuration"] == "dcn (imported)"
    rows.select("row_id", ctr=pl.lit(0.5)).slice(1).write_csv(scores, separator="\t")
    code, _, error = call(*arguments[:-2], "2", "--json")
    assert code == 2 and "1 row is missing" in error and "Traceback" not in error
    code, _, error = call("data", "export", "tiny", "--split", "tests", "--out", str(out))
    assert code == 2 and "Splits are train, val and test" in error
