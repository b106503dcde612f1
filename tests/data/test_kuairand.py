"""KuaiRand's files against their lines, and the guesses that they invite.

Facts: README of chongminggao/KuaiRand (files, fields, the random log of 22 April to 8 May 2022, statistics averaged
over one month); its example, 1650485801301 on 20220421 at 400, gives milliseconds, UTC+8 and an hour without minutes.
"""

import csv
import tarfile
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest

from mdaf_core.base.errors import BadInputError, UsageError
from mdaf_core.base.progress import no_progress
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.base import parse_options
from mdaf_core.data.formats.kuairand import SOURCE
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.prepare.resources import estimate
from mdaf_core.data.propose.table import propose
from mdaf_core.data.store.schema import SPLITS

pytestmark = pytest.mark.usefixtures("home")
LOG_HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
)
USER_HEADER = (
    "user_id,user_active_degree,is_lowactive_period,is_live_streamer,is_video_author,follow_user_num,"
    "follow_user_num_range,fans_user_num,fans_user_num_range,friend_user_num,friend_user_num_range,register_days,"
    "register_days_range," + ",".join(f"onehot_feat{i}" for i in range(18))
)
VIDEO_HEADER = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
    "music_id,music_type,tag"
)
LOG, USERS, VIDEOS = (header.split(",") for header in (LOG_HEADER, USER_HEADER, VIDEO_HEADER))
ZONE = timezone(timedelta(hours=8))
APRIL_8, APRIL_22, MAY_9 = (
    int(datetime(2022, month, day, tzinfo=ZONE).timestamp()) for month, day in ((4, 8), (4, 22), (5, 9))
)
RANGES = ["0", "(0,10]", "(10,50]", "(50,100]"]


def _write(path, header, lines):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *lines])


def write_kuairand(folder, n=250, users=12, videos=40, seed=0):
    """The files of KuaiRand-1K in `folder`/data; their lines as lists, by the beginning of their names."""
    draw = np.random.default_rng(seed)
    (folder / "data").mkdir(parents=True)
    files = {}
    for stem, begin, end, random in (
        ("log_standard_4_08_to_4_21", APRIL_8, APRIL_22, 0),
        ("log_standard_4_22_to_5_08", APRIL_22, MAY_9, 0),
        ("log_random_4_22_to_5_08", APRIL_22, MAY_9, 1),
    ):
        lines = []
        for _ in range(n):
            ms = 1000 * int(draw.integers(begin, end)) + int(draw.integers(0, 1000))
            moment = datetime.fromtimestamp(ms / 1000, ZONE)
            click = int(draw.random() < (0.2 if random else 0.5))
            play = int(draw.integers(7001, 90_000)) if click else int(draw.integers(0, 7000))
            lines.append(
                [int(draw.integers(0, users)), int(draw.integers(0, videos)), f"{moment:%Y%m%d}", 100 * moment.hour, ms,
                 click, int(click and draw.random() < 0.1), 0, 0, 0, 0, int(play > 18_000), play,
                 int(draw.integers(5, 210)) * 1000, 0, 0, 0, random, int(draw.choice([0, 1, 8]))]
            )  # fmt: skip
        files[stem] = sorted(lines, key=lambda line: line[0])
        _write(folder / "data" / f"{stem}_1k.csv", LOG, files[stem])
    files["user_features"] = [
        [user, "full_active", 0, -124 if user % 4 == 0 else 0, user % 2, user, RANGES[user % 4], 3, "[1,10)", 0, "0",
         400 + user, "366-730", *("" if i == 4 and user % 3 == 0 else (user + i) % 5 for i in range(18))]
        for user in range(users - 1)
    ]  # fmt: skip
    files["video_features_basic"] = [
        [video, video % 9, "NORMAL", "2022-04-10", "LongImport", "0.0", "87433.0", "720.0", "1280.0",
         9155697141 + video, "9.0", ["39", "12,65", ""][video % 3]]
        for video in range(videos)
    ]  # fmt: skip
    files["video_features_statistic"] = [[video, 66, 75.2 + video, video / 7] for video in range(videos)]
    for stem, header in (
        ("user_features", USERS),
        ("video_features_basic", VIDEOS),
        ("video_features_statistic", ["video_id", "counts", "show_cnt", "like_cnt"]),
    ):
        _write(folder / "data" / f"{stem}_1k.csv", header, files[stem])
    return files


@pytest.fixture
def files(tmp_path):
    return tmp_path / "KuaiRand-1K", write_kuairand(tmp_path / "KuaiRand-1K")


