"""A run's copy of the plug-ins it was trained with, `plugins/` beside its weights, and finding their code again.

plugins/plugins.json        name, file, SHA-256 of each
plugins/<name>-<hash>.py    the source
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

from pydantic import BaseModel, Field, TypeAdapter

from mdaf_core.base.errors import DamagedFileError, StudioError
from mdaf_core.base.files import reading, write_text, writing
from mdaf_core.plugins.load import Plugin, load_file
from mdaf_core.plugins.named import RUN_KEPT, loaded, using

FOLDER = "plugins"


class Kept(BaseModel):
    """One plug-in as it was when a run was trained."""

    file: str = Field(description="Where the user had it.")
    sha256: str
    source: str = Field(description="Name of the copy.")


_LIST = TypeAdapter(list[Kept])


def facts(plugins: Iterable[Plugin]) -> list[Kept]:
    """What a run says of the plug-ins it is trained with."""
    return [
        Kept(file=str(p.file), sha256=p.digest, source=f"{p.file.stem[:80]}-{p.digest[:12]}{p.file.suffix}")
        for p in plugins
    ]


def keep(plugins: Iterable[Plugin], directory: Path) -> None:
    """Copy the sources of these plug-ins to a run's folder, unless they are there, from wherever the user had them.

    Raises:
        StudioError: a source has changed since it was read, or the copy cannot be written.
    """
    plugins = tuple(plugins)
    kept = facts(plugins)
    if not kept or same(directory, plugins):
        return
    folder = directory / FOLDER
    with writing(folder):
        for entry in kept:
            source = Path(entry.file).read_bytes()
            if sha256(source).hexdigest() != entry.sha256:
                raise StudioError(f"Plug-in {entry.file} was changed while a run of it began. Start the run again.")
            write_text(folder / entry.source, source.decode())
        write_text(folder / "plugins.json", _LIST.dump_json(kept, indent=1).decode() + "\n")


def kept_in(directory: Path) -> list[Kept]:
    """The plug-ins that a run was trained with; none for a run of the program's own models.

    Raises:
        DamagedFileError: their list cannot be read.
    """
    path = directory / FOLDER / "plugins.json"
    if not path.exists():
        return []
    with reading(path, "Put it back from a copy, or train the run again."):
        return _LIST.validate_json(path.read_bytes())


def same(directory: Path, plugins: Iterable[Plugin]) -> bool:
    """Whether a run was trained with exactly these."""
    return {entry.sha256 for entry in kept_in(directory)} == {plugin.digest for plugin in plugins}


@contextmanager
def as_trained(directory: Path, run_kept: bool = False) -> Iterator[None]:
    """Have the plug-ins of a run as they were when it was trained, inside the block.

    Args:
        run_kept: the sources kept in `directory` may be run, as where `--run-plugin` says so.

    Raises:
        StudioError: they are not named, or have changed since; the sentence says what, and what may be done. The run's
            own copy is used where `--run-plugin` says so.
    """
    missing = [entry for entry in kept_in(directory) if entry.sha256 not in {p.digest for p in loaded() if not p.fault}]
    if missing and not (run_kept or os.environ.get(RUN_KEPT)):
        raise StudioError(" ".join(_refused(directory, entry) for entry in missing))
    if not missing:  # they are there as they are, some perhaps from a block around this one
        yield
        return
    with using(*(_copy(directory, entry) for entry in missing)):
        yield


def _copy(directory: Path, entry: Kept) -> Plugin:
    path = directory / FOLDER / Path(entry.source).name
    plugin = load_file(path)
    if plugin.digest and plugin.digest != entry.sha256:
        raise DamagedFileError(path, "it is not the source that the run was trained with", "Put it back from a copy.")
    if plugin.fault:
        raise StudioError(plugin.fault)
    return plugin


def _refused(directory: Path, entry: Kept) -> str:
    name = Path(entry.file).name
    there = next((plugin for plugin in loaded() if plugin.file.name == name), None)
    copy = directory / FOLDER / Path(entry.source).name
    if there is None:
        return (
            f"This run's model is plug-in {name} (SHA-256 {entry.sha256[:12]}), which is not named: name it "
            f"(--plugin {entry.file}), or let the source that the run has kept be run (--run-plugin; read it first: "
            f"{copy})."
        )
    return (
        f"Plug-in {there.file} is not what this run was trained with{_difference(copy, there.file)}: put it back as it "
        f"was, or let the source that the run has kept be run (--run-plugin; it is {copy})."
    )


def _difference(before: Path, now: Path) -> str:
    try:
        old, new = (path.read_text("utf-8").splitlines() for path in (before, now))
    except (OSError, UnicodeDecodeError):
        return ""
    blocks = difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    first = blocks[0].size if blocks[0][:2] == (0, 0) else 0
    kept = sum(block.size for block in blocks)
    return f" (first at line {first + 1}; lines removed: {len(old) - kept}, added: {len(new) - kept})"
