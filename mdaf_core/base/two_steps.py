"""Python files that are read in two steps, so that what a model can be set to is known without loading torch.

A model's file has its configuration on top and its network below, with the network's own imports between them:

    class DINConfig(SequenceConfig): ...

    import torch

    class DINEncoder(HistoryEncoder): ...

The first step ends where imports begin again after a class. The second is taken when a name from below is first asked
for. A file with all its imports on top is read at once, as any other.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from threading import RLock
from types import CodeType, ModuleType
from typing import Any


class TwoSteps(SourceFileLoader):
    """Loads one file; a name that is defined below is there as soon as it is asked for."""

    def exec_module(self, module: ModuleType) -> None:
        below = self._cut()
        if below is None:
            super().exec_module(module)
            return
        above, rest, names = below
        exec(above, module.__dict__)
        waiting, lock = [rest], RLock()

        def __getattr__(name: str) -> Any:
            if name in names:
                with lock:
                    if waiting:
                        exec(waiting[0], module.__dict__)
                        waiting.clear()
                if name in module.__dict__:
                    return module.__dict__[name]
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}", name=name, obj=module)

        module.__dict__["__getattr__"] = __getattr__

    def _cut(self) -> tuple[CodeType, CodeType, set[str]] | None:
        """Both halves, and the names that the second binds; None for a file that has no second."""
        tree = ast.parse(self.get_data(self.path), self.path)
        classes = [i for i, node in enumerate(tree.body) if isinstance(node, ast.ClassDef)]
        later = [i for i, node in enumerate(tree.body) if isinstance(node, ast.Import | ast.ImportFrom)]
        cut = next((i for i in later if classes and i > classes[0]), None)
        if cut is None:
            return None
        futures = [n for n in tree.body if isinstance(n, ast.ImportFrom) and n.module == "__future__"]
        rest = tree.body[cut:]
        return self._compiled(tree.body[:cut]), self._compiled([*futures, *rest]), _bound(rest)

    def _compiled(self, body: Sequence[ast.stmt]) -> CodeType:
        return compile(ast.Module(list(body), type_ignores=[]), self.path, "exec", dont_inherit=True)


def _bound(body: Sequence[ast.stmt]) -> set[str]:
    """Names that these statements may bind; a few too many do no harm."""
    names: set[str] = set()
    for node in (node for statement in body for node in ast.walk(statement)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


class _Finder(MetaPathFinder):
    def __init__(self, package: str):
        self.package = package

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.rpartition(".")[0] != self.package:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = TwoSteps(fullname, spec.origin)
        return spec


def files_of(package: str) -> None:
    """Have all files of a package read in two steps from now on."""
    sys.meta_path.insert(0, _Finder(package))
