"""Beginning a search: what is tried of which configuration, refused before any time is spent on it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mdaf_core.analysis.margins import Margin, check_margin
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import Split
from mdaf_core.models.space import Space
from mdaf_core.queue.slots import threads_for
from mdaf_core.runs.config import LARGEST_SEED, RunConfig
from mdaf_core.studies import suitable
from mdaf_core.studies.tuning import search
from mdaf_core.studies.tuning.going import go_on
from mdaf_core.studies.tuning.search import Confirmation, Sampler, Search, Searched
from mdaf_core.studies.tuning.spaces import check_space

MOST_TRIALS = 1000


def begin(
    *,
    definition: str,
    dataset: str,
    configs: Sequence[RunConfig],
    spaces: Sequence[Space],
    trials: int | None = 20,
    budget: float | None = None,
    seed: int = 1,
    sampler: Sampler = "tpe",
    prune: bool = False,
    title: str = "",
    acknowledged: Sequence[str] = (),
    seeds: Sequence[int] = (42, 43, 44),
    reference: str | None = None,
    metric: str = "auc",
    split: Split = "test",
    margin: Margin | None = None,
    criteria: Sequence[str] = (),
) -> Search:
    """Make a search and queue the first trial of each configuration; the others follow as it ends.

    Args:
        spaces: of each configuration, as of `spaces.spaces_of`.
        trials, budget: of each configuration: trials at most, seconds of training after which none is begun.
        seed: of every trial.
        seeds, reference, metric, split, margin, criteria: of the study of the winners, see `launch.run_configurations`.

    Raises:
        UsageError: no budget, a seed of the confirming runs that trials have, settings that cannot be tried, data as of
            `launch.run`.
    """
    if trials is None and budget is None:
        raise UsageError("Name the trials of each configuration (--trials 20), a budget (--budget 30m), or both.")
    if trials is not None and trials not in range(1, MOST_TRIALS + 1):
        raise UsageError(f"A configuration gets 1 to {MOST_TRIALS} trials, not {trials}.")
    if budget is not None and budget <= 0:
        raise UsageError("A budget is a time above 0, such as 30m.")
    if seed not in range(LARGEST_SEED + 1):
        raise UsageError(f"A seed is 0 to {LARGEST_SEED}, not {seed}.")
    if seed in seeds:
        raise UsageError(
            f"Seed {seed} is that of the trials, so no winner can be confirmed on it: choose other seeds, or another "
            "seed of the trials (--tuning-seed)."
        )
    if not seeds:
        raise UsageError("Name the seeds on which the winners are confirmed, such as 42,43,44.")
    names = [config.name for config in configs]
    if len(set(names)) < len(names):
        raise UsageError(f"Two configurations share a name: {', '.join(names)}.")
    if reference is not None and reference not in names:
        raise UsageError(f"The reference {reference!r} is not among the configurations {', '.join(names)}.")
    check_margin(margin, metric)
    suitable.check_audit(dataset, acknowledged)
    suitable.check_inputs(dataset, configs)
    for config, space in zip(configs, spaces, strict=True):
        check_space(config, space)
    made = search.create(
        title=title.strip() or f"{definition} on {dataset}, tuned",
        definition=definition,
        dataset=dataset,
        configurations=[Searched(config=c, space=s) for c, s in zip(configs, spaces, strict=True)],
        trials=trials,
        budget=budget,
        seed=seed,
        sampler=sampler,
        prune=prune,
        acknowledged=list(acknowledged),
        threads=threads_for(len(configs)),
        confirm=Confirmation(
            seeds=list(seeds), reference=reference or names[0], metric=metric, split=split, margin=margin,
            criteria=list(criteria),
        ),
    )  # fmt: skip
    return go_on(made.id)


def parse_budget(text: str) -> float:
    """`90s`, `30m`, `2h` in seconds; a number alone is minutes.

    Raises:
        UsageError: anything else.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h)?", text.strip())
    if not match or float(match[1]) <= 0:
        raise UsageError(f"A budget looks like 90s, 30m or 2h; got {text[:40]!r}.")
    return float(match[1]) * {"s": 1, "m": 60, "min": 60, "h": 3600, None: 60}[match[2]]
