"""Frames of comparisons: what a verdict is called, what notes say, which settings differ."""

from __future__ import annotations

from mdaf_core.reporting.topics.comparison import frames
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import results
from tests.reporting.example_study import make_study


def test_settings_that_differ() -> None:
    a = get_preset("mdaf-full")
    b = a.with_overrides({"training.max_epochs": 3, "model.fusion": "concat"}).model_copy(update={"name": "other"})
    found = frames.settings_differences(a, b)
    assert found.rows() == [("model.fusion", "gate", "concat"), ("training.max_epochs", "20", "3")]
    assert frames.settings_differences(a, a).is_empty()


def test_notes_are_said_once(home) -> None:
    from mdaf_core.analysis.comparison import compare_study

    study = make_study(seeds=[1, 2])
    notes = frames.comparison_notes(compare_study(results.study_runs(study), "mdaf-full"))
    assert len(notes) == len(set(notes))
    assert sum("2 seeds" in note for note in notes) == 1


def test_verdicts_of_one_seed_stay_words(home) -> None:
    from mdaf_core.analysis.comparison import compare_study

    study = make_study(seeds=[1])
    comparison = compare_study(results.study_runs(study), "mdaf-full")
    verdicts = frames.comparison_table(comparison)["Verdict"].to_list()
    assert set(verdicts) == {"reference", "✚ one seed: no variance known"}
    assert "no variance known" in frames.comparison_basis(comparison)
