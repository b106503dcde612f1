"""Names in charts, and axes that say what they are."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import polars as pl
import pytest

from mdaf_core.analysis.curves import pr_points
from mdaf_core.analysis.gate_groups import GateGroup, Step, Value
from mdaf_core.metrics.pr_auc import pr_auc
from mdaf_core.reporting import export, parts
from mdaf_core.reporting.theme import SEQUENTIAL, themed
from mdaf_core.reporting.topics import cost, scores, tuning
from mdaf_core.reporting.topics.comparison import charts
from mdaf_core.reporting.topics.curves import charts as curve_charts
from mdaf_core.reporting.topics.gates import values

LONG = "DCNv3 with exponential crosses, self-mask and tri-BCE, "


def test_long_names_keep_what_tells_them_apart() -> None:
    short = parts.short_names(["bst", f"{LONG}ablation A", f"{LONG}ablation B"])
    assert short["bst"] == "bst"
    assert short[f"{LONG}ablation A"] == "DCNv3 with exponen…ablation A"
    assert len(set(short.values())) == 3
    assert all(len(name) <= parts.NAME_LIMIT for name in short.values())


def test_names_that_differ_in_the_middle_stay_apart() -> None:
    names = [f"{'a' * 30} {i} {'b' * 30}" for i in range(3)]
    assert len(set(parts.short_names(names).values())) == 3


def _axes(node: Any) -> list[dict[str, Any]]:
    if isinstance(node, list):
        return [axis for part in node for axis in _axes(part)]
    if not isinstance(node, dict):
        return []
    mine = [node["axis"]] if isinstance(node.get("axis"), dict) else []
    return mine + [axis for part in node.values() for axis in _axes(part)]


def test_axes_shorten_only_long_names() -> None:
    def spec(*names: str) -> str:
        cells = pl.DataFrame({"configuration": names, "seed": [42] * len(names), "value": 0.5, "text": "0.5"})
        return str(_axes(themed(charts.ablation_matrix(cells, order=names), "print")))

    assert "labelExpr" not in spec("bst", "lr")
    assert "labelExpr" in spec("bst", f"{LONG}ablation A")


@pytest.mark.parametrize("width", [300, 900])
def test_rates_on_axes_are_what_they_say(width: int) -> None:
    vl_convert = pytest.importorskip("vl_convert")
    curve = pl.DataFrame({"run_id": "r", "configuration": "bst", "fpr": [0.0, 1.0], "tpr": [0.0, 1.0]})
    spec = themed(scores.roc(curve, order=["bst"]), "print") | {"width": width}
    svg = vl_convert.vegalite_to_svg(spec)
    assert all(svg.count(f">{rate}</text>") == 2 for rate in ("0.0", "0.2", "0.4", "0.6", "0.8", "1.0"))
    assert ">0.1</text>" not in svg


def test_cost_shows_the_interval_of_a_mean_where_it_is_known() -> None:
    vl_convert = pytest.importorskip("vl_convert")
    frame = pl.DataFrame(
        {
            "configuration": ["bst", "lr"],
            "mean": [0.71, 0.69],
            "low": [0.70, None],
            "high": [0.72, None],
            "parameters": [2e5, 3e2],
        }
    )
    chart = cost.chart(frame, x="parameters", x_title="Parameters", y_title="AUC", order=["bst", "lr"])
    svg = vl_convert.vegalite_to_svg(themed(chart, "print") | {"width": 300})
    assert svg.count('aria-roledescription="rule mark"') == 1
    assert svg.count('aria-roledescription="point"') == 2


@pytest.mark.parametrize("distinct", [2, 5, 1000])
def test_area_under_a_precision_recall_curve_is_its_average_precision(distinct: int) -> None:
    """As drawn, in steps; straight lines between points would promise more where scores tie."""
    rng = np.random.default_rng(distinct)
    label = rng.random(300) < 0.2
    score = np.floor((label + rng.normal(size=300)) * distinct)
    points = pr_points(label, score).with_columns(run_id=pl.lit("r"), configuration=pl.lit("c"))
    chart = scores.precision_recall(points, label.mean(), order=["c"])
    _, line = chart.to_dict()["layer"]
    assert line["mark"]["interpolate"] == "step-before"
    drawn = chart.layer[1].data
    area = (drawn["recall"].diff().fill_null(0) * drawn["precision"]).sum()
    assert area == pytest.approx(pr_auc(label, score), abs=1e-12)
    assert drawn["recall"][0] == 0 and drawn["precision"][-1] == pytest.approx(label.mean())


def test_the_lines_of_runs_break_between_runs() -> None:
    vl_convert = pytest.importorskip("vl_convert")
    epochs = pl.DataFrame({"epoch": [1, 2, 3], "best": [False, True, False]})
    runs = pl.DataFrame({"run_id": ["b", "a"], "configuration": "bst", "seed": [43, 42], "curve": "validation"})
    members = runs.join(epochs, how="cross").with_columns(value=0.7 + 0.01 * pl.col("epoch") + 0.001 * pl.col("seed"))
    bands = pl.DataFrame(schema={"configuration": pl.String, "curve": pl.String, "epoch": pl.Int64, "seeds": pl.Int64}
                         | dict.fromkeys(("mean", "sd", "low", "high"), pl.Float64))  # fmt: skip
    chart = curve_charts.learning_curves(members, bands, order=["bst"], y_title="AUC")
    svg = vl_convert.vegalite_to_svg(themed(chart, "print") | {"width": 300})
    (path,) = re.findall(r'aria-roledescription="line mark" d="([^"]+)"', svg)
    assert path.count("M") == 2 and path.count("L") == 4
    assert "mean" not in str([one["encoding"]["y"] for one in chart.to_dict()["layer"]]), "Vega warns of no numbers"
    assert svg.count('aria-roledescription="point"') == 2


def test_names_are_in_expressions_only_as_strings() -> None:
    """Browsers compile what charts compute on screen."""
    names = ["bst", f"{LONG}\"}})[0]; alert('1')\u2028", f"{LONG}\\"]
    cells = pl.DataFrame({"configuration": names, "seed": [42] * 3, "value": 0.5, "text": "0.5"})
    found = [
        a["labelExpr"] for a in _axes(themed(charts.ablation_matrix(cells, order=names), "screen")) if "labelExpr" in a
    ]
    for text in found:
        literal = re.fullmatch(r"\((\{.*\})\)\[datum\.value\] \|\| datum\.label", text)
        assert literal and literal[1].isascii() and set(json.loads(literal[1])) <= set(names)
    assert found


@pytest.mark.parametrize("names", [["bst"], ["bst", "lr"]])
def test_lines_of_configurations_have_one_legend_that_shows_their_dashes(names: list[str]) -> None:
    """Where one channel of a legend has it and another has not, Vega-Lite warns."""
    runs = pl.DataFrame({"run_id": names, "configuration": names})
    rates = pl.DataFrame({name: [0.0, 1.0] for name in ("fpr", "tpr", "recall", "precision")})
    trials = pl.DataFrame({"trials": [1, 2], "expected": [0.7, 0.8], "low": 0.6, "high": 0.9})
    for chart in (
        scores.roc(runs.join(rates, how="cross"), order=names),
        scores.precision_recall(runs.join(rates, how="cross"), 0.3, order=names),
        tuning.expected_chart(runs.join(trials, how="cross"), names, "Validation AUC"),
    ):
        (layer,) = [one["encoding"] for one in chart.to_dict()["layer"] if "strokeDash" in one["encoding"]]
        legends = [layer[channel].get("legend", {}) for channel in ("color", "strokeDash")]
        assert [one is None for one in legends] == [len(names) == 1] * 2
        if len(names) > 1:
            assert legends[0]["symbolType"] == "stroke"


def _group(low: float, high: float) -> GateGroup:
    middle = (low + high) / 2
    found = {"mean": middle, "low": middle, "high": middle, "q05": low, "q25": low, "median": middle}
    return GateGroup(group=f"{high}", rows=9, sd=0.1, q75=high, q95=high, **found)


@pytest.mark.parametrize(("value", "beyond"), [("g", False), ("static", True)])
def test_an_axis_of_g_ends_where_g_does(value: Value, beyond: bool) -> None:
    chart, _ = values.groups([_group(0.7, 0.8), _group(0.97, 0.998)], "Group", value)
    figure = export.render(chart, "svg", columns=2).decode()
    labels = re.findall(r'text-anchor="middle"[^>]*>(\d\.\d+)</text>', figure)
    assert (max(map(float, labels)) > 1) is beyond


def test_histograms_as_shades_take_those_of_the_page() -> None:
    """On a dark page the rarest are dark: a chart that names its colours would be white there."""
    steps = [Step(group="a", start=s, end=s + 0.1, rows=1, share=share) for s, share in ((0.1, 0.0), (0.2, 0.8))]
    spec = themed(values.histograms(steps, "Group")[0], "print")
    assert spec["encoding"]["color"]["scale"] == {"domain": [0, 0.8]}
    svg = export.render(values.histograms(steps, "Group")[0], "svg").decode()
    for colour in (SEQUENTIAL[0], SEQUENTIAL[-1]):
        assert "rgb({}, {}, {})".format(*bytes.fromhex(colour[1:])) in svg
