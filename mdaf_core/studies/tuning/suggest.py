"""Which settings are tried next, by Optuna.

A draw depends on the space, the seed, the trial's number and what the trials before it came to, and on nothing else:
Optuna keeps no state of a sampler, and one that is made anew begins its random numbers anew. So each draw has a sampler
of its own, seeded by the trial's number, and a search that was killed goes on as if it had not been. The trials of one
configuration are drawn one after another for the same reason.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mdaf_core.models.space import Choice, Space
from mdaf_core.studies.tuning.search import Sampler

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

STARTUP = 8
"""Trials at random before TPE (Bergstra et al. 2011) looks at what they came to."""
History = Sequence[tuple[Mapping[str, Any], float]]


def suggest(space: Space, history: History, seed: int, number: int, sampler: Sampler = "tpe") -> dict[str, Any]:
    """Settings of the trial of this number.

    Args:
        history: settings and value (more is better) of the trials before it that came to one.
        number: also tells draws apart that are repeated because settings did not go together.
    """
    import optuna

    digest = hashlib.sha256(f"{seed}/{number}".encode()).digest()
    own = int.from_bytes(digest[:4], "big")
    if sampler == "tpe":
        # Settings of one trial are judged together; no two trials of a configuration run at once.
        chosen: Any = optuna.samplers.TPESampler(
            seed=own, n_startup_trials=STARTUP, multivariate=True, constant_liar=False
        )
    else:
        chosen = optuna.samplers.RandomSampler(seed=own)
    study = _study(space, history, chosen)
    drawn = study.ask(_distributions(space)).params
    return {path: _value(values, drawn[path]) for path, values in sorted(space.items())}


def importance(space: Space, history: History) -> dict[str, float] | None:
    """Share of each setting in what tells the best trials from the others, by PED-ANOVA (Watanabe, Bansal &
    Hutter 2023); None where nothing can be said: fewer than `STARTUP` trials, or all of one value. Optuna would call
    all settings equally important then.
    """
    import optuna

    known = [one for one in history if _inside(space, one[0])]
    if len(known) < STARTUP or len({value for _, value in known}) < 2:
        return None
    study = _study(space, known, None)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = optuna.importance.get_param_importances(study)
    if any("equal" in str(warning.message) for warning in said):
        return None
    return {path: float(found.get(path, 0.0)) for path in sorted(space)}


def _study(space: Space, history: History, sampler: Any) -> Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(direction="maximize", sampler=sampler, storage=optuna.storages.InMemoryStorage())
    distributions = _distributions(space)
    for settings, value in history:
        if _inside(space, settings):  # the configuration as it was may lie outside: the model is of what is searched
            params = {path: _index(space[path], settings[path]) for path in distributions}
            study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=value))
    return study


def _inside(space: Space, settings: Mapping[str, Any]) -> bool:
    return all(values.holds(settings.get(path)) for path, values in space.items())


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    """In the order of their names: what is drawn depends on it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for path, values in sorted(space.items()):
        if isinstance(values, Choice):  # by place: values may be lists, which Optuna does not store
            found[path] = CategoricalDistribution(range(len(values.values)))
        elif values.whole:
            found[path] = IntDistribution(int(values.low), int(values.high), log=values.log)
        else:
            found[path] = FloatDistribution(values.low, values.high, log=values.log)
    return found


def _index(values: Any, value: Any) -> Any:
    return values.values.index(value) if isinstance(values, Choice) else value


def _value(values: Any, drawn: Any) -> Any:
    return values.values[drawn] if isinstance(values, Choice) else drawn
