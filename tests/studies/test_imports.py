"""Imported predictions as configurations of a study: the figures of a run's own, marked, by their own seeds."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from mdaf_core.analysis.costs import ledger
from mdaf_core.analysis.plan import AFTERWARDS
from mdaf_core.base.errors import UsageError
from mdaf_core.runs import tracking
from mdaf_core.runs.importing.refused import Refused
from mdaf_core.runs.provenance import fingerprint
from mdaf_core.studies.changing import extend
from mdaf_core.studies.imports import NEW, import_predictions
from mdaf_core.studies.results import compare, study_runs
from mdaf_core.studies.status import cells, unqueued
from mdaf_core.studies.store import get_study
from tests.reporting.example_study import make_study


@pytest.fixture
def study(tiny, made_once):  # type: ignore[no-untyped-def]
    given = dict.fromkeys(["mdaf-full", "lr"], fingerprint(tiny))
    return made_once(lambda: make_study([*given], [1, 2, 3], dataset=tiny, fingerprints=given))


def own(study, configuration: str, seed: int, split: str = "test") -> pl.DataFrame:
    """Predictions of a run, as its folder has them."""
    run = next(r for r in study_runs(study) if (r.configuration, r.seed) == (configuration, seed))
    return pl.read_parquet(run.directory / "predictions" / f"{split}.parquet")


def test_own_predictions_imported_as_foreign_give_the_same_to_the_last_bit(study, tmp_path) -> None:
    for seed in (1, 2, 3):
        both = pl.concat([own(study, "lr", seed, split) for split in ("val", "test")])
        mixed = both.select("row_id", "label", "logit", "probability").sample(fraction=1.0, shuffle=True, seed=seed)
        path = tmp_path / (f"{seed}.csv" if seed == 2 else f"{seed}.parquet")
        if seed == 2:  # with 17 digits
            lines = [f"{r},{y},{z:.17g},{p:.17g}" for r, y, z, p in mixed.iter_rows()]
            path.write_text("\n".join(["row_id,label,logit,probability", *lines]))
        elif seed == 3:  # by position
            path = tmp_path / "3.npz"
            np.savez(path, **{s: own(study, "lr", 3, s)["logit"].to_numpy() for s in ("val", "test")})
        else:
            mixed.write_parquet(path)
        import_predictions(path, name="foreign", seed=seed, study=study.id)
    study = get_study(study.id)
    for split in ("test", "val"):
        found = {c.configuration: c for c in compare(study, split=split).configurations}
        mine, theirs = found["lr"], found["foreign (imported)"]
        assert mine.values == theirs.values
        same = (
            "summary",
            "mean",
            "difference",
            "difference_rows",
            "p_adjusted",
            "signed_rank",
            "equivalence",
            "verdict",
        )
        for name in same:
            assert getattr(mine, name) == getattr(theirs, name), name
        assert theirs.difference is not None and theirs.difference.p is not None
    as_reference = {c.configuration: c for c in compare(study, reference="foreign (imported)").configurations}
    assert as_reference["lr"].difference is not None and as_reference["lr"].difference.estimate == 0


def test_an_altered_row_is_refused_and_leaves_nothing(study, tmp_path) -> None:
    frame = own(study, "lr", 1).select("row_id", "label", "probability")
    runs = len(tracking.list_runs())
    altered = frame.with_columns(
        label=pl.when(pl.int_range(pl.len()) == 5).then(1 - pl.col("label")).otherwise("label")
    )
    unknown = frame.with_columns(row_id=pl.when(pl.int_range(pl.len()) == 5).then(10**9).otherwise("row_id"))
    for bad in (altered, frame.slice(1), pl.concat([frame, frame.head(1)]), unknown):
        with pytest.raises(Refused):
            import_predictions(bad, data="tiny", name="foreign", seed=1)
    assert len(tracking.list_runs()) == runs
    assert [path.stem for path in tmp_path.rglob("studies/*.json")] == [study.id]


def test_a_study_of_imports_alone_collects_seeds_and_models(study) -> None:
    frame = own(study, "lr", 1).select("row_id", "label", "probability")
    first = import_predictions(frame, data="tiny", name="a", seed=7)
    assert first.study.id.startswith("imported-tiny") and first.study.plan is None
    again = import_predictions(frame, data="tiny", name="a", seed=8)
    other = import_predictions(frame, data="tiny", name="b")
    assert again.study.id == other.study.id == first.study.id
    assert import_predictions(frame, data="tiny", name="a", seed=7, study=NEW).study.id != first.study.id
    found = get_study(first.study.id)
    assert found.seeds_of("a (imported)") == [7, 8] and found.all_seeds == [7, 8, 0]
    assert {cell.state for cell in cells(found)} == {"finished"}
    assert other.result.imported is not None and not other.result.imported.seed_known
    entry = next(c for c in compare(found).configurations if c.configuration == "b (imported)")
    assert entry.verdict == "one seed: no variance known" and "paired in their order (0 with 7)" in " ".join(
        entry.notes
    )
    for seed, words in ((7, "has seed 7"), (None, "say of which training")):
        with pytest.raises(UsageError, match=words):
            import_predictions(frame, data="tiny", name="a", seed=seed, study=found.id)
    with pytest.raises(UsageError, match="more seeds"):
        extend(found.id, [9])
    with pytest.raises(UsageError, match="cannot be used"):
        import_predictions(frame, data="tiny", name="../a", seed=1)


def test_what_is_added_after_results_is_marked_and_planned_words_stay(study) -> None:
    frame = own(study, "lr", 1).select("row_id", "label", "probability")
    planned = {c.configuration: c.difference for c in compare(study).configurations}
    import_predictions(frame, name="late", seed=11, study=study.id)
    found = get_study(study.id)
    assert unqueued(found, cells(found)) == [] and found.expected_seeds["late (imported)"] == [11]
    comparison = compare(found)
    assert comparison.conditions is not None
    assert comparison.conditions.marks("late (imported)") == [AFTERWARDS]
    assert comparison.conditions.marks("lr") == [] and comparison.conditions.interim == {}
    assert {
        c.configuration: c.difference for c in comparison.configurations if "late" not in c.configuration
    } == planned
    late = next(c for c in comparison.configurations if "late" in c.configuration)
    assert list(late.seed_differences) == [11] and "11 with 1" in " ".join(late.notes)


def test_what_is_not_known_is_null_everywhere(study) -> None:
    frame = own(study, "lr", 1).select("row_id", "label", "probability")
    made = import_predictions(frame, name="late", seed=1, study=study.id)
    runs = study_runs(get_study(study.id))
    row = ledger(runs).filter(pl.col("configuration") == "late (imported)").to_dicts()[0]
    known = {name for name, value in row.items() if value is not None}
    assert known == {"configuration", "model", "seeds"} and row["model"] == "imported"
    assert made.result.epochs == [] and made.result.val.auc is None and "imported" in made.result.val.undefined["auc"]
    validation = next(c for c in compare(get_study(study.id), split="val").configurations if "late" in c.configuration)
    assert validation.verdict == "not comparable"
    params = tracking.get_run(made.result.run_id).config
    assert not [name for name in params if name.startswith("training.")]
    from mdaf_core.reporting.material import Material
    from mdaf_core.reporting.paper.bundle import describe, results

    said = " ".join(sentence.text for sentence in results(Material(get_study(study.id))))
    assert "Trained elsewhere" in said and "late (imported)" in said
    manifest = json.loads(json.dumps(describe(Material(get_study(study.id)))))
    entry = next(run for run in manifest["runs"] if run["configuration"] == "late (imported)")
    assert entry["command"] == f"mdaf import predictions FILE --name late --study {study.id} --seed 1"
    scores = entry["provenance"]["imported"]["splits"]["test"]
    assert scores["matched"].startswith("row id") and scores["scale"] == "probability"
