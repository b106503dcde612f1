"""`speed`: of a study, whose page then shows it, and of runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from mdaf_core.base.errors import UsageError
from mdaf_core.models.registry import build_model
from mdaf_core.models.weights import save_weights
from mdaf_core.predicting.measured import SpeedSettings, kept
from mdaf_core.queue import api
from mdaf_core.reporting.figures import make_figure
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.tables import make_table
from mdaf_core.runs.provenance import fingerprint
from mdaf_core.studies.results import study_runs
from mdaf_core.tasks.kinds import KINDS
from mdaf_core.tasks.speed import Measuring
from tests.reporting.example_study import make_study

FEW = ("--events", "3,9", "--candidates", "1,4", "--threads", "1", "--rounds", "6", "--calls", "1", "--users", "2")


@pytest.fixture
def study(tiny):  # type: ignore[no-untyped-def]
    """Two configurations with weights as they are drawn."""
    names = ["mdaf-static", "lr"]
    made = make_study(names, [1, 2], dataset=tiny, fingerprints=dict.fromkeys(names, fingerprint(tiny)))
    for run in study_runs(made):
        torch.manual_seed(run.seed)
        model = build_model(made.configuration(run.configuration).model, tiny.meta.features())
        save_weights(model, run.directory / "weights.safetensors")
    return made


def test_a_study(call, study) -> None:  # type: ignore[no-untyped-def]
    code, found, err = call("speed", study.id, *FEW, "--json")
    assert code == 0, err
    assert {cell["configuration"] for cell in found["cells"]} == {"mdaf-static", "lr"}
    assert found["settings"]["rounds"] == 6 and found["reference"] == "mdaf-static"
    assert {r["against"] for r in found["comparisons"]} == {"mdaf-static"}
    assert all(r["verdict"] in ("faster", "slower", "not shown") for r in found["comparisons"])
    assert any("reads no history" in sentence for sentence in found["beside"])
    measured = kept(study.id)
    assert measured is not None and len(measured.cells) == len(found["cells"])
    material = Material(study)
    figure, table = make_figure(material, "latency"), make_table(material, "speed")
    assert set(figure.data["events"]) == {3, 9} and "4 candidates of one user, on one thread" in figure.caption
    assert table.cells["Verdict"][0] == "reference" and len(table.cells["Events"]) == 4
    code, text, _ = call("speed", study.id, *FEW, "--reference", "lr")
    assert code == 0 and "lr, raw" in text and "rounds: in each" in text


def test_runs(call, study) -> None:  # type: ignore[no-untyped-def]
    one, other = (
        next(r.run_id for r in study_runs(study) if r.configuration == name) for name in ("lr", "mdaf-static")
    )
    code, found, err = call("speed", one[:8], other, *FEW, "--json")
    assert code == 0, err
    assert found["reference"] == "lr" and kept(study.id) is None
    same = [run.run_id for run in study_runs(study) if run.configuration == "lr"]
    code, _, err = call("speed", *same, *FEW)
    assert code == 2 and "one configuration" in err


def test_what_cannot_be_asked(call, study, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    for arguments, said in (
        (("speed", study.id, "--events", "0"), "events"),
        (("speed", study.id, "--candidates", "many"), "candidates"),
        (("speed", "nothing"), "nothing"),
    ):
        code, _, err = call(*arguments)
        assert code == 2 and said in err
    with pytest.raises(UsageError, match="has not been measured"):
        make_figure(Material(study), "latency")
    code, found, err = call("speed", study.id, "--rounds", "7", "--queue", "--json")
    assert code == 0, err
    job = api.get_job(found["job"])
    assert (job.kind, job.payload["study"], job.payload["settings"]["rounds"]) == ("speed", study.id, 7)
    code, _, err = call("speed", study.id, "--queue")
    assert code == 2 and "being measured already" in err


def test_the_job(study) -> None:  # type: ignore[no-untyped-def]
    settings = SpeedSettings(events=[3], candidates=[2], threads=[1], rounds=1, calls=1, users=1, bulk_rows=1)
    told: list[str] = []
    asked: list[int] = []
    context = SimpleNamespace(report=lambda stage: told.append(stage.words()), stop_if_asked=lambda: asked.append(1))
    KINDS["speed"].run(context, Measuring(study=study.id, settings=settings))  # type: ignore[arg-type]
    measured = kept(study.id)
    assert measured is not None and measured.settings == settings and len(measured.cells) == 4
    assert asked and told[0].startswith("On one thread")
