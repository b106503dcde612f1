"""Ali-CCP against its lines, read by plain Python; and what a good guess gets wrong."""

from __future__ import annotations

import numpy as np
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.ali_ccp import _FEATURES, SOURCE, AliCcpOptions
from mdaf_core.data.formats.base import parse_options
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.schema import SPLITS
from tests.data.published_files import write_ali_ccp


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "artifacts"))


@pytest.fixture
def made(tmp_path):
    return tmp_path / "ccp", write_ali_ccp(tmp_path / "ccp")


def _read(path, **options):
    return SOURCE.read(path, AliCcpOptions(**options), no_progress)


def _possible(made):
    """The impressions of both parts, without those that cannot be."""
    return [(part, one) for part in made for one in made[part] if one["click"] or not one["conversion"]]


def _largest(features, name, n=0):
    """The id with the n-th largest value."""
    ids = sorted(features.get(_FEATURES[name].id, {}).items(), key=lambda one: -one[1])
    return ids[n][0] if n < len(ids) else None


def test_every_feature_of_every_row(made):
    path, raw = made
    options = {"lists": "past_categories,past_brands", "list_ids": 2, "values": "category_match"}
    dataset, expected = prepare("ali-ccp", path=path, options=options), _possible(raw)
    meta = dataset.meta
    assert meta.split["kind"] == "given" and not meta.has_time and not meta.history_fields
    dropped = sum(map(len, raw.values())) - len(expected)
    assert dropped and any(f"{dropped:,} impressions have a purchase and no click" in note for note in meta.notes)
    assert any("intention_match (853) has several ids" in note for note in meta.notes)
    names = {field: dict(dataset.vocabulary(field).select("code", "id").rows()) for field in meta.categorical}
    lists = {f"{name}_{n + 1}": (name, n) for name in ("past_categories", "past_brands") for n in range(2)}
    seen = 0
    for split in SPLITS:
        rows = dataset.rows(split)
        for position, row in enumerate(rows.row_id.tolist()):
            part, one = expected[row]
            assert (split == "test") == (part == "test") and rows.label[position] == one["click"]
            for field in names:
                known = _largest(one["features"], *lists.get(field, (field,)))
                found = names[field].get(int(rows.columns[field][position]))
                assert found in (None, "" if known is None else str(known)), field
            seen += 1
    assert seen == len(expected)
    checks = {check.id: check.status for check in stored_audit(dataset).checks}
    assert "fail" not in checks.values()


def test_ties_in_value_keep_the_order_of_the_line(made):
    path, raw = made
    table = _read(path, fields="intention", without_click="keep")
    assert len(table.rows) == sum(map(len, raw.values()))
    found = table.rows["intention"].to_list()
    for line, id in zip((path / "sample_skeleton_train.csv").read_text().splitlines(), found, strict=False):
        own = [
            one.split("\x02")[1].split("\x03")[0] for one in line.split(",")[5].split("\x01") if one[:4] == "210\x02"
        ]
        assert id == (int(own[0]) if own else None)


def test_purchases_among_clicks(made):
    path, raw = made
    table = _read(path, label="conversion")
    clicked = [one["conversion"] for part in raw for one in raw[part] if one["click"]]
    assert table.rows["label"].to_list() == clicked and "bought after the click" in table.label


def test_values_are_those_of_the_id_taken(made):
    path, raw = made
    table = _read(path, values="category_match")
    wanted = [max(one["features"]["508"].values()) for _, one in _possible(raw)]
    assert np.allclose(table.rows["category_match_value"].to_numpy(), wanted)


def test_an_index_that_no_user_has_is_said(made):
    path, raw = made
    file = path / "common_features_test.csv"
    first, *others = file.read_text().splitlines(keepends=True)
    file.write_text("".join(others))
    lost = sum(one["index"] == first.split(",")[0] for _, one in _possible({"test": raw["test"]}))
    table = _read(path)
    assert lost and table.rows["user"].null_count() == lost
    assert any("common_features_test.csv does not describe 1 index" in note for note in table.notes)


def test_new_rows_are_those_of_the_file(made):
    path, raw = made
    new = SOURCE.read(path / "sample_skeleton_test.csv", AliCcpOptions().for_new_rows(), no_progress)
    assert new.rows["item"].to_list() == [_largest(one["features"], "item") for one in raw["test"]]
    users = [str(_largest(one["features"], "user")) for one in raw["test"]]
    assert new.rows["user"].cast(str).to_list() == users
    with pytest.raises(BadInputError, match="name and place it so"):
        SOURCE.read(path / "common_features_test.csv", AliCcpOptions().for_new_rows(), no_progress)


WRONG = {
    "commas": ("sample_skeleton_train.csv", lambda text: text.replace("\x01", ","), "must have 6 fields"),
    "colons": ("common_features_train.csv", lambda text: text.replace("\x02", ":"), "written as field, "),
    "a header": ("sample_skeleton_train.csv", lambda text: "id,click,conversion,index,n,list\n" + text, "header"),
    "an index twice": ("common_features_train.csv", lambda text: text + text.splitlines()[0] + "\n", "described twice"),
    "clicks of 2": ("sample_skeleton_train.csv", lambda text: text.replace("0,0,", "0,2,", 1), "must be one of 0, 1"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_files_that_are_none_of_it(made, wrong):
    name, change, words = WRONG[wrong]
    (made[0] / name).write_text(change((made[0] / name).read_text()))
    with pytest.raises(BadInputError, match=words):
        _read(made[0])


def test_folders(made, tmp_path):
    path, _ = made
    whole = _read(path).rows
    for part in ("train", "test"):
        folder = tmp_path / "apart" / f"sample_{part}"
        folder.mkdir(parents=True)
        for name in ("sample_skeleton", "common_features"):
            (path / f"{name}_{part}.csv").rename(folder / f"{name}_{part}.csv")
    assert _read(tmp_path / "apart").rows.equals(whole)
    assert "split" not in _read(tmp_path / "apart" / "sample_train").rows.columns
    assert len(SOURCE.files(tmp_path / "apart", AliCcpOptions())) == 4
    (tmp_path / "apart" / "sample_test" / "common_features_test.csv").unlink()
    with pytest.raises(BadInputError, match=r"no common_features_test\.csv beside"):
        SOURCE.check(tmp_path / "apart", AliCcpOptions())
    with pytest.raises(UsageError, match="in fields and in lists"):
        parse_options(SOURCE, {"fields": "intention", "lists": "intention"})
