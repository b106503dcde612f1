"""`factorial` from a shell, and the paper's table of the same effects."""

from __future__ import annotations

import pytest

from mdaf_core.base.errors import UsageError
from mdaf_core.base.settings import get_settings
from mdaf_core.reporting.figures import make_figure
from mdaf_core.reporting.material import Material
from mdaf_core.reporting.paper.tables import make_table
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.factorial import build
from mdaf_core.studies.results import effects_of
from tests.reporting.example_study import make_study
from tests.studies.test_factorial import OFF


def test_effects_are_told(call, home):
    configs, found = build(get_preset("mdaf-full"), OFF)
    study = make_study(configs, [1, 2]).model_copy(update={"factorial": found})
    with pytest.raises(UsageError, match="no factorial"):
        effects_of(study.model_copy(update={"factorial": None}))
    (get_settings().studies_dir / f"{study.id}.json").write_text(study.model_dump_json())
    code, told, _ = call("factorial", study.id, "--json")
    assert code == 0 and [one["effect"] for one in told["effects"]] == ["gate", "loss", "gate × loss"]
    text = call("factorial", study.id, "--margin", "100")[1]
    assert "2^2 design, 4 configurations × 2 seeds" in text and "Margin: ±100.0 bp" in text
    figure, table = make_figure(Material(study), "component-effects"), make_table(Material(study), "effects")
    assert figure.data["configuration"].to_list()[0] == "gate"
    assert figure.data["verdict"].to_list() == table.cells["Shown"], "chart and table have one word a verdict"
    assert {"helps", "harms"} & set(table.cells["Shown"])
    domain = figure.chart.to_dict()["layer"][-1]["encoding"]["shape"]["scale"]["domain"]
    assert set(domain) == set(table.cells["Shown"])
    assert table.cells["Component"] == ["gate", "loss", "gate × loss"] and r"$\times$" in table.latex()
