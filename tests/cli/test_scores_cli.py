"""`compare-scores`: a file of scores, from a shell."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from mdaf_core.analysis.scores import compare_scores, read_scores


@pytest.fixture
def file(tmp_path):
    rng = np.random.default_rng(0)
    truth, user = rng.normal(size=400), rng.integers(0, 50, 400)
    label = (rng.random(400) < 1 / (1 + np.exp(-truth))).astype(int)
    scores = {f"{name}@{s}": truth + q * rng.normal(size=400) for name, q in (("a", 1), ("b", 0.1)) for s in (1, 2, 3)}
    path = tmp_path / "scores.csv"
    pl.DataFrame({"label": label, "user": user, **scores}).write_csv(path)
    return path


def test_text_and_json_say_what_the_core_says(call, file):
    expected = compare_scores(read_scores(file), reference="b")
    code, text, err = call("compare-scores", str(file), "--reference", "b")
    assert code == 0 and not err and "Against b: 2 configurations" in text
    code, found, _ = call("compare-scores", str(file), "--reference", "b", "--json")
    assert code == 0 and found["reference"] == "b"
    for shown, one in zip(found["configurations"], expected.configurations, strict=True):
        assert (shown["configuration"], shown["verdict"]) == (one.configuration, one.verdict)
        assert shown["summary"]["mean"] == one.summary.mean


def test_wrong_use_and_bad_files_are_sentences(call, file, tmp_path):
    code, out, err = call("compare-scores", str(file), "--reference", "c")
    assert code == 2 and not out and "There is no model 'c'. Models: a, b." in err
    code, out, err = call("compare-scores", str(tmp_path / "absent.csv"))
    assert code == 1 and not out and "absent.csv: There is no such file." in err
    code, out, err = call("compare-scores", str(file), "--margin", "wide")
    assert code == 2 and "A margin is" in err
