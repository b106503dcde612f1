"""A source of one's own is one file outside the program: commands, form, preparation and audit know it."""

import os
from textwrap import dedent

import polars as pl
import pytest

from mdaf_core.base import notices
from mdaf_core.base.errors import StudioError
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.formats.registry import get_source, sources
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from tests.cli.conftest import strict
from tests.cli.test_data_cli import _run
from tests.pages.test_data_page import _page

pytestmark = pytest.mark.usefixtures("home")

SOURCE = '''
    """Clicks of our shop."""

    from pathlib import Path

    import polars as pl
    from pydantic import Field

    from mdaf_core.data.formats.base import RawTable, Source
    from mdaf_core.data.formats.options import SourceOptions
    from mdaf_core.data.store.schema import FieldSpec


    class ShopOptions(SourceOptions):
        shops: list[int] = Field([1, 2], description="Shops to read.")
        least: float | None = Field(None, ge=0, description="Price at least.")


    def read(path, options, progress):
        rows = pl.read_csv(path).filter(pl.col("shop").is_in(options.shops))
        return RawTable(
            rows=rows.select("label", "timestamp", "user", "item"),
            fields=[FieldSpec(name="item", role="item"), FieldSpec(name="user", role="user")],
            history_fields=["item"],
            events=rows.select("user", "timestamp", "item"),
            title="Our shop",
            inputs={},
        )


    SHOP = Source(
        name="our-shop",
        title="Clicks of our shop",
        path_help="a CSV file of the shop",
        options=ShopOptions,
        read=read,
        default_name=lambda path, options: "our-shop",
    )
'''


@pytest.fixture
def plug(tmp_path, monkeypatch):
    """Name a plug-in with this source."""

    def write(text: str = SOURCE):
        file = tmp_path / "shop_source.py"
        file.write_text(dedent(text))
        os.utime(file, ns=(len(text), hash(text) % 10**9))  # another text is another moment
        monkeypatch.setenv("MDAF_PLUGINS", str(file))
        return file

    return write


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    rows = range(400)
    pl.DataFrame(
        {
            "shop": [1 + i % 3 for i in rows],
            "label": [int(i * 7 % 11 < 4) for i in rows],
            "timestamp": [1_600_000_000 + 3600 * i for i in rows],
            "user": [i % 9 for i in rows],
            "item": [f"i{i * 5 % 13}" for i in rows],
        }
    ).write_csv(path)
    return path


def _rows(dataset):
    return sum(part.rows for part in dataset.meta.splits.values())


def test_it_is_prepared_and_audited_like_any_other(plug, log):
    file = plug()
    assert list(sources())[-2:] == ["our-shop", "table"]
    dataset = prepare("our-shop", path=log, options={"shops": "1"})
    assert dataset.meta.name == "our-shop-shops-1" and _rows(dataset) == 134
    assert dataset.meta.history_fields == ["item"] and stored_audit(dataset).checks
    assert dataset.meta.fingerprint["inputs"].keys() == {f"plug-in {file.name}"}
    again = prepare("our-shop", path=log, options={"shops": "1"})
    assert again.meta.created == dataset.meta.created, "nothing is prepared twice"
    plug(SOURCE.replace("pl.read_csv(path)", "pl.read_csv(path).head(300)"))
    changed = prepare("our-shop", path=log, options={"shops": "1"}, name="changed")
    assert _rows(changed) == 100, "another source is another request"


def test_commands_and_form_know_it(plug, log, tmp_path, monkeypatch):
    plug()
    home = tmp_path / "home"
    listed = strict(_run(home, "sources", "our-shop", "--json").stdout)[0]
    assert listed["options"]["shops"] == {"default": "1,2", "help": "Shops to read."}
    assert _run(home, "prepare", "our-shop", "--path", str(log), "--set", "shops=2,3", "--json").returncode == 0
    refused = _run(home, "prepare", "our-shop", "--path", str(log), "--set", "least=-1")
    assert refused.returncode == 2 and "least must be at least 0; it is -1" in refused.stderr

    app = _page(monkeypatch, home)
    app.selectbox(key="prepare-source").select("our-shop").run()
    assert not app.exception and app.text_input(key="prepare-our-shop-shops").value == "1, 2"
    assert app.number_input(key="prepare-our-shop-least").value is None
    app.text_input(key="prepare-our-shop-shops").set_value("one").run()
    assert any("Shops" in caption.value and "'one'" in caption.value for caption in app.caption)


FAULTS = [
    ("pl.read_csv(path)", 'pl.read_csv(path)["nothing"]', "line 20 (in read): ColumnNotFoundError"),
    ("return RawTable(", "return dict(", "returned dict from read: it must be a RawTable."),
    ('"label", "timestamp"', '"timestamp"', "read rows without a column 'label'."),
    ('name="item", role', 'name="thing", role', "names the field 'thing', and its rows have no such column."),
    ("pl.read_csv(path)", "pl.read_csv(path).with_columns(label=2)", "read labels other than 0 and 1."),
    ('["item"]', '["shop"]', "names the history field 'shop', which is none of its fields."),
]


@pytest.mark.parametrize(("old", "new", "said"), FAULTS)
def test_a_fault_in_it_is_a_sentence_with_its_file(plug, log, old, new, said):
    assert SOURCE.count(old) >= 1
    file = plug(SOURCE.replace(old, new, 1))
    with pytest.raises(StudioError, match="our-shop") as caught:
        prepare("our-shop", path=log)
    assert said in str(caught.value) and str(file) in str(caught.value)


UNUSABLE = [
    ('name="our-shop"', 'name="table"', "There is a source 'table' already"),
    ('name="our-shop"', 'name="../shop"', "'../shop' is no name of a source"),
    ("options=ShopOptions", "options=dict", "must be a class derived from SourceOptions"),
    ("def read(", "def read((", "SyntaxError"),
]


@pytest.mark.parametrize(("old", "new", "said"), UNUSABLE)
def test_one_that_cannot_be_used_is_left_out_and_said(plug, old, new, said):
    file = plug(SOURCE.replace(old, new, 1))
    with notices.collect() as noted:
        assert "our-shop" not in sources() and get_source("table").place == 90
    assert any(said in sentence and str(file) in sentence for sentence in noted)


def test_a_data_set_stays_when_its_source_is_gone(plug, log, monkeypatch):
    plug()
    name = prepare("our-shop", path=log).name
    monkeypatch.delenv("MDAF_PLUGINS")
    assert PreparedDataset.open(name).meta.source == "our-shop"
    with pytest.raises(StudioError, match="There is no source 'our-shop'"):
        prepare("our-shop", path=log)
