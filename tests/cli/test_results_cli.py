"""`import results`, from a shell."""

from __future__ import annotations

import random

from mdaf_core.runs.published.opened import __file__ as presets


def bars(folder, seed=None):
    from pathlib import Path

    head, *lines = Path(presets).with_name("bars.csv").read_text().splitlines()
    if seed is not None:
        random.Random(seed).shuffle(lines)
    path = folder / f"runs{seed}.csv"
    path.write_text("\n".join([head, *lines]) + "\n")
    return path


def test_the_same_bytes_in_any_order_and_kept_once(call, tmp_path):
    files = [str(bars(tmp_path, seed)) for seed in (None, 5)]
    found = [call("import", "results", file, "--json", "--margin", "proposed") for file in files]
    assert found[0][1] == found[1][1] and found[0][0] == 0
    document = found[0][1]
    assert document["best_of_seeds"]["best"] == 18 and document["read_as"][0] == "Read as a table with a header."
    import mdaf_core

    alone = mdaf_core.audit_results(files[1], margin="proposed")
    assert alone.best_of_seeds.model_dump(mode="json", by_alias=True) == document["best_of_seeds"]
    code, text, err = call("import", "results", "--kept", document["id"])
    assert code == 0 and "In 31 of 31 pairs with 5 seeds the shown figure is that of seed 2021" in text and not err


def test_tables_and_text_are_written(call, tmp_path):
    code, text, _ = call(
        "import", "results", "--preset", "bars", "--out", str(tmp_path / "out"), "--margin", "proposed"
    )
    assert code == 0 and "proposed by the program" in text and "criteo_x1: AUC, reported" in text
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"reported-criteo-x1.tex", "reported-criteo-x1.csv", "results.md", "results.tex"} <= names
    printed = (tmp_path / "out" / "reported-criteo-x1.tex").read_text()
    assert "Reported results on criteo" in printed and "[U+" not in printed


def test_wrong_use_is_a_sentence(call, tmp_path):
    path = str(bars(tmp_path))
    for words, arguments in (
        ("Name one source", ("import", "results")),
        ("Known: bars", ("import", "results", "--preset", "x")),
        ("takes METRIC=COLUMN", ("import", "results", path, "--test", "auc")),
        ("no column 'seeds'", ("import", "results", path, "--seed", "seeds")),
        ("no metric 'hr'", ("import", "results", path, "--metric", "hr", "--dry-run")),
    ):
        code, _, err = call(*arguments)
        assert code == 2 and words in err
