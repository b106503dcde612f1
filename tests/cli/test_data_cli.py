import io
import sys
from contextlib import redirect_stderr, redirect_stdout

import polars as pl
import pytest

from mdaf_core.cli.main import main
from tests.cli.conftest import strict


class Done:
    def __init__(self, returncode, stdout, stderr):
        self.returncode, self.stdout, self.stderr = returncode, stdout, stderr


def _run(home, *arguments):
    """`python -m mdaf_core data …` in this process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("MDAF_HOME", str(home))
        patch.setattr(sys, "argv", ["mdaf_core", "data", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
            raise SystemExit(0)
    return Done(ended.value.code or 0, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """An artifacts folder with `synthetic-tiny`."""
    folder = tmp_path_factory.mktemp("home")
    done = _run(folder, "prepare", "synthetic", "--json")
    assert done.returncode == 0, done.stderr
    value = strict(done.stdout)
    assert value["name"] == "synthetic-tiny" and value["splits"]["train"]["rows"] == 14_000
    assert "Prepared synthetic-tiny" in done.stderr
    return folder


def test_list_show_and_audit_are_json(home):
    (listed,) = strict(_run(home, "list", "--json").stdout)
    assert listed["name"] == "synthetic-tiny" and listed["splits"]["val"]["rows"] == 3_000
    shown = strict(_run(home, "show", "synthetic-tiny", "--json").stdout)
    assert {check["id"] for check in shown["audit"]} >= {"history-earlier", "vocabulary-training", "integrity"}
    audited = strict(_run(home, "audit", "synthetic-tiny", "--json").stdout)
    assert audited["counts"]["fail"] == 0
    assert [check["status"] for check in audited["checks"]] == [check["status"] for check in shown["audit"]]


def test_a_proposal_is_a_command(home, tmp_path):
    path = tmp_path / "my log.csv"
    path.write_text("clk,user,ad,price\n" + "".join(f"{i % 2},{i % 7},{i % 5},{i / 3}\n" for i in range(40)))
    value = strict(_run(home, "propose", str(path), "--json").stdout)
    assert value["options"] == {"label": "clk", "user": "user", "item": "ad", "numeric": ["price"]}
    done = _run(home, *value["command"][4:], "--json")
    assert done.returncode == 0 and strict(done.stdout)["name"] == "table-my-log"
    text = _run(home, "propose", str(path)).stdout
    assert "by its name" in text and "--set item=ad" in text
    assert _run(home, "propose", str(tmp_path / "none.csv")).returncode == 1


def test_findings_are_told_with_rows_and_what_to_do(home, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("label,user,item\n" + "".join(f"{i % 2},{i},{i % 5}\n" for i in range(60)))
    assert (
        _run(home, "prepare", "table", "--path", str(path), "--set", "user=user", "--set", "item=item").returncode == 0
    )
    audited = strict(_run(home, "audit", "table-log", "--json").stdout)
    check = next(check for check in audited["checks"] if check["id"] == "unseen-users")
    assert check["status"] == "warn" and check["todo"] and check["number"] == 1
    assert 1 <= len(check["examples"]) <= 20 and set(check["examples"][0]) >= {"part", "label", "user", "item"}
    assert check["todo"] in _run(home, "audit", "table-log").stdout


def test_text_for_people(home):
    assert "synthetic-tiny" in _run(home, "list").stdout
    text = _run(home, "show", "synthetic-tiny").stdout
    assert "14,000" in text and "history-earlier" in text


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("prepare", "synthetic", "--set", "sice=tiny"), 2, "no option 'sice'. Known: "),
        (("prepare", "synthetic", "--set", "size=huge"), 2, "it is 'huge'"),
        (("prepare", "synthetic", "--set", "size"), 2, "looks like"),
        (("prepare", "nothing"), 2, "Known: synthetic"),
        (("prepare", "movielens"), 2, "needs a path"),
        (("prepare", "movielens", "--path", "/does/not/exist"), 1, "nothing at this path"),
        (("prepare", "synthetic", "--name", "../x"), 2, "cannot be used"),
        (("show", "nothing"), 2, "Prepared: synthetic-tiny"),
        (("audit", "nothing", "--json"), 2, "Prepared: synthetic-tiny"),
        (("export", "synthetic-tiny", "--format", "arff"), 2, "parquet, csv, tsv, fuxictr, libsvm"),
        (("export", "synthetic-tiny", "--format", "csv", "--out", "/tmp/x.parquet"), 2, "should end in .csv"),
        (("export", "synthetic-tiny", "--format", "libsvm", "--split", "test"), 2, "holds all parts"),
        (("prepare",), 2, ""),
    ],
)
def test_what_goes_wrong_is_said_on_stderr(home, arguments, code, words):
    done = _run(home, *arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr and "Traceback" not in done.stderr


def test_sources_and_their_options_are_listed(home):
    value = strict(_run(home, "sources", "--json").stdout)
    assert value[0]["name"] == "synthetic"
    for source in value:
        assert source["name"] in _run(home, "prepare", "--help").stdout.replace("-\n                ", "-")
        assert source["title"] in _run(home, "sources").stdout
    criteo = strict(_run(home, "sources", "criteo", "--json").stdout)[0]
    assert criteo["options"]["min_count"]["default"] == "10"
    assert "numeric_scaling" in _run(home, "sources", "criteo").stdout
    assert "Known: synthetic" in _run(home, "sources", "nope").stderr


def test_rows_are_named_after_their_data(home, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = {
        "synthetic-tiny-val.csv": (("--format", "csv", "--split", "val", "--no-history"), 3000),
        "synthetic-tiny-all.parquet": (("--format", "parquet"), 20_000),
        "synthetic-tiny-libsvm": (("--format", "libsvm"), 20_000),
    }
    for name, (options, rows) in asked.items():
        done = _run(home, "export", "synthetic-tiny", *options, "--json")
        assert (strict(done.stdout)["rows"], strict(done.stdout)["out"]) == (rows, name), done.stderr
    assert {path.name for path in tmp_path.iterdir()} == set(asked)
    names = pl.read_parquet_schema("synthetic-tiny-all.parquet")
    assert "history_item" in names and "split" in names
