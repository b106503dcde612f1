"""A folder of a published data set names its source, and no other one."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdaf_core.data.formats.registry import get_source
from mdaf_core.data.propose.table import propose, published_folders
from tests.data.published_files import write_ali_ccp, write_amazon_reviews, write_ebnerd, write_mind


@pytest.mark.parametrize(
    ("source", "write", "inner"),
    [
        ("mind", write_mind, ""),
        ("ebnerd", write_ebnerd, ""),
        ("ali-ccp", write_ali_ccp, ""),
        ("amazon-reviews", write_amazon_reviews, "**/last_out_w_his"),
    ],
)
def test_a_published_folder_names_its_source_alone(tmp_path: Path, source: str, write, inner: str) -> None:  # type: ignore[no-untyped-def]
    root = tmp_path / "set"
    write(root)
    folder = next(root.glob(inner)) if inner else root
    assert [found.name for found in published_folders(folder)] == [source]
    proposal = propose(folder)
    assert proposal.source == source and get_source(source).title in proposal.findings[0]
    assert proposal.command(folder)[3:] == ["prepare", source, "--path", str(folder)]


@pytest.mark.parametrize("name", ["ml-100k", "userbehavior", "criteo", "formats/avazu", "formats/kuairand"])
def test_folders_that_were_handed_out(shared_data: Path, name: str) -> None:
    found = {"ml-100k": "movielens", "userbehavior": "user-behavior"}.get(name, name.rpartition("/")[2])
    assert [source.name for source in published_folders(shared_data / name)] == [found]


def test_a_folder_of_parts_of_a_table_is_none(tmp_path: Path) -> None:
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text("label,user_id,item_id\n" + "1,2,3\n0,2,4\n" * 5)
    assert published_folders(tmp_path) == []
    assert propose(tmp_path).options["split"] == "given"
