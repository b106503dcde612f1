"""Imported predictions put into a study: as a configuration like others, with its own seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mdaf_core.analysis.plan import ImportedSeed
from mdaf_core.base.errors import UsageError
from mdaf_core.base.files import check_name
from mdaf_core.base.settings import get_settings
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import Split
from mdaf_core.runs import tracking
from mdaf_core.runs.config import LARGEST_SEED
from mdaf_core.runs.imported import IMPORTED
from mdaf_core.runs.importing.columns import Chosen
from mdaf_core.runs.importing.examine import Examined, examine
from mdaf_core.runs.importing.record import imported_config, record
from mdaf_core.runs.provenance import check_same_data
from mdaf_core.runs.results import RunResult
from mdaf_core.studies.store import Study, create_study, get_study, list_studies, update_study

NEW = "new"
"""Instead of a study's id: a new one in any case."""


@dataclass(frozen=True)
class Imported:
    """What an import made: its run, the study it is in, and what was recognised, in sentences."""

    study: Study
    result: RunResult
    sentences: list[str]


def import_predictions(
    source: Path | str | Any,
    *,
    data: str | None = None,
    name: str,
    seed: int | None = None,
    study: str | None = None,
    split: Split | None = None,
    val: Path | str | Any | None = None,
    chosen: Chosen = Chosen(),
) -> Imported:
    """Import predictions of a model that was trained elsewhere.

    Args:
        source: a CSV, TSV, Parquet, JSON lines, .npy or .npz file, a data frame, a mapping of columns, or an array.
        data: the prepared data set they are of; a study's where one is named.
        name: of the model, as shown; several seeds of a name are one configuration.
        seed: None: not known; it counts as one training then.
        study: id of the study to add them to; None: the newest study of imported runs on these data, or a new one;
            `new`: a new one.
        split: of `source`, where it holds one; None: recognised.
        val: predictions of the validation rows, where they are in a file of their own; `source` is of the test rows.
        chosen: what columns and scores are, where it is not recognised.

    Raises:
        Refused: the predictions do not fit the rows; with counts and the first ten.
        UsageError: no such data set or study, the seed is imported already, or what the file holds is not clear.
        BadInputError: a file cannot be read.
    """
    target = target_study(data, study)
    dataset = PreparedDataset.open(target.dataset if isinstance(target, Study) else target)
    sources = sources_of(source, split, val)
    check_free(target, name, seed)
    return keep_in_study(examine(sources, dataset, chosen), target, name, seed)


def sources_of(source: Any, split: Split | None = None, val: Any | None = None) -> Mapping[Split | None, Any]:
    """The sources by their split.

    Raises:
        UsageError: two of the validation rows.
    """
    if val is None:
        return {split: source}
    if split == "val":
        raise UsageError("Both files are said to hold the validation rows: the first is of the test rows then.")
    return {"test": source, "val": val}


def target_study(data: str | None, study: str | None) -> Study | str:
    """The study that predictions go to, or the data set for which a new one is made.

    Raises:
        UsageError: neither is named, there is no such study, or it is of other data.
    """
    if study is not None and study != NEW:
        found = get_study(study)
        if data is not None and data != found.dataset:
            raise UsageError(f"Study {study} is on data set {found.dataset!r}, not on {data!r}.")
        return found
    if data is None:
        raise UsageError("Name the data set the predictions are of (--data NAME), or the study (--study ID).")
    mine = [one for one in list_studies() if one.definition == IMPORTED and one.dataset == data]
    return mine[0] if mine and study is None else data


def check_free(target: Study | str, name: str, seed: int | None) -> None:
    """Refuse a name that cannot be used, and a seed that the study has of it already.

    Raises:
        UsageError: says what to do.
    """
    check_name(name, "name of the model")
    if seed is not None and not 0 <= seed <= LARGEST_SEED:
        raise UsageError(f"A seed is a whole number from 0 to {LARGEST_SEED}; got {seed}.")
    if not isinstance(target, Study):
        return
    config = imported_config(name)
    there = {
        run.seed
        for run in tracking.list_runs(target.id)
        if run.state == "finished" and run.configuration == config.name
    }
    if config.name not in target.configuration_names or not there:
        return
    if seed is None:
        raise UsageError(
            f"Study {target.id} has predictions of {name!r} already: say of which training these are (--seed N), or "
            "import them under another name or into a new study (--study new)."
        )
    if seed in there:
        raise UsageError(
            f"Study {target.id} has seed {seed} of {name!r} already: name another seed, another name, or a new study "
            "(--study new)."
        )


def keep_in_study(examined: Examined, target: Study | str, name: str, seed: int | None) -> Imported:
    """Keep predictions that were looked at, as a run of a study.

    Raises:
        UsageError: as `check_free`.
        StudioError: the study has runs on other data of that name, or the store or the disk refuses it.
    """
    check_free(target, name, seed)
    config = imported_config(name)
    number, now = seed or 0, datetime.now(UTC).isoformat(timespec="seconds")
    dataset = examined.dataset
    if isinstance(target, Study):
        check_same_data(dataset, target.id)
        others = [run for run in tracking.list_runs(target.id) if run.configuration != config.name]
        seen = any(run.state == "finished" for run in others)
        result = record(examined, config, number, seed is not None, target.id)
        added = ImportedSeed(configuration=config.name, seed=number, added=now, results_seen=seen)
        study = update_study(target.id, imported=(config, added))
        return Imported(study, result, examined.sentences())
    first = ImportedSeed(configuration=config.name, seed=number, added=now, results_seen=False)
    study = create_study(
        title=f"Imported predictions on {dataset.name}",
        definition=IMPORTED,
        dataset=dataset.name,
        configurations=[config],
        seeds=[number],
        reference=config.name,
        imported=[first],
    )
    try:
        result = record(examined, config, number, seed is not None, study.id)
    except BaseException:
        (get_settings().studies_dir / f"{study.id}.json").unlink(missing_ok=True)
        raise
    return Imported(study, result, examined.sentences())