def _read(path, **options):
    return SOURCE.read(path, parse_options(SOURCE, options).at(path), no_progress)


def _rewrite(path, change):
    lines = [line.split(",") for line in path.read_text().splitlines()]
    path.write_text("\n".join([",".join(lines[0]), *(",".join(change(line)) for line in lines[1:])]) + "\n")


def test_the_random_log_is_a_test_of_its_own(files):
    folder, raw = files
    dataset = prepare("kuairand", path=folder, options={"split": "given"})
    first, second, random = list(raw.values())[:3]
    begin = min(line[4] for line in random)
    rows_read = [line for line in (*first, *second, *random) if line[17] or line[4] < begin]
    standard = [*first, *second]
    ids = {name: dict(dataset.vocabulary(name).select("code", "id").rows()) for name in dataset.meta.categorical}
    people = {line[0]: dict(zip(USERS, map(str, line), strict=True)) for line in raw["user_features"]}
    videos = {line[0]: line for line in raw["video_features_basic"]}
    events, seen = dataset.events, 0
    for split in SPLITS:
        rows = dataset.rows(split)
        for i, row_id in enumerate(rows.row_id.tolist()):
            line, seen = dict(zip(LOG, rows_read[row_id], strict=True)), seen + 1
            assert line["is_rand"] == (split == "test")  # no random exposure trains
            assert rows.label[i] == line["is_click"] and rows.timestamp[i] == line["time_ms"]
            person, video = people.get(line["user_id"], {}), videos[line["video_id"]]
            expected = {
                "item": line["video_id"], "user": line["user_id"], "tab": line["tab"], "hour": line["hourmin"] // 100,
                "follow_user_num_range": person.get("follow_user_num_range", ""), "author_id": video[1],
                "is_live_streamer": person.get("is_live_streamer", ""), "category": video[11].split(",")[0],
            }  # fmt: skip
            for name, value in expected.items():
                found = ids[name].get(int(rows.columns[name][i]))
                assert found == str(value) or (found is None and split != "train")
            past = sorted(
                (other[4], other[1]) for other in standard
                if other[0] == line["user_id"] and other[4] < line["time_ms"] and other[5]
            )  # fmt: skip
            a, b = rows.history_start[i], rows.history_end[i]
            assert events["timestamp"][a:b].tolist() == [time for time, _ in past]
    assert seen == len(rows_read)
    names = {field.name for field in dataset.meta.fields}
    assert "duration_ms" in names and not names & {*LOG[2:13], *LOG[14:18]}  # nothing that is known afterwards
    notes = " ".join(dataset.meta.notes)
    late = sum(line[4] >= begin for line in standard)
    assert f"{late} rows of the standard logs are as late as the random log" in notes
    assert "user_features_1k.csv does not describe 1 user" in notes and "no validation part" in notes
    assert not stored_audit(dataset).with_status("fail")


def test_ordinary_splits_leave_the_random_log_out(files):
    folder, raw = files
    table = _read(folder / "data", label="long_view", history="rows", user_fields="onehot_feat4,register_days_range")
    lines = [*raw["log_standard_4_08_to_4_21"], *raw["log_standard_4_22_to_5_08"]]
    assert table.rows["label"].to_list() == [line[11] for line in lines]
    assert table.rows["timestamp"].to_list() == [line[4] for line in lines] == table.events["timestamp"].to_list()
    assert "log_random_4_22_to_5_08_1k.csv" not in table.inputs and "split" not in table.rows.columns
    assert "log_random_4_22_to_5_08_1k.csv is not read: it is there to test on" in " ".join(table.notes)
    for file in (folder / "data").iterdir():  # without the size in its name, as the README has some
        file.rename(file.with_name(file.name.replace("_1k", "")))
    options = {"label": "long_view", "history": "rows", "user_fields": "onehot_feat4,register_days_range"}
    assert _read(folder, **options).rows.equals(table.rows)
    assert {"register_days_range", "onehot_feat4"} <= {field.name for field in table.fields}
    mixed = folder / "mixed.csv"  # of both logs, under any name
    _write(mixed, LOG, [*lines[:50], *raw["log_random_4_22_to_5_08"]])
    alone = _read(mixed)
    assert len(alone.rows) == 50 and "250 rows that chance chose (is_rand is 1) were left out" in " ".join(alone.notes)


def test_as_the_site_ships_it(files):
    folder, _ = files
    packed = folder.with_name("KuaiRand-1K.tar.gz")
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(folder, "KuaiRand-1K")
    assert _read(packed, split="given").rows.equals(_read(folder, split="given").rows)
    options = SOURCE.options().at(packed)
    assert options.user_fields and SOURCE.files(packed, options) == [packed]
    assert SOURCE.size(packed, options) == SOURCE.size(folder, options)


