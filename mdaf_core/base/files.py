"""Writing that never leaves half a file (write aside, then rename), and reading whose every failure is a sentence."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from mdaf_core.base import notices
from mdaf_core.base.errors import DamagedFileError, StudioError, UsageError

PATIENCE = 600.0
"""Seconds for which the end of a job tries again what a full disk or a locked file prevents."""
Result = TypeVar("Result")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")


def require_text(name: object, what: str) -> None:
    """Raise a UsageError where an id or a name is something else: in a notebook studies and data sets are objects."""
    if not isinstance(name, str):
        raise UsageError(f"The {what} must be a text, not of type {type(name).__name__}. Give its id or name.")


def check_name(name: str, what: str = "name") -> str:
    """Return `name` if it is safe as a file or folder name.

    Raises:
        UsageError: if it is empty, longer than 80 characters, or holds anything but letters, digits, `.`, `_`, `-`
            (so that a name never becomes a path).
    """
    require_text(name, what)
    if not _NAME.fullmatch(name) or ".." in name:
        raise UsageError(
            f"The {what} {name[:100]!r} cannot be used: take 1 to 80 letters, digits, '-', '_' or '.', "
            "starting with a letter or digit."
        )
    return name


@contextmanager
def reading(path: Path, remedy: str) -> Iterator[None]:
    """Whatever goes wrong with reading `path` inside the block, in whichever library, becomes a sentence that names it.

    Raises:
        DamagedFileError: with `remedy` as what to do.
    """
    try:
        yield
    except StudioError:
        raise
    except OSError as error:
        raise DamagedFileError(path, error.strerror or str(error) or type(error).__name__, remedy) from error
    except Exception as error:  # a decoder's own kind: JSON, pydantic, Arrow, Polars, safetensors, torch, …
        raise DamagedFileError(path, _in_short(error), remedy) from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # how libraries written in Rust (Polars) end on wild bytes
            raise
        raise DamagedFileError(path, "not in its format", remedy) from error


def is_gone(damage: DamagedFileError) -> bool:
    """Whether the file is not damaged but was removed between being listed and being read: by another process."""
    return isinstance(damage.__cause__, FileNotFoundError)


def below(folder: Path) -> list[tuple[Path, os.stat_result]]:
    """The files below a folder, those of its folders too. What others remove meanwhile is left out."""
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                found.append((path := Path(parent, name), path.stat()))
    return found


def size_below(folder: Path) -> int:
    """Bytes of the files below a folder."""
    return sum(stat.st_size for _, stat in below(folder))


def read_json(path: Path, remedy: str) -> Any:
    """The JSON value in `path`.

    Raises:
        DamagedFileError: it cannot be read, or is no JSON.
    """
    with reading(path, remedy):
        return json.loads(path.read_text("utf-8"))


def _in_short(error: Exception) -> str:
    """What a decoder says, in a few words: its first line, of pydantic the first field that is wrong."""
    errors = getattr(error, "errors", None)
    if callable(errors):
        try:
            first = errors()[0]
            where = ".".join(map(str, first["loc"]))
            return f"{where}: {first['msg']}" if where else str(first["msg"])
        except (TypeError, LookupError):
            pass
    text = (str(error).strip().splitlines() or [""])[0].rstrip(".")
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__


def is_full(error: BaseException) -> bool:
    """Whether this exception, or one behind it, says that the disk is full (or a quota is used up)."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        if re.search(r"no space left on device|disk is full|disk quota exceeded", str(seen), re.IGNORECASE):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def full_sentence(path: Path) -> str:
    """What to say when `path` cannot be written because its disk is full."""
    return (
        f"The disk that holds {path.parent} is full: {path.name} could not be written. "
        "Free some space, or set MDAF_HOME to another disk."
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """A failure to write `path` inside the block becomes a sentence that names it; a full disk is called that.

    Raises:
        StudioError: the system refused.
    """
    try:
        yield
    except StudioError:
        raise
    except Exception as error:  # writers have kinds of their own: torch, safetensors, Polars, Arrow
        if is_full(error) or (isinstance(error, RuntimeError) and nearly_full(path)):
            raise StudioError(full_sentence(path)) from error
        if isinstance(error, OSError):
            raise StudioError(f"{path} could not be written: {error.strerror or error}.") from error
        raise


def nearly_full(path: Path) -> bool:
    """Whether the disk of `path` has no room for a megabyte: some libraries then say no more than that they failed."""
    try:
        return shutil.disk_usage(path.parent).free < 1 << 20
    except OSError:
        return False


def best_effort(path: Path, write: Callable[[], object]) -> bool:
    """Write `path` if that is possible; what cannot be written is noted. For what can be made or told again.

    Returns:
        Whether it was written.
    """
    try:
        with writing(path):
            write()
    except StudioError as error:
        notices.add(error)
        return False
    return True


def with_patience(action: Callable[[], Result], seconds: float | None = None) -> Result:
    """`action()`, tried again for up to `seconds` (default: PATIENCE) while it fails with a sentence: a locked store is
    freed, a full disk is emptied. Each new sentence goes to the log.

    Raises:
        StudioError: the last one, when the time is up.
    """
    end, pause, told = time.monotonic() + (PATIENCE if seconds is None else seconds), 0.5, ""
    while True:
        try:
            return action()
        except UsageError:
            raise  # asking again changes nothing
        except StudioError as error:
            if time.monotonic() + pause > end:
                raise
            if str(error) != told:
                told = str(error)
                notices.log(f"{told} Trying again.")
        time.sleep(pause)
        pause = min(2 * pause, 30.0)


def keep(path: Path, write: Callable[[], object]) -> None:
    """Write what a finished job must leave behind, with patience.

    Raises:
        StudioError: the disk stayed full, or the system refused.
    """

    def attempt() -> None:
        with writing(path):
            write()

    with_patience(attempt)


def write_bytes(path: Path, content: bytes) -> None:
    """Replace `path` by `content` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content)
        Path(temporary).chmod(0o644)  # mkstemp's own is for the owner alone
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Replace `path` by the JSON of `value` atomically. NaN and infinity are refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """A name beside `path` for a file that becomes `path` when the block ends well, and vanishes otherwise."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder beside `path` that becomes `path` when the block ends well, and vanishes otherwise.

    An existing `path` is replaced only at the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    try:
        yield temporary
        replace_folder(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def replace_folder(new: Path, path: Path) -> None:
    """Let the folder `new` become `path`, in place of what is there. Both are on one disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new.chmod(0o755)
    if path.exists():
        old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
        path.replace(old / "old")
        new.replace(path)
        shutil.rmtree(old, ignore_errors=True)
    else:
        new.replace(path)
