"""Sources are found from their files."""

from pathlib import Path

import mdaf_core
from mdaf_core.data.formats import own_names
from mdaf_core.data.formats.options import SourceOptions
from mdaf_core.data.formats.registry import get_source, sources


def test_each_is_named_as_its_file():
    found = sources()
    assert sorted(found) == own_names()
    for name, source in found.items():
        assert get_source(name) is source and source.name == name
        assert issubclass(source.options, SourceOptions)
    first, *_, last = found
    assert (first, last) == ("synthetic", "table")  # what the form begins with, and the most general one
    assert len({source.place for source in found.values()}) == len(found)


def test_each_is_in_the_docs():
    docs = (Path(mdaf_core.__file__).parent.parent / "docs" / "data.md").read_text("utf-8")
    assert [name for name in sources() if f"### `{name}`" not in docs] == []
