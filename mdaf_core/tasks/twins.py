"""A split by time beside another one: prepared, and the same study run on it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mdaf_core.data.prepare.twins import twin_request
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.studies import twins
from mdaf_core.studies.store import Study
from mdaf_core.studies.suitable import check_audit, failed_checks
from mdaf_core.tasks import prepare


def prepare_twin(dataset: str, path: Path | None = None, name: str | None = None) -> int:
    """Queue the preparation of a data set's twin; returns the job's id.

    Raises:
        UsageError, BadInputError: as `data.prepare.twins.twin_request` and `tasks.prepare.submit`.
    """
    wanted = twin_request(PreparedDataset.open(dataset).meta, path, name)
    return prepare.submit(wanted.source, wanted.path, wanted.name, wanted.options)


def require_twin(dataset: str, acknowledged: Sequence[str] = ()) -> None:
    """Refuse what `run_twin` would refuse of this data set, before a study is queued on it.

    Args:
        acknowledged: ids of failed audit checks that the user accepts, of either data set.

    Raises:
        UsageError: there can be no twin, or its audit failed and that is not accepted.
    """
    found = twins.time_twin(dataset)
    if found is None:
        twin_request(PreparedDataset.open(dataset).meta)
    else:
        check_audit(found, [check.id for check in failed_checks(found) if check.id in acknowledged])


def run_twin(study: Study, path: Path | None = None, acknowledged: Sequence[str] = ()) -> Study:
    """Queue a study's runs on the split by time of the same input, behind its preparation where it is not there.

    Raises:
        UsageError, BadInputError: as `prepare_twin` and `studies.twins.run_twin`.
    """
    found = twins.time_twin(study.dataset)
    if found is not None:
        return twins.run_twin(study, found, acknowledged)
    wanted = twin_request(PreparedDataset.open(study.dataset).meta, path)
    there = prepare.active(wanted.name)
    after = there.id if there else prepare.job(wanted.source, wanted.path, wanted.name, wanted.options)
    return twins.run_twin(study, wanted.name, acknowledged, after)
