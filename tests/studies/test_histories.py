"""Studies of one model with histories of several lengths."""

from __future__ import annotations

import pytest

from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import LONGEST_HISTORY
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import definitions
from mdaf_core.studies.definitions import configurations, get_definition
from mdaf_core.studies.histories import by_length, lines, parse_lengths


def test_the_study_has_causal_models_at_all_lengths_and_windows_where_they_fit() -> None:
    configs = configurations(get_definition("history-length"))
    assert {(c.preset, c.training.max_history) for c in configs} == {
        *((preset, n) for preset in ("mdaf-sequential", "mamba4rec-v2") for n in (10, 50, 200, 1000, 10_000)),
        *(("bst", n) for n in (10, 50, 200)),
    }
    assert all(c.streams == (c.preset != "bst") for c in configs)
    assert [c.model.positions for c in configs if c.preset == "bst"] == [10, 50, 200]  # type: ignore[attr-defined]
    assert next(c for c in configs if c.name == "mamba4rec-v2-all").training.max_history == LONGEST_HISTORY


def test_other_models_and_lengths_may_be_named() -> None:
    found = definitions.chosen(get_definition("history-length"), models=["din", "lr"], histories=[5, 500], windows=500)
    assert [c.name for c in found] == ["din-5", "din-500", "lr"]
    bst = by_length(get_preset("mdaf-bst"), [5])[0]
    assert bst.model.sequential.positions == 5  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match="reads windows so long"):
        definitions.chosen(get_definition("history-length"), models=["bst"], histories=[500])
    with pytest.raises(UsageError, match="It has: mdaf-sequential-10"):
        definitions.chosen(get_definition("history-length"), only=["bst"])


@pytest.mark.parametrize(
    ("text", "lengths"), [("10", [10]), ("50, 10,all", [10, 50, 10_000]), (" 1 , 10000", [1, 10_000])]
)
def test_lengths_as_they_are_typed(text, lengths) -> None:
    assert parse_lengths(text) == lengths


@pytest.mark.parametrize("text", ["", "0", "10001", "10;50", "ten", "10,10", "all,10000", "-5"])
def test_lengths_that_are_none(text) -> None:
    with pytest.raises(UsageError, match="Lengths of histories look like"):
        parse_lengths(text)


def test_lines_are_configurations_that_differ_in_length_alone() -> None:
    study = configurations(get_definition("history-length"), ["mdaf-sequential", "bst", "lr"], [10, 200, 10_000], 200)
    assert lines(study) == {
        "mdaf-sequential": {10: "mdaf-sequential-10", 200: "mdaf-sequential-200", 10_000: "mdaf-sequential-all"},
        "bst": {10: "bst-10", 200: "bst-200"},
    }
    window = get_preset("mdaf-sequential").with_overrides(["training.max_history=200"])
    wider = by_length(get_preset("mdaf-sequential").with_overrides(["model.hidden_dim=64"]), [10])
    assert list(lines([*study, window, *wider])) == ["mdaf-sequential", "bst"]  # another encoding, another width
    other = [c.model_copy(update={"name": f"long {c.name}"}) for c in wider + by_length(wider[0], [50])]
    assert list(lines([*study, *other]))[-1] == "long mdaf-sequential"
    assert lines([get_preset("lr"), get_preset("bst")]) == {}


def test_the_study_of_long_memory_reads_less_than_the_distance_more_and_all() -> None:
    configs = {c.name: c for c in configurations(get_definition("long-memory"))}
    assert list(configs) == [
        *(f"{name}-{length}" for name in ("mean", "mdaf-sequential") for length in ("1000", "2000", "all")),
        *("sim-1000", "dcnv2"),
    ]
    assert all(c.streams == (c.preset not in ("sim", "dcnv2")) for c in configs.values())
    assert configs["mean-2000"].model.inner_dim == 32  # type: ignore[attr-defined]
    assert set(lines(list(configs.values()))) == {"mean", "mdaf-sequential"}
