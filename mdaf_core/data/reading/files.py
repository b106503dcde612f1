"""Input files as the sites ship them: plain, .gz, .tar.gz, or inside a .zip.

A path may lead into an archive as if it were a folder (`ml-25m.zip/ratings.csv`), and a file that is not there may be
there compressed (`UserBehavior.csv.gz`, or in `UserBehavior.csv.zip`). Archives are read as streams and never unpacked
to disk. A member is found by its name, whatever folders the archive puts it in.
"""

from __future__ import annotations

import gzip
import lzma
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from mdaf_core.base.errors import BadInputError

_SAMPLE = 4 << 20
_ENDINGS = (".gz", ".zip", ".tar.gz", ".tgz")
_DAMAGE = (EOFError, gzip.BadGzipFile, zlib.error, zipfile.BadZipFile, tarfile.TarError, lzma.LZMAError)


@dataclass(frozen=True)
class Found:
    """Where an input's bytes are: in `file`, or in that archive's member called `member`."""

    file: Path
    member: str | None = None


def is_folder(path: Path) -> bool:
    """Whether files can be asked for below this path: a folder, a .zip or a .tar.gz."""
    return path.is_dir() or (path.is_file() and _kind(path) in ("zip", "tar"))


def inside(path: Path, name: str) -> Path:
    """`path` itself if it is a file; the file `name` below it if it is a folder or an archive."""
    return path / name if is_folder(path) else path


def exists(path: Path) -> bool:
    """Whether there is such a file, plain, compressed or in an archive."""
    try:
        if path.exists():
            return True
        found = find(path)
        if found.member is None:
            return found.file.is_file()
        with open_input(path):
            return True
    except (BadInputError, OSError):  # a name that is too long, too
        return False


def expand(path: Path) -> Path:
    """`~` as the home folder; as it is where there is no such user."""
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def find(path: Path) -> Found:
    """Where the input is; a path at which there is nothing is returned as it is."""
    if path.exists():
        return Found(path, path.name.removesuffix(".zip") if path.is_file() and _kind(path) == "zip" else None)
    if path.parent.is_file() and _kind(path.parent) in ("zip", "tar"):
        return Found(path.parent, path.name)
    for ending in _ENDINGS:
        packed = path.with_name(path.name + ending)
        if packed.is_file():
            return Found(packed, None if _kind(packed) == "gzip" else path.name)
    return Found(path)


def is_packed(path: Path) -> bool:
    """Whether the input is in an archive."""
    return _kind(find(path).file) != ""


class Input:
    """An open input.

    Attributes:
        name: of the unpacked file; unpacked: its size, where the archive says it.
    """

    def __init__(
        self,
        name: str,
        stream: IO[bytes] | gzip.GzipFile,
        size: int,
        position: Callable[[], int],
        path: Path,
        unpacked: int | None = None,
    ):
        self.name, self._stream, self._size, self._position, self._path = name, stream, size, position, path
        self.unpacked = unpacked

    def read(self, size: int) -> bytes:
        """The next `size` bytes, fewer at the end only.

        Raises:
            BadInputError: the archive is cut off or damaged, or the disk cannot be read.
        """
        parts: list[bytes] = []
        try:
            while size > 0 and (part := self._stream.read(size)):
                parts.append(part)
                size -= len(part)
        except (*_DAMAGE, RuntimeError, NotImplementedError) as error:
            raise _damaged(self._path, error) from None
        except OSError as error:
            raise BadInputError(f"The file cannot be read: {error.strerror or error}.", self._path) from None
        return b"".join(parts)

    @property
    def share(self) -> float:
        """How much of it has been read, from 0 to 1."""
        return min(1.0, self._position() / self._size) if self._size else 1.0


@contextmanager
def open_input(path: Path) -> Iterator[Input]:
    """Open an input for reading from its beginning.

    Raises:
        BadInputError: there is none, it cannot be read, or the archive holds no such file.
    """
    found = find(path)
    if found.file.exists() and not found.file.is_file():
        raise BadInputError("This is no regular file: take one.", found.file)
    try:
        kind = _kind(found.file)
        raw = found.file.open("rb")
        size = found.file.stat().st_size
    except OSError as error:
        raise BadInputError(f"The file cannot be read: {error.strerror}.", found.file) from None
    with raw:
        try:
            if kind == "zip":
                archive = zipfile.ZipFile(raw)
                info = _member(found, [i for i in archive.infolist() if not i.is_dir()], "filename")
                with archive.open(info) as stream:
                    name, whole = PurePosixPath(info.filename).name, info.file_size
                    yield Input(name, stream, whole, stream.tell, found.file, whole)
            elif kind == "tar":
                wanted = found.member or found.file.name.removesuffix(".tgz").removesuffix(".tar.gz")
                with tarfile.open(fileobj=raw, mode="r|gz") as packed:
                    member, stream = _tar_member(packed, wanted, found.file)
                    yield Input(wanted, stream, size, raw.tell, found.file, member.size)
            elif kind == "gzip":
                name = found.file.name.removesuffix(".gz")
                with gzip.open(raw, "rb") as unpacked:
                    yield Input(name, unpacked, size, raw.tell, found.file)
            else:
                yield Input(found.file.name, raw, size, raw.tell, found.file)
        except (*_DAMAGE, RuntimeError, NotImplementedError) as error:
            raise _damaged(found.file, error) from None


