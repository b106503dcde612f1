"""Avazu's raw file against its lines, and the guesses that it invites.

Facts: kaggle.com/c/avazu-ctr-prediction/data (fields; hour is YYMMDDHH in UTC, ten days in order of time; clicks and
non-clicks were subsampled differently); `a99f214a` holds 82 of 100 rows of the published file.
"""

import gzip
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.avazu import NO_DEVICE, SOURCE
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.propose.table import propose
from mdaf_core.data.store.schema import SPLITS

pytestmark = pytest.mark.usefixtures("home")
HEADER = (
    "id,click,hour,C1,banner_pos,site_id,site_domain,site_category,app_id,app_domain,app_category,device_id,device_ip,"
    "device_model,device_type,device_conn_type,C14,C15,C16,C17,C18,C19,C20,C21"
)


def write_avazu(path, n=400, seed=0):
    """A file in the format of train.csv; its lines as lists of texts."""
    draw = np.random.default_rng(seed)
    hours = np.sort(draw.integers(0, 240, n))

    def hashed(of):
        return f"{int(draw.integers(1, of)) * 0x1003F1:08x}"

    lines = []
    for i, hour in enumerate(hours.tolist()):
        device = NO_DEVICE if draw.random() < 0.82 else hashed(40)
        lines.append(
            [str(10**19 + 7919 * i), str(int(draw.random() < 0.17)), f"1410{21 + hour // 24}{hour % 24:02}", "1005",
             str(draw.integers(0, 2)), *(hashed(8) for _ in range(6)), device, hashed(90), hashed(20), "1", "0",
             str(15700 + draw.integers(0, 20)), "320", "50", str(1722 + draw.integers(0, 9)), str(draw.integers(0, 4)),
             "35", "-1" if draw.random() < 0.5 else "100084", "79"]
        )  # fmt: skip
    path.write_text("\n".join([HEADER, *(",".join(line) for line in lines)]) + "\n")
    return lines


def test_rows_hours_and_fields(tmp_path):
    lines = write_avazu(tmp_path / "train.csv")
    dataset = prepare("avazu", path=tmp_path)
    meta, names = dataset.meta, HEADER.split(",")
    assert {field.name for field in meta.fields} == {*names[3:], "hour", "dayofweek"}  # neither id nor click
    assert not meta.has_user and not meta.history_fields and meta.timezone == "UTC" and not meta.timezone_assumed
    ids = {field: dict(dataset.vocabulary(field).select("code", "id").rows()) for field in meta.categorical}
    seen, hours = 0, {}
    for split in SPLITS:
        rows = dataset.rows(split)
        hours[split] = set()
        for i, row_id in enumerate(rows.row_id.tolist()):
            line, seen = lines[row_id], seen + 1
            moment = datetime.strptime(line[2], "%y%m%d%H").replace(tzinfo=UTC)
            assert rows.label[i] == int(line[1]) and rows.timestamp[i] == moment.timestamp()
            hours[split].add(line[2])
            of_line = dict(zip(names[3:], line[3:], strict=True)) | {
                "hour": str(moment.hour),
                "dayofweek": str(moment.isoweekday()),
            }
            for field, value in of_line.items():
                assert ids[field].get(int(rows.columns[field][i])) in (value, None if split != "train" else value)
    assert seen == len(lines)
    assert not hours["train"] & hours["val"] and not hours["val"] & hours["test"]  # whole hours
    assert not stored_audit(dataset).with_status("fail")
    titles = dict(dataset.vocabulary("device_id").select("id", "title").rows())
    assert titles[NO_DEVICE] == "no device"


def test_as_kaggle_ships_it(tmp_path):
    write_avazu(tmp_path / "train.csv", n=60)
    (tmp_path / "gz").mkdir()
    (tmp_path / "gz" / "train.gz").write_bytes(gzip.compress((tmp_path / "train.csv").read_bytes()))
    plain, packed = (
        SOURCE.read(path, SOURCE.options(), no_progress) for path in (tmp_path / "train.csv", tmp_path / "gz")
    )
    assert packed.rows.equals(plain.rows) and SOURCE.files(tmp_path / "gz", SOURCE.options()) == [
        tmp_path / "gz" / "train.gz"
    ]
    assert packed.inputs["train"]["sha256"] == plain.inputs["train.csv"]["sha256"]


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("hour", "1413849600", "hour must be 8 characters"),  # Unix time
        ("hour", "20141021", "hour must be YYMMDDHH"),  # a date
        ("hour", "14023000", "hour must be YYMMDDHH"),  # no such day
        ("hour", "14102124", "hour must be YYMMDDHH"),
        ("site_id", "site", "site_id must be 8 lowercase hexadecimal digits"),
    ],
)
def test_other_guesses_are_refused(tmp_path, column, value, words):
    lines = write_avazu(tmp_path / "train.csv", n=20)
    lines[7][HEADER.split(",").index(column)] = value
    (tmp_path / "train.csv").write_text("\n".join([HEADER, *map(",".join, lines)]))
    with pytest.raises(BadInputError, match=words) as refused:
        SOURCE.read(tmp_path / "train.csv", SOURCE.options(), no_progress)
    assert refused.value.line == 9


def test_what_is_no_training_file(tmp_path):
    lines = write_avazu(tmp_path / "train.csv", n=50)
    names = HEADER.split(",")
    (tmp_path / "test.csv").write_text(
        "\n".join([",".join(names[:1] + names[2:]), *(",".join(line[:1] + line[2:]) for line in lines)])
    )
    with pytest.raises(BadInputError, match="no column click"):
        prepare("avazu", path=tmp_path / "test.csv")
    new = SOURCE.read(tmp_path / "test.csv", SOURCE.options().for_new_rows(), no_progress)
    assert new.rows["label"].null_count() == len(lines) and new.rows["timestamp"].null_count() == 0
    assert SOURCE.is_own(tmp_path / "test.csv")
    with pytest.raises(UsageError, match="no option 'user'"):
        prepare("avazu", path=tmp_path, options={"user": "device_id"})


def test_a_device_is_no_user(tmp_path):
    """As a table one can say so; the audit names the one value."""
    write_avazu(tmp_path / "train.csv", n=300)
    options = {"label": "click", "user": "device_id", "categorical": "C14,site_id", "timestamp": "hour"}
    dataset = prepare("table", path=tmp_path / "train.csv", options=options | {"timestamp_format": "%y%m%d%H"})
    check = next(check for check in stored_audit(dataset).checks if check.id == "concentrated-users")
    assert check.status == "warn" and NO_DEVICE in check.sentence


def test_the_proposal_names_the_source(tmp_path):
    write_avazu(tmp_path / "train.csv", n=30)
    proposal = propose(tmp_path / "train.csv")
    assert proposal.source == "avazu" and "id" in proposal.left_out
    assert proposal.command("train.csv")[-3:] == ["avazu", "--path", "train.csv"]


def test_an_excerpt_is_read_as_a_table(tmp_path):
    write_avazu(tmp_path / "train.csv", n=300)
    frame = pl.read_csv(tmp_path / "train.csv")  # Polars makes 128 bits of the ids
    assert frame.schema["id"] == pl.Int128
    frame.write_parquet(tmp_path / "train.parquet")
    proposal = propose(tmp_path / "train.parquet")
    assert (proposal.source, proposal.options["label"], "user" in proposal.options) == ("table", "click", False)
    assert propose(tmp_path).source == "avazu"  # a folder
