"""All checks of one model, one after another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import torch

from mdaf_core.models.base import ModelSettings
from mdaf_core.ops.kernels import set_threads
from mdaf_core.plugins import Plugin, using
from mdaf_core.testing import capabilities, configuration, cost, ids, learning, padding, repeats, rows, trees  # noqa: F401
from mdaf_core.testing.base import CHECKS, Check, NotApplicable, Note
from mdaf_core.testing.everywhere import process_wide, put_back
from mdaf_core.testing.report import ORDER, Examination, Finding
from mdaf_core.testing.subject import Subject


def examine(
    config: ModelSettings,
    *,
    name: str = "",
    plugin: Plugin | None = None,
    elsewhere: str | None = None,
    only: Iterable[str] | None = None,
    on_finding: Callable[[Finding], None] = lambda _: None,
) -> Examination:
    """Examine a model on a small generated data set, by all checks or some.

    Args:
        name: as the result names it; default the configuration's kind.
        plugin: the plug-in that defines it; sentences name lines of its file.
        elsewhere: how another process finds the model (`elsewhere.py`); None leaves that check out.
        only: names of checks.
        on_finding: called after each check.

    Uses one core, and torch's global generator, which it puts back.
    """
    start, threads, state = time.perf_counter(), torch.get_num_threads(), torch.get_rng_state()
    set_threads(1)
    subject = Subject(config, (plugin.file,) if plugin else ())
    subject.elsewhere = elsewhere
    findings: list[Finding] = []
    try:
        runs = True
        with using(*filter(None, [plugin])):
            for check in checks_of(config, only):
                finding = _look(check, subject) if runs else _left_out(check)
                runs = runs and not (check.name == "builds" and finding.state == "fail")
                findings.append(finding)
                on_finding(finding)
    finally:
        set_threads(threads)
        torch.set_rng_state(state)
    kind = name or str(getattr(config, "kind", type(config).__name__))
    return Examination(model=kind, findings=findings, seconds=time.perf_counter() - start)


NOT_EXAMINED = "Not examined: the model does not run."


def checks_of(config: ModelSettings, only: Iterable[str] | None = None) -> list[Check]:
    """The checks that are made of a model of this kind, in order."""
    wanted = None if only is None else set(only)
    mine = [c for c in CHECKS if c.kinds in ("both", "trees" if config.grown else "networks")]
    return [c for c in sorted(mine, key=lambda c: ORDER.index(c.name)) if wanted is None or c.name in wanted]


def _look(check: Check, subject: Subject) -> Finding:
    start = time.perf_counter()
    notes: list[str] = []
    everywhere = process_wide()
    try:
        said = list(check.look(subject))
        sentences, notes = [[one for one in said if isinstance(one, Note) is note] for note in (False, True)]
        state = "fail" if sentences else "pass"
    except NotApplicable as why:
        sentences, state = [str(why)], "not applicable"
    except Exception as error:  # in the examined model: whatever it raises is a finding
        sentences, state = [f"The model fails in this check. {subject.said(error)}"], "fail"
    finally:
        put_back(everywhere)
    seconds = time.perf_counter() - start
    return Finding(check=check.name, title=check.title, state=state, sentences=sentences, notes=notes, seconds=seconds)


def _left_out(check: Check) -> Finding:
    return Finding(check=check.name, title=check.title, state="not applicable", sentences=[NOT_EXAMINED])
