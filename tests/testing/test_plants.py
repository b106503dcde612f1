"""Each bug is named by its check, at its place; its clean twin passes that check."""

from __future__ import annotations

import pytest

from tests.testing.models import BASES, Plant, written
from tests.testing.plants import NOTED, PLANTS

HERE = [plant for plant in PLANTS if plant.check != "process"]


@pytest.mark.parametrize("plant", HERE, ids=lambda plant: plant.name)
def test_a_planted_bug_is_named(plant: Plant, findings) -> None:  # type: ignore[no-untyped-def]
    [found] = findings(plant.source(), plant.check)
    assert found.state == "fail", found
    assert plant.says in " ".join(found.sentences)


@pytest.mark.parametrize("plant", [plant for plant in HERE if plant.clean], ids=lambda plant: plant.name)
def test_its_clean_twin_passes(plant: Plant, findings) -> None:  # type: ignore[no-untyped-def]
    [found] = findings(plant.source(clean=True), plant.check)
    assert found.state == "pass", found.sentences


@pytest.mark.parametrize("plant", NOTED, ids=lambda plant: plant.name)
def test_what_may_be_meant_is_a_note(plant: Plant, findings) -> None:  # type: ignore[no-untyped-def]
    [found], [clean] = (findings(plant.source(c), plant.check) for c in (False, True))
    assert (found.state, clean.state) == ("pass", "pass") and plant.says in " ".join(found.notes)
    assert not any(plant.says in note for note in clean.notes)


@pytest.mark.parametrize("base", BASES)
def test_a_model_without_a_bug_passes_all(base: str, findings) -> None:  # type: ignore[no-untyped-def]
    failed = {found.check: found.sentences for found in findings(written(base, {})) if found.state == "fail"}
    assert not failed


SOUND = {
    "compiled": ("self.side = torch.jit.script(nn.Sequential(nn.Linear(16, 16), nn.ReLU()))", "h = self.side(h)"),
    "shared": (
        "self.one = nn.Linear(16, 16)\nself.two = nn.Linear(16, 16)\nself.two.weight = self.one.weight",
        "h = self.two(torch.relu(self.one(h)))",
    ),
    "normalised": ("self.side = nn.BatchNorm1d(16)", "h = self.side(h) if len(h) > 1 or not self.training else h"),
    "reparametrised": ("self.side = nn.utils.parametrizations.weight_norm(nn.Linear(16, 16))", "h = self.side(h)"),
    "now and then": (
        "self.side = nn.Linear(16, 16)",
        "h = h + self.side(h) * ((torch.rand(()) < 0.8) if self.training else 0.8)",
    ),
}


@pytest.mark.parametrize("kind", SOUND)
def test_what_is_unusual_and_sound_passes_all(kind: str, findings) -> None:  # type: ignore[no-untyped-def]
    made, used = SOUND[kind]
    found = findings(written("static", {"INIT": made, "AFTER": used}))
    assert not {one.check: one.sentences for one in found if one.state == "fail"}
