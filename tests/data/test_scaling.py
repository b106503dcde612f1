"""Numbers as model inputs: the transform from its definition, fitted on training rows alone, and what it refuses."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.audit.report import stored_audit
from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.describe import describe_rows
from mdaf_core.data.store.scaling import LIMIT, Scaling, fit
from mdaf_core.data.store.schema import SPLITS
from mdaf_core.data.store.statistics import read_statistics

OPTIONS = {"label": "clk", "user": "uid", "timestamp": "when", "item": "ad", "numeric": ["duration", "age"]}
finite = st.floats(allow_nan=False, allow_infinity=False)
numbers = st.lists(st.none() | st.just(math.nan) | finite, min_size=1, max_size=60)


def present(value: float | None) -> bool:
    return value is not None and not math.isnan(value)


@given(numbers, st.data())
def test_standard_from_its_definition(values: list[float | None], data: st.DataObject) -> None:
    training = data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values)))
    series = pl.Series("x", values, dtype=pl.Float64)
    scaling = fit(series, pl.Series(training), "standard")
    chosen = [v for v, trains in zip(values, training, strict=True) if trains and v is not None and not math.isnan(v)]
    logs = [math.copysign(math.log1p(abs(v)), v) for v in chosen]
    assert scaling.rows == len(logs)
    if logs and max(logs) > min(logs):
        mean = math.fsum(logs) / len(logs)
        sd = math.sqrt(math.fsum((u - mean) ** 2 for u in logs) / len(logs))
        assert scaling.mean == pytest.approx(mean, rel=1e-9, abs=1e-12)
        assert scaling.sd == pytest.approx(sd, rel=1e-6, abs=1e-9)
    inputs = scaling.apply(series)
    assert inputs.dtype == np.float32 and len(inputs) == len(values)
    assert (np.isnan(inputs) == [not present(v) for v in values]).all()
    found = inputs[~np.isnan(inputs)]
    assert np.isfinite(found).all() and (np.abs(found) <= LIMIT).all()
    known = sorted((v, float(z)) for v, z in zip(values, inputs, strict=True) if present(v))
    assert all(a[1] <= b[1] for a, b in pairwise(known)), "larger numbers stay larger"
    of_training = [float(z) for z, trains in zip(inputs, training, strict=True) if trains and not math.isnan(z)]
    if logs and max(logs) - min(logs) > 1e-6 and scaling.divisor == scaling.sd:
        assert np.mean(of_training) == pytest.approx(0, abs=1e-3)
        assert np.std(of_training) == pytest.approx(1, abs=1e-3)


@given(st.lists(st.floats(-1e12, 1e12), min_size=2, max_size=40), st.sampled_from(["standard", "log", "none"]))
def test_numbers_come_back(values: list[float], transform: str) -> None:
    series = pl.Series("x", values)
    scaling = fit(series, pl.Series([True] * len(values)), transform)  # type: ignore[arg-type]
    again = Scaling.model_validate_json(scaling.model_dump_json())
    assert again == scaling
    back = again.invert(again.apply(series))
    assert back == pytest.approx(values, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([5.0] * 4, [0.0] * 4),  # constant
        ([None, math.nan, None, 2.0], None),  # nothing to learn from in training
        ([0.0] * 9999 + [1e6], None),  # one of 10,000
        ([1e308, -1e308, 0.0], None),
    ],
)
def test_edges(values: list, expected: list | None) -> None:
    series = pl.Series("x", values, dtype=pl.Float64)
    training = pl.Series([True] * (len(values) - 1) + [expected is None and len(values) != 4])
    inputs = fit(series, training, "standard").apply(series)
    known = inputs[~np.isnan(inputs)]
    assert np.isfinite(known).all() and np.abs(known).max() <= LIMIT
    if expected is not None:
        assert inputs.tolist() == expected
    if len(values) == 10_000:
        assert inputs[-1] == pytest.approx(LIMIT, abs=0.1) and abs(inputs[0]) < 0.01


def test_what_lies_beyond_training_is_cut() -> None:
    series = pl.Series("x", [1.0, 1.001, 1.002, 1e9, -1e9])
    scaling = fit(series, pl.Series([True, True, True, False, False]), "standard")
    assert scaling.apply(series)[3:].tolist() == [LIMIT, -LIMIT]


@pytest.mark.parametrize(("value", "transform"), [(math.inf, "standard"), (-math.inf, "log"), (1e39, "none")])
def test_refusals_name_the_field(value: float, transform: str) -> None:
    series = pl.Series("price", [1.0, value])
    scaling = fit(series, pl.Series([True, True]), transform)  # type: ignore[arg-type]
    with pytest.raises(BadInputError, match="numeric field price"):
        scaling.apply(series)


def durations(path: Path, rows: int = 600, **options: object) -> PreparedDataset:
    """Videos with a duration in milliseconds that is sometimes missing."""
    draw = np.random.default_rng(1)
    duration = np.exp(draw.normal(10, 1.5, rows))
    frame = pl.DataFrame(
        {
            "clk": draw.integers(0, 2, rows),
            "uid": draw.integers(0, 20, rows),
            "when": 1_700_000_000 + 600 * np.arange(rows),
            "ad": draw.integers(0, 30, rows),
            "duration": [None if i % 11 == 0 else float(round(d)) for i, d in enumerate(duration)],
            "age": draw.integers(18, 80, rows),
        }
    )
    frame.write_csv(path / "a.csv")
    return prepare("table", path=path / "a.csv", options=OPTIONS | options)


@pytest.mark.usefixtures("home")
def test_a_table_is_scaled_on_its_training_rows_and_says_so(tmp_path: Path) -> None:
    dataset = durations(tmp_path)
    frame = pl.read_csv(tmp_path / "a.csv")
    field = next(f for f in dataset.meta.fields if f.name == "duration")
    raw = {split: frame["duration"][dataset.rows(split).row_id.tolist()] for split in SPLITS}
    logs = np.log1p(raw["train"].drop_nulls().to_numpy())
    assert field.scaling is not None and field.scaling.rows == len(logs)
    assert (field.scaling.mean, field.scaling.sd) == (pytest.approx(logs.mean()), pytest.approx(logs.std()))
    recorded = json.loads((dataset.path / "dataset.json").read_text())["fields"]
    assert next(f for f in recorded if f["name"] == "duration")["scaling"] == field.scaling.model_dump()
    for split in SPLITS:
        expected = (np.log1p(raw[split].cast(float).fill_null(math.nan).to_numpy()) - logs.mean()) / logs.std()
        assert dataset.rows(split).columns["duration"] == pytest.approx(expected, abs=1e-5, nan_ok=True)
    figures = next(f for f in read_statistics(dataset).fields if f.name == "duration")
    assert figures.mean == pytest.approx(raw["train"].mean(), rel=1e-4) and "standardised" in figures.enters
    shown = describe_rows(dataset, "test", range(len(raw["test"])))["duration"]
    expected = raw["test"].cast(float).fill_null(math.nan).to_list()
    assert shown.to_list() == pytest.approx(expected, rel=1e-4, nan_ok=True)
    checks = {c.id: c for c in stored_audit(dataset).checks}
    assert checks["numeric-scales"].status == "pass"


@pytest.mark.usefixtures("home")
def test_without_scaling_the_audit_names_the_field(tmp_path: Path) -> None:
    dataset = durations(tmp_path, numeric_scaling="none")
    checks = {c.id: c for c in stored_audit(dataset).checks}
    assert checks["numeric-scales"].status == "warn"
    assert "duration" in checks["numeric-scales"].sentence and "age" not in checks["numeric-scales"].sentence
    raw = pl.read_csv(tmp_path / "a.csv")["duration"][dataset.rows("train").row_id.tolist()]
    assert dataset.rows("train").columns["duration"] == pytest.approx(
        raw.cast(float).fill_null(math.nan).to_numpy(), rel=1e-6, nan_ok=True
    )


@pytest.mark.usefixtures("home")
def test_data_sets_of_before_have_numbers_as_they_were(tmp_path: Path) -> None:
    dataset = durations(tmp_path, numeric_scaling="none")
    path = dataset.path / "dataset.json"
    content = json.loads(path.read_text())
    for field in content["fields"]:
        del field["scaling"]
    path.write_text(json.dumps(content))
    before = PreparedDataset(dataset.path)
    field = next(f for f in before.meta.fields if f.name == "duration")
    column = before.rows("val").columns["duration"]
    assert field.scaling is None and np.array_equal(field.numbers(column), column.astype(float), equal_nan=True)
