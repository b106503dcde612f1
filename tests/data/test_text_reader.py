import hashlib

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.reading import blocks
from mdaf_core.data.reading.layout import Column, Layout, problem
from mdaf_core.data.reading.text import read_text, shrink

LAYOUT = Layout(
    (Column("a"), Column("kind", "text", choices=("x", "y")), Column("c", "float", optional=True)), expected="a,kind,c"
)
GOOD = ["1,x,0.5", "2,y,", "-3,x,1e3"]


def _read(tmp_path, content, layout=LAYOUT, **options):
    path = tmp_path / "file.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_text(path, layout, **options)


def test_reads_and_fingerprints(tmp_path):
    content = "\n".join(GOOD) + "\n"
    found = _read(tmp_path, content)
    assert found.frame.rows() == [(1, "x", 0.5), (2, "y", None), (-3, "x", 1000.0)]
    sums = {name: hashlib.new(name, content.encode()).hexdigest() for name in ("sha256", "md5")}
    assert found.fingerprint == {"bytes": len(content), **sums}


@pytest.mark.parametrize(
    "content",
    [
        "\n".join(GOOD),
        "\r\n".join(GOOD) + "\r\n",
        "\ufeff" + "\n".join(GOOD),
        "\n".join(GOOD) + "\n\n\n",
        "\r\n".join(GOOD) + "\r\n\r\n",
    ],
)
def test_harmless_variants_read_alike(tmp_path, content):
    assert _read(tmp_path, content).frame.rows() == [(1, "x", 0.5), (2, "y", None), (-3, "x", 1000.0)]


@pytest.mark.parametrize(
    ("line", "problem", "shown"),
    [
        ("1,x", "must have 3 fields, it has 2", "1,x"),
        ("1,x,2,3", "must have 3 fields, it has 4", "1,x,2,3"),
        ("", "line is empty", ""),
        ("   ", "line is empty", "   "),
        ("one,x,2", "field a must be an integer", "one"),
        ("1.5,x,2", "field a must be an integer", "1.5"),
        ("99999999999999999999,x,2", "field a must be an integer", "99999999999999999999"),
        (",x,2", "field a is empty", ""),
        ("1,z,2", "field kind must be one of x, y", "z"),
        ("1,x,much", "field c must be a number", "much"),
        ("1,x,nan", "field c must be a number", "nan"),
        ("1,x,inf", "field c must be a number", "inf"),
        ('"1",x,2', "field a must be an integer", '"1"'),
    ],
)
@pytest.mark.parametrize("at", [1, 2, 57, 100])
def test_a_bad_line_is_named(tmp_path, line, problem, shown, at):
    lines = [GOOD[i % 3] for i in range(99)]
    lines.insert(at - 1, line)
    if at == 100 and not line:
        lines.append(GOOD[0])  # an empty last line is the end of the file
    with pytest.raises(BadInputError, match=problem) as error:
        _read(tmp_path, "\n".join(lines))
    assert error.value.line == at
    assert error.value.text == shown
    assert "skip_bad_rows" in str(error.value) and "file.txt" in str(error.value)


def test_not_utf8_is_named(tmp_path):
    with pytest.raises(BadInputError, match="not UTF-8") as error:
        _read(tmp_path, b"1,x,2\n2,\xff,2\n")
    assert error.value.line == 2 and "\\xff" in error.value.text


def test_latin1_where_the_format_has_it(tmp_path):
    layout = Layout((Column("id"), Column("title", "text")), "|", latin1=True)
    assert _read(tmp_path, "1|Amélie\n".encode("latin-1"), layout).frame.rows() == [(1, "Amélie")]
    assert _read(tmp_path, "1|Amélie\n".encode(), layout).frame.rows() == [(1, "Amélie")]