def test_statistics_know_the_future(files):
    folder, raw = files
    assert "like_cnt" not in _read(folder).rows.columns
    table = _read(folder, statistics="like_cnt,show_cnt")
    likes = {line[0]: line[3] for line in raw["video_features_statistic"]}
    assert table.rows["like_cnt"].to_list() == pytest.approx([likes[item] for item in table.rows["item"]])
    assert any("like_cnt, show_cnt" in note and "they know the future" in note for note in table.notes)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"statistics": "play_time_ms"}, "play_time_ms is known only after the video was shown"),
        ({"video_fields": "is_like"}, "is_like is known only after"),
        ({"video_fields": "visible_status"}, "visible_status says whether the video can be seen now"),
        ({"user_fields": "hourmin"}, "hourmin is the hour of time_ms times 100, without minutes"),
        ({"label": "play_time_ms"}, "The option label must be"),
    ],
)
def test_what_is_no_input_is_refused_by_name(options, words):
    with pytest.raises(UsageError, match=words):
        parse_options(SOURCE, options)


def test_times_of_another_kind(files):
    folder, _ = files
    log = folder / "data" / "log_standard_4_22_to_5_08_1k.csv"
    _rewrite(log, lambda line: [*line[:3], str((int(line[3]) - 800) % 2400), *line[4:]])  # hourmin taken in UTC
    assert any("hourmin is not the hour of time_ms in UTC+8 in 250 rows" in note for note in _read(log).notes)
    _rewrite(log, lambda line: [*line[:4], line[4][:-3], *line[5:]])
    with pytest.raises(BadInputError, match="as Unix time in ms are the year 1970"):
        _read(log)


def test_files_that_are_not_there_or_otherwise(files):
    folder, _ = files
    data = folder / "data"
    with pytest.raises(BadInputError, match="All rows are of the random log"):
        _read(data / "log_random_4_22_to_5_08_1k.csv")
    with pytest.raises(BadInputError, match="split=given tests on the random log, and there is none"):
        _read(data / "log_standard_4_08_to_4_21_1k.csv", split="given")
    users = data / "user_features_1k.csv"
    users.write_text(users.read_text().replace('"', ""))  # the commas of [1,10) part fields now
    with pytest.raises(BadInputError, match="must have 31 fields") as refused:
        _read(folder)
    assert refused.value.line == 2
    for file in data.glob("*features*"):
        file.unlink()
    alone = _read(folder)
    assert [field.name for field in alone.fields] == ["item", "user", "tab", "duration_ms", "hour", "dayofweek"]
    assert any("no inputs of users and videos but their ids" in note for note in alone.notes)
    with pytest.raises(BadInputError, match=r"no file user_features_…csv beside the logs, which user_fields needs"):
        prepare("kuairand", path=folder, options={"user_fields": "register_days_range"})
    with pytest.raises(UsageError, match=r"needs about .* of memory, and the limit is"):
        prepare("kuairand", path=folder, memory_limit=1000)


def test_the_proposal_names_the_source(files):
    folder, _ = files
    log = folder / "data" / "log_standard_4_08_to_4_21_1k.csv"
    proposal = propose(log)
    assert proposal.command(log)[3:] == ["prepare", "kuairand", "--path", str(log)]
    assert {"is_like", "play_time_ms", "hourmin", "date"} <= proposal.left_out.keys()


def test_the_largest_comes_in_parts_and_is_estimated(files):
    folder, raw = files
    data = folder / "data"
    lines = (data / "log_standard_4_08_to_4_21_1k.csv").read_text().splitlines(keepends=True)
    for file in data.glob("log_*"):
        file.unlink()
    for number, part in ((1, lines[1:100]), (2, lines[100:])):
        (data / f"log_standard_4_08_to_4_21_27k_part{number}.csv").write_text(lines[0] + "".join(part))
    table = _read(folder)
    assert table.rows["timestamp"].to_list() == [line[4] for line in raw["log_standard_4_08_to_4_21"]]
    for number in (1, 2):  # as large as published, with holes in place of most of it
        with (data / f"log_standard_4_08_to_4_21_27k_part{number}.csv").open("w") as file:
            file.write(lines[0] + "".join(lines[1:]) * 500)
            file.truncate(4_800_000_000)
    need = estimate(SOURCE, folder, SOURCE.options().at(folder))
    assert 100e6 < need.rows < 160e6 and need.memory > 10e9
