"""One plug-in, read as it is now; what is wrong with it is a sentence with its file and line, and ends nothing."""

from __future__ import annotations

import ast
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from importlib.metadata import EntryPoint
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from mdaf_core.base.errors import StudioError

PACKAGE = __name__.partition(".")[0]
_MODULE = "mdaf_plugin"


class PluginError(StudioError):
    """A plug-in's code failed; the sentence says where in its file."""


@dataclass(frozen=True)
class Loaded:
    """One object of a plug-in: a model's configuration class, a metric, …, under the name it has in its file."""

    name: str
    object: Any
    file: Path
    line: int | None = None

    @property
    def place(self) -> str:
        """`Plug-in /path/my_model.py, line 12`"""
        return f"Plug-in {self.file}" + (f", line {self.line}" if self.line else "")


@dataclass(frozen=True)
class Plugin:
    """One plug-in.

    Attributes:
        file: where its source is.
        digest: SHA-256 of the source; empty where it cannot be read.
        module: its name among Python's modules.
        values: what it defines, by name; lists and tuples are taken apart.
        fault: why it cannot be used, as a sentence; empty where it can.
    """

    file: Path
    digest: str = ""
    module: str = ""
    values: tuple[tuple[str, Any], ...] = field(default=(), hash=False, compare=False)
    fault: str = ""

    def line_of(self, name: str) -> int | None:
        """Where a class, a function or a variable is defined in its file."""
        try:
            tree = ast.parse(self.file.read_bytes())
        except (OSError, SyntaxError, ValueError):
            return None
        for node in tree.body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if getattr(node, "name", None) == name or any(getattr(t, "id", None) == name for t in targets):
                return node.lineno
        return None


class _AsItIs(SourceFileLoader):
    """Runs the bytes that were hashed: no compiled copy of a former version, and none left beside the user's file."""

    def __init__(self, name: str, file: Path, source: bytes):
        super().__init__(name, str(file))
        self.source = source

    def get_data(self, path: str) -> bytes:
        return self.source

    def path_stats(self, path: str) -> Any:
        raise OSError("no compiled copy")


def load_file(file: Path) -> Plugin:
    """Read and run one file. Whatever goes wrong is its `fault`."""
    try:
        source = file.read_bytes()
    except OSError as error:
        return Plugin(file, fault=f"Plug-in {file} cannot be read: {error.strerror or error}.")
    digest = sha256(source).hexdigest()
    name = f"{_MODULE}_{re.sub(r'[^0-9A-Za-z]', '_', file.stem)}_{digest[:12]}"
    spec = spec_from_file_location(name, file, loader=_AsItIs(name, file, source))
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = module_from_spec(spec)
    try:
        imported = _imported(source)
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        return Plugin(file, digest, fault=sentence(error, file))
    own = {key: value for key, value in vars(module).items() if key not in imported and not key.startswith("__")}
    return _of_something(Plugin(file, digest, name, tuple(_apart(own.items()))))


def load_installed(entry: EntryPoint) -> Plugin:
    """What an installed package offers under `mdaf.models` and the like: an object, or all that a module defines."""
    try:
        offered = entry.load()
    except (Exception, SystemExit) as error:
        return Plugin(Path(entry.name), fault=f"Plug-in {entry.name} ({entry.value}) {sentence(error, None)}")
    module = sys.modules[entry.module]
    file = Path(getattr(module, "__file__", None) or entry.name)
    own = {entry.attr: offered} if entry.attr else vars(module)
    digest = sha256(file.read_bytes()).hexdigest() if file.is_file() else ""
    imported = set() if entry.attr or not file.is_file() else _imported(file.read_bytes())
    values = ((key, value) for key, value in own.items() if key not in imported and not key.startswith("__"))
    return _of_something(Plugin(file, digest, entry.module, tuple(_apart(values))))


def _imported(source: bytes) -> set[str]:
    """Names that a file only imports."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return {alias.asname or alias.name.partition(".")[0] for node in nodes for alias in node.names}


def _apart(values: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
    for name, value in values:
        if isinstance(value, list | tuple):
            yield from ((name, part) for part in value)
        else:
            yield name, value


def _of_something(plugin: Plugin) -> Plugin:
    """The plug-in; with a fault where it defines nothing of the program's."""
    for _, value in plugin.values:
        classes = value.__mro__[1:] if isinstance(value, type) else type(value).__mro__
        if any(c.__module__.startswith(f"{PACKAGE}.") for c in classes):
            return plugin
    return Plugin(
        plugin.file,
        plugin.digest,
        fault=f"Plug-in {plugin.file} defines no model, preset, data source, study or metric of this program's kind.",
    )


def sentence(error: BaseException, file: Path | None) -> str:
    """`/path/my_model.py, line 3: ModuleNotFoundError: No module named 'foo'.`"""
    line = None
    if isinstance(error, SyntaxError) and error.filename in (str(file), "<unknown>"):
        line = error.lineno
    elif file is not None:
        line = next((f.lineno for f in reversed(_frames(error)) if f.filename == str(file)), None)
    said = (error.msg if isinstance(error, SyntaxError) else str(error)).strip().split("\n")[0].rstrip(".")
    where = "" if file is None else f"Plug-in {file}" + (f", line {line}" if line else "") + ": "
    return f"{where}{type(error).__name__}{': ' if said else ''}{said}."


def blame(error: BaseException, files: Iterable[Path]) -> str:
    """Where in one of these files an error came from, with its words, as a sentence; empty where it did not."""
    known = {str(file): file for file in files}
    for frame in reversed(_frames(error)):
        if frame.filename in known:
            return sentence(error, known[frame.filename]).replace(": ", f" (in {frame.name}): ", 1)
    return ""


def _frames(error: BaseException) -> traceback.StackSummary:
    return traceback.extract_tb(error.__traceback__)