def test_skipping_counts_exactly_the_bad_lines(tmp_path):
    lines = [GOOD[i % 3] for i in range(1000)]
    bad = {3: "1,x", 500: "q,x,1", 501: "", 999: "1,z,1"}
    for at, line in bad.items():
        lines[at] = line
    found = _read(tmp_path, "\n".join(lines), skip_bad_rows=True)
    assert found.skipped == 4
    assert len(found.frame) == 996
    kept = [int(line.split(",")[0]) for i, line in enumerate(lines) if i not in bad]
    assert found.frame["a"].to_list() == kept


def test_nothing_readable_is_an_error_even_when_skipping(tmp_path):
    with pytest.raises(BadInputError, match="Not one of its 2 lines"):
        _read(tmp_path, "q\nq\n", skip_bad_rows=True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"PK\x03\x04rest", "archive is cut off or damaged"),
        (b"\x1f\x8b\x08rest", "archive is cut off before its end"),
        (b"7z\xbc\xafrest", "7-Zip archive: unpack it"),
        (b"PAR1....", "Parquet"),
        ("1,x,2\n".encode("utf-16"), "UTF-16"),
        (b"1,\0,2\n", "not a text file"),
    ],
)
def test_wrong_kinds_of_file(tmp_path, content, words):
    with pytest.raises(BadInputError, match=words):
        _read(tmp_path, content)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(BadInputError, match="no such file"):
        read_text(tmp_path / "none.txt", LAYOUT)
    with pytest.raises(BadInputError, match="folder"):
        read_text(tmp_path, LAYOUT)


def test_a_header_is_recognised_or_checked(tmp_path):
    with pytest.raises(BadInputError, match="header") as error:
        _read(tmp_path, "a,kind,c\n1,x,2\n")
    assert error.value.line == 1
    layout = Layout(LAYOUT.columns, header=True)
    assert len(_read(tmp_path, "a,kind,c\n1,x,2\n", layout).frame) == 1
    with pytest.raises(BadInputError, match="header must name"):
        _read(tmp_path, "1,x,2\n1,x,2\n", layout)
    with pytest.raises(BadInputError, match="integer") as error:
        _read(tmp_path, "a,kind,c\n1,x,2\nq,x,2\n", layout)
    assert error.value.line == 3


def test_two_character_separators(tmp_path):
    layout = Layout((Column("a"), Column("b")), "::")
    assert _read(tmp_path, "1::2\n3::4\n", layout).frame.rows() == [(1, 2), (3, 4)]
    with pytest.raises(BadInputError, match="must have 2 fields, it has 3"):
        _read(tmp_path, "1::2\n3::4::5\n", layout)


def test_stripped_fields_at_the_end_come_back(tmp_path):
    columns = tuple(Column(name, "text", optional=True) for name in "abcd")
    layout = Layout(columns, ",", least=2)
    found = _read(tmp_path, "1,2,3,4\n1,2\n1,2,3\n", layout).frame
    assert found.rows() == [("1", "2", "3", "4"), ("1", "2", None, None), ("1", "2", "3", None)]
    with pytest.raises(BadInputError, match="must have 4 fields, it has 1"):
        _read(tmp_path, "1,2,3,4\n1\n", layout)


def test_blocks_of_any_size_read_alike(tmp_path, monkeypatch):
    lines = [f"{i},{'xy'[i % 2]},{i / 4}" for i in range(500)]
    whole = _read(tmp_path, "\n".join(lines)).frame
    for size in (7, 64, 1000):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
        shares: list[float] = []
        content = "\ufeff" + "\r\n".join(lines) + "\r\n"
        found = _read(tmp_path, content, progress=lambda share, _, into=shares: into.append(share))
        assert found.frame.equals(whole)
        assert shares == sorted(shares) and shares[-1] == 1.0
        broken = [*lines[:321], "bad", *lines[321:]]
        with pytest.raises(BadInputError) as error:
            _read(tmp_path, "\r\n".join(broken))
        assert error.value.line == 322


