"""Amazon Reviews 2023 against its lines, read by plain Python; and what a good guess gets wrong."""

from __future__ import annotations

import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.amazon_reviews import SOURCE, AmazonReviewsOptions
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.schema import OUTCOME, SPLITS
from mdaf_core.runs.provenance import fingerprint
from tests.data.published_files import histories, write_amazon_reviews


@pytest.fixture(autouse=True)
def _own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("MDAF_HOME", str(tmp_path / "artifacts"))


PARTS = {"train": "train", "valid": "val", "test": "test"}


@pytest.fixture
def root(tmp_path):
    write_amazon_reviews(tmp_path)
    return tmp_path / "5core"


def _read(path, **options):
    return SOURCE.read(path, AmazonReviewsOptions(**options), no_progress)


def _lines(folder):
    for name, part in PARTS.items():
        for line in (folder / f"Toys_and_Games.{name}.csv").read_text().splitlines()[1:]:
            user, item, stars, time, past = line.split(",")
            yield user, item, int(float(stars) >= 4), int(time), part, past.split()


@pytest.mark.parametrize("folder", ["last_out_w_his", "timestamp_w_his"])
@pytest.mark.parametrize("named", ["", "Toys_and_Games.valid.csv"])
def test_parts_are_kept_row_for_row(root, folder, named):
    table, lines = _read(root / folder / named, history="given"), list(_lines(root / folder))
    columns = ["user", "item", "label", "timestamp", "split"]
    rows = table.rows.select(pl.col("user", "item", "split").cast(pl.String), "label", "timestamp").select(columns)
    assert rows.rows() == [line[:5] for line in lines] and not table.notes
    blocks = table.events.group_by("row", maintain_order=True).agg(pl.col("item").cast(pl.String)).rows()
    assert dict(blocks) == {i: line[5] for i, line in enumerate(lines) if line[5]}
    assert table.time_unit == "ms" and table.rows["hour"].n_unique() > 5


def test_earlier_reviews_are_the_histories_of_the_files(root):
    dataset, lines = prepare("amazon-reviews", path=root / "last_out_w_his"), list(_lines(root / "last_out_w_his"))
    assert dataset.meta.split["kind"] == "given" and not dataset.meta.ready_made_history
    for split in SPLITS:
        for row, past in zip(dataset.rows(split).row_id.tolist(), histories(dataset, split), strict=True):
            assert lines[row][4] == split and len(past) == len(lines[row][5])
            assert all(item in (None, known) for item, known in zip(past, lines[row][5], strict=True))
    checks = {check.id: check.status for check in stored_audit(dataset).checks}
    assert checks["history-earlier"] == "pass" and checks["rows-across-splits"] == "pass"
    assert checks["split-times"] in ("warn", "fail")  # a user's last review may be years before another's first


@pytest.mark.parametrize("kept", ["reviews", "liked"])
def test_what_came_of_earlier_reviews_are_their_stars(root, kept):
    lines = (root / "rating_only" / "Toys_and_Games.csv").read_text().splitlines()[1:]
    dataset = prepare("amazon-reviews", path=root / "rating_only", options={"history": kept})
    given: dict[tuple[str, int], float] = {}
    for line in lines:
        user, _, stars, time = line.split(",")
        if kept == "reviews" or float(stars) >= 4:
            given[user, int(time)] = float(stars)
    log, users = dataset.events, dataset.users.to_list()
    assert dataset.meta.outcomes == [f"{stars:g}" for stars in sorted(set(given.values()))]
    told = [None, *map(float, dataset.meta.outcomes)]
    found = {
        (users[user], time): told[code]
        for user, time, code in zip(*(log[name].tolist() for name in ("user_index", "timestamp", OUTCOME)), strict=True)
    }
    assert found == given and len(set(found.values())) > 1


def test_one_file_without_parts_is_split_by_time(root):
    dataset = prepare("amazon-reviews", path=root / "rating_only", options={"history": "liked", "positive_from": 5})
    assert dataset.meta.split["kind"] == "time" and dataset.meta.events == sum(
        counts.positives for counts in dataset.meta.splits.values()
    )
    assert dataset.meta.label.startswith("rated 5 stars or more")
    with pytest.raises(UsageError, match="no column 'history'"):
        _read(root / "rating_only", history="given")
    with pytest.raises(UsageError, match="given"):
        prepare("amazon-reviews", path=root / "rating_only", options={"split": "given"})


def test_the_same_files_prepared_again_are_the_same_data(root):
    made = {fingerprint(prepare("amazon-reviews", path=root / "rating_only", again=True)) for _ in range(3)}
    assert len(made) == 1


def test_times_in_seconds_are_refused(root):
    path = root / "rating_only" / "Toys_and_Games.csv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header, *(line[:-3] for line in lines)]) + "\n")
    with pytest.raises(BadInputError, match="Unix time in ms"):
        _read(path)


@pytest.mark.parametrize("mark", ["^", "|", ";"])
def test_histories_joined_by_something_else_are_refused(root, mark):
    path = root / "last_out_w_his" / "Toys_and_Games.test.csv"
    path.write_text(path.read_text().replace(" ", mark))
    with pytest.raises(BadInputError, match="history must be written as B00NP0R05C B00DXXGXUW"):
        _read(path, history="given")


def test_further_reviews_of_a_pair_are_said(root):
    path = root / "rating_only" / "Toys_and_Games.csv"
    path.write_text(path.read_text() + path.read_text().splitlines()[1] + "\n")
    assert "further review of a product by the same user" in _read(path).notes[0]


def test_files_as_the_scripts_write_them(root):
    """Without a header."""
    path = root / "rating_only" / "Toys_and_Games.csv"
    whole = _read(path).rows
    path.write_text("".join(path.read_text().splitlines(keepends=True)[1:]))
    assert _read(path).rows.equals(whole)


def test_the_samples(shared_data):
    folder = shared_data / "formats" / "amazon2023" / "5core"
    assert len(_read(folder / "rating_only").rows) == 344
    table = _read(folder / "last_out_w_his", history="given")
    assert table.rows["split"].cast(pl.String).value_counts().sort("split").rows() == [
        ("test", 40),
        ("train", 264),
        ("val", 40),
    ]
