"""An examination as the command line and the app ask for one; what was found of a file is kept by its content."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mdaf_core.base.errors import UsageError
from mdaf_core.testing.elsewhere import request
from mdaf_core.testing.examine import examine
from mdaf_core.testing.files import models_named
from mdaf_core.testing.report import ORDER, Examination, keep


def examined(
    target: str, only: Iterable[str] | None = None, say: Callable[[str], None] = lambda _: None
) -> list[Examination]:
    """Examine the models of a file, or one by the name of a preset or kind; results of a whole examination are kept.

    Args:
        only: names of checks.
        say: told what is being done.

    Raises:
        UsageError: no such file, name or check.
        BadInputError: the file cannot be imported, or holds no model.
    """
    unknown = [name for name in only or () if name not in ORDER]
    if unknown:
        raise UsageError(f"There is no check {unknown[0]!r}. Known: {', '.join(ORDER)}.")
    results = []
    for model in models_named(target):
        say(f"Examining {model.name} on small generated data")
        found = examine(model.config, name=model.name, plugin=model.plugin, elsewhere=request(model), only=only or None)
        if model.plugin and not only:
            keep(found, model.plugin.digest)
        results.append(found)
    return results
