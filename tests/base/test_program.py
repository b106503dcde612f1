"""Two copies of the program are the same where their sources are."""

from __future__ import annotations

import os
import shutil

from mdaf_core.base.settings import PACKAGE
from mdaf_core.queue import launching


def test_copies_are_told_from_other_versions(tmp_path):
    copy = tmp_path / "site-packages" / "mdaf_core"
    for path in launching.sources(PACKAGE / "base"):
        (copy / path.parent.relative_to(PACKAGE / "base")).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy / path.relative_to(PACKAGE / "base"))
    (copy / "dashboard").mkdir()
    (copy / "dashboard" / "app.py").write_text("of an installed package alone")
    (copy / "py.typed").touch()
    same = launching.digest(PACKAGE / "base")
    assert launching.digest(copy) == same and len(same) == 64
    os.utime(copy / "files.py", (0, 0))
    assert launching.digest(copy) == same
    (copy / "files.py").rename(copy / "filed.py")
    assert launching.digest(copy) != same
    (copy / "filed.py").rename(copy / "files.py")
    with (copy / "files.py").open("a") as file:
        file.write("\n")
    assert launching.digest(copy) != same
