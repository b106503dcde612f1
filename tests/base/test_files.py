"""Listing files while others remove them."""

from __future__ import annotations

from pathlib import Path

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
