"""What a source has read, kept on disk while a preparation runs, so that one that was interrupted goes on from there.

A stage is a folder of Arrow files, one a block of the input, and `stage.json`, written last. The files are mapped, not
loaded: the system can take their memory back.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa

from mdaf_core.base.files import reading, write_json

_folder: ContextVar[Path | None] = ContextVar("folder of stages", default=None)


@contextmanager
def stages_in(folder: Path) -> Iterator[None]:
    """Inside the block, stages are kept in `folder`; elsewhere there are none and everything stays in memory."""
    token = _folder.set(folder)
    try:
        yield
    finally:
        _folder.reset(token)


class Stage:
    """A frame that is written block by block and then mapped."""

    def __init__(self, folder: Path):
        self.folder = folder
        self._count = 0

    @property
    def done(self) -> bool:
        return (self.folder / "stage.json").exists()

    def begin(self) -> None:
        """Make room, over the remains of an interrupted attempt."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def add(self, frame: pl.DataFrame) -> None:
        if len(frame) or not self._count:
            frame.write_ipc(self._part(self._count), compression="uncompressed")
            self._count += 1

    def finish(self, facts: dict[str, Any]) -> None:
        """Complete it, with facts (JSON) that belong to it."""
        write_json(self.folder / "stage.json", {"parts": self._count, "facts": facts})

    def load(self) -> tuple[pl.DataFrame, dict[str, Any]]:
        """The whole frame, in as many chunks as blocks were added, and the facts.

        Raises:
            DamagedFileError: it cannot be read any more.
        """
        with reading(
            self.folder, "What the interrupted preparation had read is removed: prepare again, from the start."
        ):
            stage = json.loads((self.folder / "stage.json").read_text("utf-8"))
            frames = []
            for number in range(stage["parts"]):
                with pa.memory_map(str(self._part(number))) as source:
                    frames.append(pl.DataFrame(pl.from_arrow(pa.ipc.open_file(source).read_all())))
            return pl.concat(frames, how="vertical_relaxed", rechunk=False), stage["facts"]

    def _part(self, number: int) -> Path:
        return self.folder / f"{number:05}.arrow"


def stage(name: str | None) -> Stage | None:
    """The stage of that name, or None where none are kept."""
    folder = _folder.get()
    return Stage(folder / name) if folder is not None and name else None
