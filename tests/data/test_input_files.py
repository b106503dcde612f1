"""Plain files and archives read alike, and what is wrong with an archive is said."""

import gzip
import io
import tarfile
import zipfile

import pytest

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.reading import files
from mdaf_core.data.reading.layout import Column, Layout
from mdaf_core.data.reading.text import read_text
from tests.data.raw_files import write_ml_100k, write_user_behavior

LAYOUT = Layout((Column("a"), Column("b")), expected="a,b")
TEXT = b"".join(b"%d,%d\n" % (i, i * i) for i in range(20_000))


def _zip(path, members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _tar(path, members):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


@pytest.fixture(params=["plain", "gzip", "gzip unsaid", "zip", "zip of several", "zip unsaid", "tar", "in a folder"])
def packed(request, tmp_path):
    """A path at which data.csv can be read, however it is packed."""
    plain, junk = tmp_path / "data.csv", {"__MACOSX/._data.csv": b"x", "readme.txt": b"y"}
    match request.param:
        case "plain":
            plain.write_bytes(TEXT)
        case "gzip":
            (tmp_path / "data.csv.gz").write_bytes(gzip.compress(TEXT))
            return tmp_path / "data.csv.gz"
        case "gzip unsaid":
            (tmp_path / "data.csv.gz").write_bytes(gzip.compress(TEXT))
        case "zip":
            _zip(tmp_path / "data.csv.zip", {"other name.csv": TEXT})
            return tmp_path / "data.csv.zip"
        case "zip of several":
            _zip(tmp_path / "archive.zip", {"folder/data.csv": TEXT} | junk)
            return tmp_path / "archive.zip" / "data.csv"
        case "zip unsaid":
            _zip(tmp_path / "data.csv.zip", {"folder/data.csv": TEXT} | junk)
        case "tar":
            _tar(tmp_path / "data.tar.gz", junk | {"./folder/data.csv": TEXT})
            return tmp_path / "data.tar.gz" / "data.csv"
        case "in a folder":
            (tmp_path / "archive").mkdir()
            plain.write_bytes(TEXT)
            return files.inside(tmp_path, "data.csv")
    return plain


def test_every_form_reads_alike(packed):
    found = read_text(packed, LAYOUT)
    assert found.frame["b"].to_list() == [i * i for i in range(20_000)]
    assert found.fingerprint["bytes"] == len(TEXT)
    assert found.name in ("data.csv", "other name.csv")
    assert files.exists(packed)
    assert files.unpacked_size(packed) == len(TEXT)


def test_progress_of_archives_goes_from_nothing_to_everything(tmp_path, monkeypatch):
    monkeypatch.setattr("mdaf_core.data.reading.blocks.BLOCK_BYTES", 10_000)
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(TEXT))
    seen = []
    read_text(tmp_path / "data.csv", LAYOUT, progress=lambda share, _: seen.append(share))
    assert seen == sorted(seen) and seen[-1] == 1 and len(seen) > 10


@pytest.mark.parametrize("keep", [3, 11, 5000, -100])
def test_a_gzip_that_is_cut_off(tmp_path, keep):
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(TEXT)[:keep])
    with pytest.raises(BadInputError, match=r"data.csv.gz: The archive is cut off .* again"):
        read_text(tmp_path / "data.csv.gz", LAYOUT)


def test_a_zip_that_is_cut_off_damaged_or_encrypted(tmp_path):
    path = tmp_path / "data.zip"
    _zip(path, {"data.csv": TEXT})
    whole = path.read_bytes()
    path.write_bytes(whole[:5000])
    with pytest.raises(BadInputError, match="cut off or damaged"):
        read_text(path / "data.csv", LAYOUT)
    path.write_bytes(whole[:3000] + b"\xff" * 50 + whole[3050:])
    with pytest.raises(BadInputError, match="cut off or damaged"):
        read_text(path / "data.csv", LAYOUT)
    flagged = bytearray(whole)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        flagged[flagged.index(magic) + offset] |= 1
    path.write_bytes(bytes(flagged))
    with pytest.raises(BadInputError, match="encrypted"):
        read_text(path / "data.csv", LAYOUT)


