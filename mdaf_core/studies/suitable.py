"""What can be trained on a data set, and what has to be acknowledged of it first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import require_known
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.definitions import definition_names, get_definition

if TYPE_CHECKING:
    from mdaf_core.data.audit.report import Check


def source_of(dataset: str) -> str | None:
    """The kind of data a data set was prepared from; None where it is not there (yet, or any more)."""
    try:
        return PreparedDataset.open(dataset).meta.source
    except StudioError:
        return None


def possible_presets(dataset: PreparedDataset, names: Sequence[str]) -> list[str]:
    """Those of the presets that can be trained on this data set: models that read histories need some, those that
    tell users apart a field for them."""
    has_history, has_users = bool(dataset.meta.history_fields), dataset.meta.features().user is not None

    def fits(model: ModelSettings) -> bool:
        return (has_history or not model.reads_history) and (has_users or not model.reads_users)

    return [name for name in names if fits(get_preset(name).model)]


@dataclass(frozen=True)
class Runnable:
    """A study and what of it can be trained on a data set: names of presets; `left_out` read histories it lacks."""

    study: str
    title: str
    presets: tuple[str, ...]
    left_out: tuple[str, ...]


def runnable(dataset: PreparedDataset) -> list[Runnable]:
    """The studies that come with the program, with their configurations that this data set has the inputs for."""
    found = []
    for name in definition_names():
        definition = get_definition(name)
        possible = possible_presets(dataset, definition.presets)
        left_out = tuple(preset for preset in definition.presets if preset not in possible)
        found.append(Runnable(name, definition.title, tuple(possible), left_out))
    return found


def check_inputs(dataset: str, configs: Sequence[RunConfig]) -> None:
    """Refuse configurations that read the user's history, or tell users apart, where the data set has none.

    Raises:
        UsageError: names them.
    """
    meta = PreparedDataset.open(dataset).meta
    blind = [config.name for config in configs if config.model.reads_history]
    if blind and not meta.history_fields:
        raise UsageError(
            f"Data set {dataset!r} has no histories, and these configurations read them: {', '.join(blind)}. "
            "Leave them out (`--only` names the ones to run)."
        )
    apart = [config.name for config in configs if config.model.reads_users]
    if apart and meta.features().user is None:
        raise UsageError(
            f"Data set {dataset!r} has no field for users, and these configurations tell a row's own log from others': "
            f"{', '.join(apart)}. Set their co_occurrence to false, or leave them out."
        )


def check_known(configs: Sequence[RunConfig]) -> None:
    """Refuse configurations whose model is not here, as one of a plug-in that is not named: each of their trainings
    would fail, and the study wait for them.

    Raises:
        StudioError: names one, and what to do.
    """
    for config in configs:
        if not config.imported:
            require_known(config.model)


def failed_checks(dataset: str) -> list[Check]:
    """Failed checks of the data set's audit.

    Raises:
        UsageError: there is no such data set.
        StudioError: it has no readable audit.
    """
    from mdaf_core.data.audit.report import failed

    return failed(PreparedDataset.open(dataset))


def check_audit(dataset: str, acknowledged: Sequence[str]) -> None:
    """Refuse a data set whose audit failed, unless each failed check is acknowledged by its id.

    Raises:
        UsageError: with the sentences of the checks that are not, or an id that did not fail.
    """
    failed = {check.id: check.sentence for check in failed_checks(dataset)}
    unknown = [check_id for check_id in acknowledged if check_id not in failed]
    if unknown:
        raise UsageError(
            f"{', '.join(unknown)} cannot be acknowledged: "
            f"{'failed checks are ' + ', '.join(failed) if failed else 'no check of this data set failed'}."
        )
    left = {check_id: sentence for check_id, sentence in failed.items() if check_id not in acknowledged}
    if left:
        listed = " ".join(f"[{check_id}] {sentence}" for check_id, sentence in left.items())
        raise UsageError(
            f"The audit of {dataset!r} failed: {listed} Prepare the data differently, or acknowledge each check by "
            f"name ({' '.join(f'--acknowledge {check_id}' for check_id in left)}); it is then recorded on every run."
        )


def check_each(
    datasets: Sequence[str], configs: Sequence[RunConfig], acknowledged: Sequence[str]
) -> dict[str, list[str]]:
    """Make sure that these configurations can be trained on each of several data sets, before anything is queued.

    Args:
        acknowledged: ids of failed audit checks that the user accepts, on whichever of the data sets they failed.

    Returns:
        Data set → those of them that failed there.

    Raises:
        UsageError: as `check_audit` and `check_inputs`, or an id failed on none.
    """
    failed = {name: {check.id for check in failed_checks(name)} for name in datasets}
    unknown = [check for check in acknowledged if not any(check in found for found in failed.values())]
    if unknown:
        raise UsageError(f"{', '.join(unknown)} cannot be acknowledged: no check of that name failed.")
    of_each = {name: [check for check in acknowledged if check in failed[name]] for name in datasets}
    for name, mine in of_each.items():
        check_audit(name, mine)
        check_inputs(name, configs)
    return of_each
