import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.data.prepare.vocabulary import Vocabulary


def test_codes_follow_the_training_ids():
    vocabulary = Vocabulary.build(pl.Series([30, 10, 10, 20]))
    assert vocabulary.size == 5
    assert vocabulary.encode(pl.Series([10, 20, 30, 99, 10])).tolist() == [2, 3, 4, 1, 2]


def test_min_count_leaves_rare_ids_unknown():
    vocabulary = Vocabulary.build(pl.Series(["a", "b", "a", "c", "c"]), min_count=2)
    assert vocabulary.ids.to_list() == ["a", "c"]
    assert vocabulary.encode(pl.Series(["a", "b", "c"])).tolist() == [2, 1, 3]


def test_missing_is_an_id_of_its_own_and_not_unknown():
    vocabulary = Vocabulary.build(pl.Series([5, None, 7, None]))
    codes = vocabulary.encode(pl.Series([None, 5, 7, 8], dtype=pl.Int64))
    assert vocabulary.size == 5 and codes[3] == 1 and min(codes[:3]) >= 2 and len(set(codes)) == 4


def test_missing_that_training_never_saw_is_unknown():
    vocabulary = Vocabulary.build(pl.Series([5, 7]))
    assert vocabulary.encode(pl.Series([5, None, 7])).tolist() == [2, 1, 3]


@pytest.mark.parametrize("dtype", [pl.Int32, pl.Int64, pl.UInt32, pl.String])
def test_integer_widths_and_text_meet(dtype):
    vocabulary = Vocabulary.build(pl.Series([3, 300, 70], dtype=pl.Int64))
    codes = vocabulary.encode(pl.Series([300, 4, 70]).cast(dtype))
    assert codes[1] == 1
    assert codes[0] >= 2 and codes[2] >= 2 and codes[0] != codes[2]


def test_categorical_text_is_text():
    values = pl.Series(["x", None, "y"], dtype=pl.Categorical)
    vocabulary = Vocabulary.build(values)
    assert vocabulary.ids.to_list() == ["", "x", "y"]
    assert vocabulary.encode(values).tolist() == [3, 2, 4]


ids = st.lists(st.one_of(st.none(), st.integers(-3, 6)), min_size=0, max_size=20)


@given(ids, ids, ids, st.booleans())
def test_identities_are_equal_where_raw_ids_are(training, rows, past, text):
    dtype = pl.String if text else pl.Int64
    training, rows, past = (pl.Series(values, dtype=pl.Int64).cast(dtype) for values in (training, rows, past))
    vocabulary = Vocabulary.build(training)
    codes = vocabulary.encode(rows), vocabulary.encode(past)
    (here, there), unseen = vocabulary.identities((rows, codes[0]), (past, codes[1]))
    pairs = list(zip([*rows, *past], [*here.tolist(), *there.tolist()], strict=True))
    assert all((a == b) == (x == y) for a, x in pairs for b, y in pairs)
    assert sorted({x for _, x in pairs if x >= vocabulary.size}) == list(
        range(vocabulary.size, vocabulary.size + len(unseen.ids))
    )
    known = codes[0] != 1
    assert (here[known] == codes[0][known]).all() and (here[~known] >= vocabulary.size).all()


def test_file_holds_codes_ids_and_titles(tmp_path):
    vocabulary = Vocabulary.build(pl.Series([2, 1, 3]))
    vocabulary.write(tmp_path / "v.arrow", pl.DataFrame({"id": [1, 3, 9], "title": ["one", "three", "nine"]}))
    assert pl.read_ipc(tmp_path / "v.arrow").rows() == [
        (2, "1", "one"),
        (3, "2", None),
        (4, "3", "three"),
    ]
    Vocabulary.build(pl.Series([], dtype=pl.Int64)).write(tmp_path / "empty.arrow")
    assert pl.read_ipc(tmp_path / "empty.arrow").height == 0


@given(st.lists(st.integers(-(2**40), 2**40) | st.integers(-5, 300), max_size=40), st.integers(1, 3))
def test_ids_are_those_that_occur_often_enough(values, least):
    vocabulary = Vocabulary.build(pl.Series(values, dtype=pl.Int64), least)
    assert vocabulary.ids.to_list() == sorted({value for value in values if values.count(value) >= least})


def test_long_ids_are_written_alike_in_whichever_order_they_were_met(tmp_path):
    ids, written = [f"A{i:027}" for i in range(500)], set()
    for seed in range(3):
        met = np.random.default_rng(seed).permutation(ids).tolist()
        Vocabulary.build(pl.Series(met, dtype=pl.Categorical)).write(path := tmp_path / f"{seed}.arrow")
        written.add(path.read_bytes())
        assert pl.read_ipc(path)["id"].to_list() == ids
    assert len(written) == 1