def first_line(path: Path, most: int = 1 << 16) -> str:
    """The first line of a text, as far as its first bytes hold it; what is no UTF-8 is replaced."""
    with open_input(path) as opened:
        return opened.read(most).split(b"\n", 1)[0].decode("utf-8-sig", "replace").rstrip("\r")


def header(path: Path, delimiter: str = ",") -> list[str]:
    """The names in the first line of a text, without spaces and quotes around them."""
    return [name.strip().strip('"') for name in first_line(path).split(delimiter)]


def unpacked_size(path: Path) -> int:
    """Bytes of the input once unpacked; of gzip, which does not reliably say, an estimate from its beginning."""
    found = find(path)
    kind = _kind(found.file)
    packed = found.file.stat().st_size
    if kind:
        with open_input(path) as opened:
            if opened.unpacked is not None:
                return opened.unpacked
            read = len(opened.read(16 << 20))
            position = opened._position()
        return read if position >= packed else int(read / max(position, 1) * packed)
    return packed


def count_lines(path: Path) -> int:
    """About how many lines a text file has, from its beginning; archives are looked into."""
    with open_input(path) as opened:
        sample = opened.read(_SAMPLE)
    lines = sample.count(b"\n")
    if len(sample) < _SAMPLE or not lines:
        return max(lines, 1)
    return round(unpacked_size(path) * lines / len(sample))


def _kind(path: Path) -> str:
    """`zip`, `tar` (compressed by gzip), `gzip`, or '' for anything else (what cannot be read too), by content."""
    if not path.is_file():
        return ""
    kind = ""
    try:
        with path.open("rb") as file:
            start = file.read(4)
            if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
                return "zip"
            if start.startswith(b"\x1f\x8b"):
                kind = "gzip"
                file.seek(0)
                with gzip.GzipFile(fileobj=file) as stream:
                    return "tar" if stream.read(512)[257:262] == b"ustar" else "gzip"
    except (*_DAMAGE, OSError):
        pass
    return kind


def _member(found: Found, members: list[Any], attribute: str) -> Any:
    """The archive's member of the wanted name, or its only one."""
    names = [PurePosixPath(getattr(member, attribute)) for member in members]
    real = [i for i, name in enumerate(names) if "__MACOSX" not in name.parts and not name.name.startswith("._")]
    same = [i for i in real if names[i].name == found.member]
    if len(same) == 1:
        return members[same[0]]
    if len(real) == 1 and found.file.name.removesuffix(".zip") == found.member:  # the archive of one file
        return members[real[0]]
    shown = ", ".join(str(names[i]) for i in real[:10]) + (", …" if len(real) > 10 else "")
    what = "more than one file" if same else "no file"
    raise BadInputError(
        f"The archive holds {what} named {found.member!r}. It holds: {shown or 'nothing'}. "
        "Name the file behind the archive (archive.zip/file.csv), or unpack it.",
        found.file,
    )


def _tar_member(packed: tarfile.TarFile, wanted: str, file: Path) -> tuple[tarfile.TarInfo, IO[bytes]]:
    seen = []
    for member in packed:
        name = PurePosixPath(member.name).name
        if member.isfile() and name == wanted:
            stream = packed.extractfile(member)
            assert stream is not None
            return member, stream
        seen.append(member.name)
    raise BadInputError(f"The archive holds no file named {wanted!r}. It holds: {', '.join(seen[:10])}.", file)


def _damaged(path: Path, error: BaseException) -> BadInputError:
    if isinstance(error, EOFError | tarfile.ReadError) or "unexpected end" in str(error):
        return BadInputError("The archive is cut off before its end: download it again or take another copy.", path)
    if isinstance(error, RuntimeError) and "password" in str(error):
        return BadInputError("The archive is encrypted: unpack it first.", path)
    if isinstance(error, NotImplementedError):
        return BadInputError(f"The archive is packed in a way that is not known here ({error}): unpack it first.", path)
    return BadInputError(
        f"The archive is cut off or damaged ({str(error).rstrip('.')}): download it again or take another copy.", path
    )