def test_a_zip_that_is_packed_in_a_way_unknown_here(tmp_path):
    path = tmp_path / "data.zip"
    _zip(path, {"data.csv": TEXT})
    content = bytearray(path.read_bytes())
    for magic, offset in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):  # method 99: AES
        content[content.index(magic) + offset] = 99
    path.write_bytes(bytes(content))
    with pytest.raises(BadInputError, match=r"not known here.*: unpack it first"):
        read_text(path / "data.csv", LAYOUT)


def test_a_member_that_is_not_there_or_there_twice(tmp_path):
    _zip(tmp_path / "data.zip", {"one.csv": TEXT, "two.csv": TEXT, "x/two.csv": TEXT})
    with pytest.raises(BadInputError, match=r"no file named 'three.csv'. It holds: one.csv, two.csv"):
        read_text(tmp_path / "data.zip" / "three.csv", LAYOUT)
    with pytest.raises(BadInputError, match=r"more than one file named 'two.csv'"):
        read_text(tmp_path / "data.zip" / "two.csv", LAYOUT)
    _tar(tmp_path / "data.tar.gz", {"one.csv": TEXT})
    with pytest.raises(BadInputError, match=r"no file named 'two.csv'. It holds: one.csv"):
        read_text(tmp_path / "data.tar.gz" / "two.csv", LAYOUT)


def test_archives_within_archives_are_refused(tmp_path):
    (tmp_path / "data.csv.gz").write_bytes(gzip.compress(gzip.compress(TEXT)))
    with pytest.raises(BadInputError, match="archive within an archive"):
        read_text(tmp_path / "data.csv", LAYOUT)


@pytest.mark.usefixtures("home")
def test_data_sets_from_archives_are_those_of_the_files(tmp_path):
    plain = tmp_path / "UserBehavior.csv"
    write_user_behavior(plain)
    wanted = prepare("user-behavior", path=plain, name="plain").meta.fingerprint
    _zip(tmp_path / "UserBehavior.csv.zip", {"UserBehavior.csv": plain.read_bytes()})
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "UserBehavior.csv.gz").write_bytes(gzip.compress(plain.read_bytes()))
    for i, path in enumerate([tmp_path / "UserBehavior.csv.zip", tmp_path / "packed"]):
        assert prepare("user-behavior", path=path, name=f"packed-{i}").meta.fingerprint == wanted

    write_ml_100k(tmp_path / "ml-100k")
    wanted = prepare("movielens", path=tmp_path / "ml-100k", name="ml").meta.fingerprint
    members = {f"ml-100k/{file.name}": file.read_bytes() for file in (tmp_path / "ml-100k").iterdir()}
    _zip(tmp_path / "ml-100k.zip", members)
    zipped = prepare("movielens", path=tmp_path / "ml-100k.zip")
    assert zipped.name == "movielens-ml-100k" and zipped.meta.fingerprint == wanted

    table = b"label,item\n" + b"".join(b"%d,%d\n" % (i % 3 == 0, i % 7) for i in range(100))
    (tmp_path / "table.csv").write_bytes(table)
    _zip(tmp_path / "table.csv.zip", {"table.csv": table})
    (tmp_path / "table.tsv.gz").write_bytes(gzip.compress(table.replace(b",", b"\t")))
    wanted = prepare("table", path=tmp_path / "table.csv", name="t", options={"item": "item"}).meta.fingerprint
    for name in ("table.csv.zip", "table.tsv.gz"):
        found = prepare("table", path=tmp_path / name, name="packed", options={"item": "item"}).meta.fingerprint
        assert found["content"] == wanted["content"]
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(table)[:-30])
    with pytest.raises(BadInputError, match="cut off"):
        prepare("table", path=tmp_path / "table.csv.gz", name="t", options={"item": "item"})
