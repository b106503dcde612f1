"""`check-model`: is a model, one's own or a built-in one, what the program takes it for?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mdaf_core.cli.output import as_json, emit, say

if TYPE_CHECKING:
    from mdaf_core.testing.report import Examination, Finding

_MARKS = {"pass": "pass", "fail": "FAIL", "not applicable": "–"}


def command(
    target: Annotated[str, typer.Argument(metavar="FILE|PRESET|MODEL", help="my_model.py, or a built-in name.")],
    only: Annotated[list[str] | None, typer.Option("--only", metavar="CHECK", help="Make this check alone.")] = None,
) -> None:
    """Examine a model, one's own or a built-in one.

    On small generated data: does it learn, leak, depend on its batch, repeat, and cost what is said? Exits with
    0 where every check passes, with 1 where one fails.
    """
    from mdaf_core.testing.examination import examined

    results = examined(target, only, say if not as_json() else lambda _: None)
    emit(results if len(results) > 1 else results[0], lambda: "\n\n".join(map(_tell, results)))
    if not all(result.passed for result in results):
        raise typer.Exit(1)


def _tell(result: Examination) -> str:
    from mdaf_core.testing.examine import NOT_EXAMINED

    lines = [f"{result.model}:"]
    made = [finding for finding in result.findings if finding.sentences != [NOT_EXAMINED]]
    for finding in made:
        lines += _lines(finding)
    if left := len(result.findings) - len(made):
        lines.append(f"  {_MARKS['not applicable']:4}  {left} more. {NOT_EXAMINED}")
    failed = len(result.failed)
    end = (
        "All checks pass."
        if not failed
        else f"{failed} {'check fails' if failed == 1 else 'checks fail'}: {', '.join(result.failed)}."
    )
    return "\n".join([*lines, f"{end} ({result.seconds:.0f} s)"])


def _lines(finding: Finding) -> list[str]:
    head = f"  {_MARKS[finding.state]:4}  {finding.check:12}  {finding.title}"
    said = [f"        {sentence}" for sentence in finding.sentences]
    return [head, *said, *(f"        Note: {note}" for note in finding.notes)]