def test_shrink_keeps_values():
    frame = pl.DataFrame({"small": [1, -5], "big": [1, 2**40], "text": ["a", "b"]})
    assert shrink(frame).schema["small"] == pl.Int32 and shrink(frame).schema["big"] == pl.Int64
    assert shrink(frame).rows() == frame.rows()


ODD = Layout(
    (
        Column("id", between=(0, 10**6)),
        Column("amount", "float", optional=True, null="NULL"),
        Column("word", "text", optional=True),
        Column("act", "text", choices=("pv", "buy")),
        Column("code", "hex", optional=True),
    )
)
FIELDS = [
    ["1", "77", " 5", "+6", "07", "1.5", "1e3", "0x10", "x", "", "1000001", "-1", "9" * 25],
    ["0.5", "", "NULL", "1e3", "nan", "inf", "1_0", "a", "-2", " 1.5"],
    ["a", "", "ä b", "\ufffd", "'", '"', "\x1f", "\0"],
    ["pv", "buy", "pv", "buy", "fav", ""],
    ["0123abcd", "", "0123ABCD", "+123abcd", "123abcd", "g123abcd"],
]
LINE = st.one_of(
    *[st.tuples(*(st.sampled_from(values[:most]) for values in FIELDS)).map(",".join) for most in (2, 3, 30)],
    st.sampled_from(["", "1,2", "1,0.5,a,pv,0123abcd,", "   "]),
).map(str.encode) | st.just(b"1,0.5,\xff,pv,0123abcd")


@pytest.mark.parametrize("line", [b"+6,0.5,a,pv,0123abcd", b"6,0.5,A+B,pv,0123abcd", b"6,+5E-1,FEED,buy,0123abcd"])
def test_signs_and_capitals_beside_hexadecimal_digits(tmp_path, line):
    plain = b"6,0.5,a,pv,0123abcd"
    for content in (line, b"\n".join([line, plain]), b"\n".join([plain] * 50 + [line])):
        assert set(_read(tmp_path, content, ODD).frame["id"]) == {6}
    for code in (b"0123ABCD", b"+123abcd", b"+123ABCD"):
        with pytest.raises(BadInputError, match="code must be 8 lowercase hexadecimal digits"):
            _read(tmp_path, b"\n".join([line, plain.replace(b"0123abcd", code)]), ODD)


@settings(max_examples=60, deadline=None)
@given(st.lists(LINE, min_size=20, max_size=80))
def test_what_is_left_out_is_what_is_wrong_line_by_line(tmp_path_factory, lines):
    lines = [b"1,0.5,a,pv,0123abcd", *lines, b"2,0.5,a,pv,0123abcd"]
    wrong = {number: problem(line, ODD)[0] for number, line in enumerate(lines, 1)}
    bad = {number: words for number, words in wrong.items() if words is not None}
    path = tmp_path_factory.mktemp("odd") / "odd.csv"
    path.write_bytes(b"\n".join(lines))
    if any(b"\0" in line for line in lines):  # no text file, if it begins like this
        path.write_bytes(b"\n".join([b"1,0.5,a,pv,0123abcd"] * 4000 + lines))
        bad = {number + 4000: words for number, words in bad.items()}
    found = read_text(path, ODD, skip_bad_rows=True)
    assert found.skipped == len(bad)
    assert found.frame["id"].to_list()[-1] == 2 and found.frame["act"].is_in(["pv", "buy"]).all()
    good = [line.decode().split(",") for number, line in enumerate(lines, 1) if wrong[number] is None]
    assert found.frame["id"].to_list()[-len(good) :] == [int(fields[0]) for fields in good]
    assert found.frame["word"].to_list()[-len(good) :] == [fields[2] or None for fields in good]
    said = {example["line"]: example["problem"] for example in found.examples.get("skipped", [])}
    assert said.items() <= bad.items() and len(said) == min(len(bad), 20)
    if bad:
        with pytest.raises(BadInputError) as refused:
            read_text(path, ODD)
        assert refused.value.line == min(bad)
