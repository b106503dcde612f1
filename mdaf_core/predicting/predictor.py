"""A trained model with what it must know of its data set: of a run in the store, or of a saved folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.base.files import reading
from mdaf_core.data.apply.known import Known, Stored
from mdaf_core.data.apply.new_rows import NewRows
from mdaf_core.data.store.dataset import PreparedDataset, Rows
from mdaf_core.plugins.kept import as_trained
from mdaf_core.runs import files
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.tracking import RunRecord, artifact, get_run, list_runs

WHOLE_LOG = 2**31 - 1
_TREE_ROWS = 16_384
Scores = dict[str, np.ndarray]
"""(n,) float64 each: `logit`, and of gated models `g`, `logit_static`, `logit_sequential`."""


class Predictor:
    """Answers of a trained model for new rows.

    Attributes:
        config: of the run; known: what its data set knows; title: the model in words.
        answers: new rows → their scores, batch by batch, in order.
        plugins: what has the plug-ins as they were when it was trained, as a context.
    """

    def __init__(
        self,
        config: RunConfig,
        known: Known,
        title: str,
        answers: Callable[[NewRows], Iterator[Scores]],
        plugins: Callable[[], AbstractContextManager[None]],
    ):
        self.config, self.known, self.title, self.answers, self.plugins = config, known, title, answers, plugins

    @property
    def max_history(self) -> int:
        """Newest events that are kept of a history."""
        return WHOLE_LOG if self.config.streams else self.config.training.max_history


def find_run(name: str, configuration: str | None = None, seed: int | None = None) -> RunRecord:
    """A finished run: by its id or the beginning of it; or by study, configuration and seed.

    Raises:
        UsageError: there is none, or several; says which there are.
    """
    if configuration is None and seed is None:
        if any(run.study == name for run in list_runs()):
            raise UsageError(f"{name} is a study: say which run with --configuration and --seed.")
        return _finished(get_run(name))
    runs = [run for run in list_runs(name) if run.state == "finished"]
    if not runs:
        raise UsageError(f"There is no study {name!r} with finished runs.")
    if configuration is not None:
        runs = _narrowed(runs, [run for run in runs if run.configuration == configuration], "configuration")
    if seed is not None:
        runs = _narrowed(runs, [run for run in runs if run.seed == seed], "seed")
    chosen = {(run.configuration, run.seed): run for run in reversed(runs)}  # the newest of each
    if len(chosen) > 1:
        shown = ", ".join(f"{configuration} seed {seed}" for configuration, seed in sorted(chosen)[:10])
        raise UsageError(f"{len(chosen)} runs of {name!r} are meant: {shown}. Say --configuration and --seed.")
    return next(iter(chosen.values()))


def _narrowed(runs: list[RunRecord], left: list[RunRecord], what: str) -> list[RunRecord]:
    if not left:
        shown = ", ".join(sorted({str(getattr(run, what)) for run in runs}))
        raise UsageError(f"The study has no finished run of that {what}. There are: {shown}.")
    return left


def _finished(run: RunRecord) -> RunRecord:
    if run.state != "finished":
        raise UsageError(f"Run {run.run_id[:8]} is {run.state}: only a finished run has a model to use.")
    return run


def open_run(run: RunRecord) -> Predictor:
    """The model of a finished run, with its data set.

    Raises:
        UsageError: it has no weights (it was imported, or its files were removed), or its data set is gone.
        StudioError: its data set was prepared anew with other content, a file is damaged, or its model is a plug-in
            that is not named or has changed.
    """
    plugins = partial(as_trained, run.directory)
    with plugins():
        dataset, config = dataset_of(run), files.load_config(artifact(run.run_id, "config.json"))
        known, weights = Stored(dataset), weights_of(run, config)
        if config.model.grown:
            from mdaf_core.training.gbdt import Encodings

            answers = tree_answers(config, weights, Encodings.of(dataset))
        else:
            answers = neural_answers(config, known, weights)
    title = f"{run.configuration}, seed {run.seed} (run {run.run_id[:8]})"
    return Predictor(config, known, title, answers, plugins)


def dataset_of(run: RunRecord) -> PreparedDataset:
    """The data set a run was trained on, made sure to be the same still.

    Raises:
        StudioError: it is gone, or another.
    """
    from mdaf_core.runs.provenance import fingerprint

    try:
        dataset = PreparedDataset.open(run.dataset)
    except UsageError:
        raise StudioError(
            f"Data set {run.dataset!r} of run {run.run_id[:8]} is no longer here: its vocabularies are needed to read "
            "new rows. Prepare it again as it was."
        ) from None
    if run.fingerprint and fingerprint(dataset) != run.fingerprint:
        raise StudioError(
            f"Data set {run.dataset!r} was prepared anew with other content since run {run.run_id[:8]} was trained: "
            "its codes are not those of the model. Prepare it again as it was, or train again."
        )
    return dataset


def weights_of(run: RunRecord, config: RunConfig) -> Path:
    """The file with a run's trained model.

    Raises:
        UsageError: it has none.
    """
    from mdaf_core.training.gbdt import MODEL
    from mdaf_core.training.neural import WEIGHTS

    name = MODEL if config.model.grown else WEIGHTS
    try:
        return artifact(run.run_id, name)
    except UsageError:
        raise UsageError(
            f"Run {run.run_id[:8]} ({run.configuration}) has no {name}: it was imported, or its files were removed. "
            "There is no model to predict with."
        ) from None


def neural_answers(config: RunConfig, known: Known, weights: Path) -> Callable[[NewRows], Iterator[Scores]]:
    """Answers of a neural model.

    Raises:
        DamagedFileError: its weights cannot be read.
    """
    from mdaf_core.models.weights import load_model
    from mdaf_core.training.batches import loader_for
    from mdaf_core.training.neural import device_name
    from mdaf_core.training.predict import scores

    model = load_model(config.model, known.meta.features(), weights, device_name())

    def answers(rows: NewRows) -> Iterator[Scores]:
        view: Any = rows
        return scores(model, loader_for(model, view, "test", config.training, config.training.eval_batch_size))

    return answers


def tree_answers(config: RunConfig, file: Path, encodings: Any) -> Callable[[NewRows], Iterator[Scores]]:
    """Answers of a tree model.

    Args:
        encodings: `training.gbdt.Encodings` of the training rows.

    Raises:
        DamagedFileError: the model cannot be read.
    """
    import lightgbm as lgb

    from mdaf_core.data.batches.gather import match_features
    from mdaf_core.training.gbdt import inputs

    settings: Any = config.model
    with reading(file, "Train the run again, or save it again."):
        booster = lgb.Booster(model_str=file.read_text("utf-8"))

    def answers(rows: NewRows) -> Iterator[Scores]:
        all_rows, history = rows.rows(), bool(settings.match_features and rows.meta.history_fields)
        for start in range(0, len(rows), _TREE_ROWS):
            index = np.arange(start, min(start + _TREE_ROWS, len(rows)))
            part = Rows({name: np.asarray(values[index]) for name, values in all_rows.columns.items()})
            matches = None
            if history:
                most, apart = config.training.max_history, config.training.match_events
                view: Any = rows
                matches = match_features(view, "test", index, most, all_rows, apart, settings.outcomes)
            matrix = inputs(settings, rows.meta, part, encodings, matches)
            yield {"logit": np.asarray(booster.predict(matrix, raw_score=True), np.float64)}

    return answers
