"""Where a preparation keeps what it has finished, so that one that was interrupted goes on from there.

A request is a source, its options and the content of its input; its work folder is named by their hash. Two requests
are the same where all three are, wherever the input lies and whatever the data set is called.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from polars.exceptions import PolarsError

from mdaf_core.base.errors import BadInputError, StudioError, UsageError
from mdaf_core.base.progress import Progress
from mdaf_core.base.settings import get_settings
from mdaf_core.data.formats.base import Source
from mdaf_core.data.prepare.sums import expected_sums
from mdaf_core.data.reading.blocks import BLOCK_BYTES, Sums
from mdaf_core.data.reading.files import is_packed
from mdaf_core.data.reading.parts import unused
from mdaf_core.data.store.schema import SCHEMA_VERSION

_KEEP_DAYS = 7


def request_of(source: Source, path: Path | None, options: Any, progress: Progress) -> str:
    """The hash of a request. Reads the input once, at the speed of the disk.

    Raises:
        BadInputError: a file of the input cannot be read, or its md5 is not the expected one.
    """
    expected = expected_sums(source, path, options)
    inputs: dict[str, str] = {}
    # What is missing or no file is for `read` to say.
    read = [file for file in (source.files(path, options) if path is not None else []) if file.is_file()]
    total, done = sum(file.stat().st_size for file in read) or 1, 0
    block = memoryview(bytearray(BLOCK_BYTES))
    for file in read:
        sums = Sums(md5=file.name in expected)
        try:
            with file.open("rb", buffering=0) as content:
                while size := content.readinto(block):
                    sums.update(block[:size])
                    done += size
                    progress(min(done / total, 1.0), f"Looking whether it is prepared already: {done / total:.0%}")
        except OSError as error:
            raise BadInputError(
                f"The file cannot be read: {error.strerror}. Allow reading it, or copy it to where you may.", file
            ) from None
        if file.name in expected and not is_packed(file):  # of an archive, what is in it tells once it is read
            expected[file.name].check(file, sums.fingerprint["md5"], options.accept_md5)
        inputs[unused(inputs, file.name)] = sums.fingerprint["sha256"]
    facts = [SCHEMA_VERSION, source.name, options.request(), inputs]
    facts += [source.code] if source.code else []
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


@contextmanager
def work_folder(request: str) -> Iterator[Path]:
    """The request's folder, as an earlier attempt left it or empty; nobody else has it inside the block.

    It is removed when the block ends well, or badly for a reason that stays, and kept where the process is stopped.
    What nobody came back to for a week is removed by the next preparation.

    Raises:
        UsageError: another process is preparing the same.
    """
    root = get_settings().work_dir
    folder = root / request[:32]
    folder.mkdir(parents=True, exist_ok=True)
    _remove_forgotten(root, folder)
    with _lock(folder) as mine:
        if not mine:
            raise UsageError("The same input is being prepared with the same options already: wait for it to end.")
        folder.touch()
        try:
            yield folder
        except (StudioError, OSError, ValueError, TypeError, LookupError, ArithmeticError, PolarsError):
            # Input that cannot be prepared, a full disk, a fault of the program: trying again would end alike.
            _remove(folder)
            raise
        _remove(folder)


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # others are at work
        folder.parent.rmdir()


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Whether the folder's lock was free; held inside the block if so. The system frees it with its holder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def _remove_forgotten(root: Path, but: Path) -> None:
    for folder in root.iterdir():
        with suppress(OSError):
            if folder != but and time.time() - folder.stat().st_mtime > _KEEP_DAYS * 86400:
                with _lock(folder) as free:
                    if free:
                        shutil.rmtree(folder, ignore_errors=True)
