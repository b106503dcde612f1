"""Listing files while others remove them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mdaf_core.base import files


def test_what_is_removed_while_it_is_listed_is_left_out(tmp_path, monkeypatch):
    for name in ("a/one", "a/two", "b/c/three"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    assert files.size_below(tmp_path) == len("a/one" + "a/two" + "b/c/three")
    plain = Path.stat

    def stat(path, **how):
        if path.name == "two":
            path.unlink()
        return plain(path, **how)

    monkeypatch.setattr(Path, "stat", stat)
    assert {path.name for path, _ in files.below(tmp_path)} == {"one", "three"}
    assert files.below(tmp_path / "gone") == []


def test_a_file_appears_when_it_is_whole_and_leaves_nothing_otherwise(tmp_path):
    path = tmp_path / "made.csv"
    with files.new_file(path) as aside:
        aside.write_text("first")
        assert not path.exists() and aside.parent == tmp_path
    with pytest.raises(ValueError, match="stop"), files.new_file(path) as aside:
        aside.write_text("second")
        raise ValueError("stop")
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]
