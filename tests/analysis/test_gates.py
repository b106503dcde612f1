"""The g of a small MDAF on synthetic rows: groups, lean, rows as people read them, and occlusion."""

from __future__ import annotations

import dataclasses

import numpy as np
import polars as pl
import pytest
import torch
from safetensors.torch import save_file

from mdaf_core.analysis import adaptivity, gate_groups, gates, rows, slices, story
from mdaf_core.base.errors import StudioError, UsageError
from mdaf_core.data.batches.loader import BatchLoader
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.describe import local_times
from mdaf_core.metrics.auc import auc
from mdaf_core.models.mamba4rec import Mamba4RecConfig
from mdaf_core.models.mdaf import MDAFConfig
from mdaf_core.models.registry import build_model
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.predictions import load_predictions
from mdaf_core.runs.results import EpochMetrics, RunResult, SplitMetrics
from mdaf_core.runs.tracking import RunRecord, run_directory
from mdaf_core.training.predict import predict, write_predictions

SMALL = {"item_dim": 8, "category_dim": 8, "hidden_dim": 16, "static_dim": 4, "hidden_units": [16], "blocks": 1}


@pytest.fixture(scope="module")
def trained(tmp_path_factory, give_tiny):
    """An MDAF as it is initialised (a training adds nothing to these tests), its predictions, and its data set."""
    with pytest.MonkeyPatch.context() as patch:
        home = tmp_path_factory.mktemp("artifacts")
        patch.setenv("MDAF_HOME", str(home))
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        dataset = give_tiny(home)
        runs = {}
        for fusion in ("gate", "fixed", "concat"):
            runs[fusion] = _write_run(dataset, fusion, f"{len(runs):032x}")
        yield dataset, runs


def _write_run(dataset: PreparedDataset, fusion: str, run_id: str) -> RunRecord:
    model_config = MDAFConfig(fusion=fusion, sequential=Mamba4RecConfig(**SMALL))
    config = RunConfig(name=f"mdaf-{fusion}", preset="mdaf-full", model=model_config)
    torch.manual_seed(1)
    model = build_model(config.model, dataset.meta.features()).eval()
    directory = run_directory(run_id)
    directory.mkdir(parents=True)
    (directory / "config.json").write_text(config.model_dump_json())
    save_file(model.state_dict(), directory / "weights.safetensors")
    columns = predict(model, dataset, "test", config.training)
    write_predictions(directory / "predictions" / "test.parquet", dataset.rows("test"), columns, 50)
    epochs = [EpochMetrics(epoch=1, lr=0.1, gate_mean=0.5), EpochMetrics(epoch=2, lr=0.1, gate_mean=0.6)]
    empty = SplitMetrics(rows=0, positives=0)
    result = RunResult(
        run_id=run_id, preset="mdaf-full", configuration=config.name, seed=1, dataset=dataset.name, best_epoch=1,
        stopped="", epochs=epochs, val=empty, test=empty, rows_per_second=1, parameters=1,
        provenance={"dataset": {"fingerprint": dataset.meta.fingerprint}},
    )  # fmt: skip
    (directory / "result.json").write_text(result.model_dump_json())
    (directory / "epochs.json").write_text("[" + ",".join(e.model_dump_json() for e in epochs) + "]")
    return RunRecord(
        run_id=run_id, study="s", configuration=config.name, preset="mdaf-full", model="mdaf", seed=1,
        dataset=dataset.name, fingerprint="f", state="finished", reason="", started=0.0, ended=1.0,
        config={"model.fusion": fusion},
    )  # fmt: skip


# --- groups and adaptivity -------------------------------------------------------------------------------------------


def test_summary_adds_up(trained):
    _, runs = trained
    found = gates.gate_summary(runs["gate"])
    frame = load_predictions(runs["gate"].run_id, "test")
    assert found.rows == len(frame) == sum(b.negatives + b.positives for b in found.histogram)
    assert sum(b.positives for b in found.histogram) == frame["label"].sum()
    assert found.overall.mean == pytest.approx(frame["g"].mean())
    assert found.overall.median == pytest.approx(frame["g"].median())
    assert [g.group for g in found.by_label] == ["label 0", "label 1"]
    for groups in found.slices.values():
        assert sum(g.rows for g in groups) == len(frame)
        assert sum(g.rows * g.mean for g in groups) / len(frame) == pytest.approx(found.overall.mean)
    assert [e.gate_mean for e in found.by_epoch] == [0.5, 0.6]
    assert found == gates.gate_summary(runs["gate"])  # from the cache


def test_slices_come_back_with_the_data_set(trained, tmp_path):
    dataset, runs = trained
    run = dataclasses.replace(runs["gate"], ended=2.0)  # nothing of it is in the cache
    away = dataset.path.rename(tmp_path / "away")
    try:
        without = gates.gate_summary(run)
    finally:
        away.rename(dataset.path)
    assert without.slices_note and list(without.slices) == ["history_length"]
    found = gates.gate_summary(run)
    assert not found.slices_note and len(found.slices) > 1


def test_history_slices_are_what_they_say(trained):
    _, runs = trained
    frame = load_predictions(runs["gate"].run_id, "test")
    by_name = {g.group: g for g in gates.gate_summary(runs["gate"]).slices["history_length"]}
    for name, low, high in (("0", 0, 0), ("1–2", 1, 2), ("21–50", 21, 50)):
        mine = frame.filter(pl.col("history_length").is_between(low, high))
        assert by_name[name].rows == len(mine)
        assert by_name[name].mean == pytest.approx(mine["g"].mean())


def test_a_fixed_gate_has_nothing_that_adapts(trained):
    _, runs = trained
    assert gates.gate_summary(runs["fixed"]).constant
    found = adaptivity.contributions([runs["fixed"]]).gate
    assert found.word == "g is constant" and "fixes it at 0.5" in found.sentence


def test_models_without_a_gate_say_so(trained):
    _, runs = trained
    with pytest.raises(UsageError, match="concatenates its branches"):
        gates.gate_summary(runs["concat"])
    lr = dataclasses.replace(runs["gate"], model="lr", configuration="lr")
    assert "one branch only" in gates.without_gate(lr)
    assert gates.without_gate(runs["gate"]) is None


@pytest.mark.parametrize("value", ["g", "static", "sequential_size"])
def test_means_over_two_variables(trained, value):
    """Each cell by its definition: a mask, its mean, and the mean without each user in turn."""
    dataset, runs = trained
    run, frame = runs["gate"], load_predictions(runs["gate"].run_id, "test")
    column = frame["g" if value == "g" else f"contribution_{value.removesuffix('_size')}"].to_numpy().astype(float)
    column = np.abs(column) if value.endswith("_size") else column
    found = gate_groups.cells(run, "test", value, "history_length", "hour")
    hour = local_times(dataset.rows("test").timestamp, dataset.meta.timezone, dataset.meta.time_unit).dt.hour()
    assert sum(cell.rows for cell in found.cells) == len(frame) and found.firsts[0] == "0"
    cell = max(found.cells, key=lambda cell: cell.rows if cell.of_first == "6–10" else 0)
    mine = frame["history_length"].is_between(6, 10).to_numpy() & (hour == int(cell.of_second)).to_numpy()
    value_M, user_M = column[mine], frame["user"].to_numpy()[mine]
    users = np.unique(user_M)
    assert (cell.rows, cell.users) == (mine.sum(), len(users)) and cell.mean == pytest.approx(value_M.mean())
    without = np.array([value_M[user_M != user].mean() for user in users])
    se = np.sqrt((len(users) - 1) / len(users) * ((without - without.mean()) ** 2).sum())
    assert 1.9 < (cell.high - cell.mean) / se < 2.5  # Student's t
    one = gate_groups.groups(run, "test", value, "history_length")
    assert sum(g.rows * g.mean for g in one) == pytest.approx(column.sum())
    steps = gate_groups.histograms(run, "test", value, "history_length")
    assert sum(step.rows for step in steps) == len(frame)
    assert steps[0].share == steps[0].rows / next(g.rows for g in one if g.group == steps[0].group)


def test_values_and_variables_that_are_not_there_are_a_sentence(trained):
    _, runs = trained
    with pytest.raises(UsageError, match="hold no g"):
        gate_groups.groups(runs["concat"], "test", "g", "history_length")
    assert gate_groups.values_of(runs["concat"], "test") == ["static", "sequential", "static_size", "sequential_size"]
    with pytest.raises(UsageError, match="cannot be grouped by 'weekday'"):
        gate_groups.groups(runs["gate"], "test", "g", "weekday")
    with pytest.raises(UsageError, match="Two different variables"):
        gate_groups.cells(runs["gate"], "test", "g", "hour", "hour")


# --- rows ------------------------------------------------------------------------------------------------------------


def test_rows_are_filtered_and_readable(trained):
    dataset, runs = trained
    frame, total = rows.select_rows(
        runs["gate"], "test", rows.RowFilter(label=1, history=(3, 9)), most=5, sort="g", descending=True
    )
    raw = load_predictions(runs["gate"].run_id, "test")
    expected = raw.filter(label=1).filter(pl.col("history_length").is_between(3, 9))
    assert (total, len(frame)) == (len(expected), 5)
    assert frame["g"].to_list() == sorted(expected["g"], reverse=True)[:5]
    first = frame.row(0, named=True)
    position = raw["row_id"].to_list().index(first["row_id"])
    assert first["user"] == dataset.users[int(dataset.rows("test").user[position])]
    assert first["item"].startswith("Item ") and first["time"].startswith("2024-05-1")
    mine, count = rows.select_rows(runs["gate"], "test", rows.RowFilter(user=first["user"]))
    assert count == len(mine) and set(mine["user"]) == {first["user"]}
    assert rows.select_rows(runs["gate"], "test", rows.RowFilter(user="nobody"))[1] == 0
    one = rows.RowFilter(within=(("row_id", first["row_id"], first["row_id"]),))
    assert rows.select_rows(runs["gate"], "test", one)[0]["row_id"].to_list() == [first["row_id"]]
    with pytest.raises(UsageError, match="cannot be sorted"):
        rows.select_rows(runs["gate"], "test", sort="nothing")


def test_rows_are_found_by_item_and_category(trained):
    dataset, runs = trained
    item = np.asarray(dataset.rows("test").columns["item"])
    for text in ("7", "Item 7"):  # the id, or the title; neither finds Item 17
        found, count = rows.select_rows(runs["gate"], "test", rows.RowFilter(fields=(("item", text),)))
        assert count == (item == 8).sum() > 0 and set(found["item"]) == {"Item 7"}
    found = rows.select_rows(runs["gate"], "test", rows.RowFilter(fields=(("item", "TEM 1"),)), most=5000)[0]
    assert len(set(found["item"])) > 5 and all(title.startswith("Item 1") for title in found["item"])
    both = (("category", "Category 3"), ("item", "unseen in training"))
    assert rows.select_rows(runs["gate"], "test", rows.RowFilter(fields=both))[1] == 0
    assert rows.searched_fields(runs["gate"], "test") == ["item", "category"]
    with pytest.raises(UsageError, match="cannot be searched by 'hour'"):
        rows.select_rows(runs["gate"], "test", rows.RowFilter(fields=(("hour", "3"),)))


def test_scatter_samples_honestly(trained):
    _, runs = trained
    whole, note = rows.scatter_rows(runs["gate"], "test")
    assert len(whole) == 3000 and note == "" and whole.schema["g"] == pl.Float32
    part, note = rows.scatter_rows(runs["gate"], "test", most=100)
    assert len(part) == 100 and "100 of 3,000" in note
    absent = next(row for row in whole["row_id"] if row not in set(part["row_id"]))
    kept, _ = rows.scatter_rows(runs["gate"], "test", most=100, keep=absent)
    assert set(kept["row_id"]) == {*part["row_id"], absent}
    assert part["row_id"].is_sorted()
    some, _ = rows.scatter_rows(runs["gate"], "test", rows.RowFilter(label=1, g=(0.4, 0.5)))
    raw = load_predictions(runs["gate"].run_id, "test")
    assert some["row_id"].equals(raw.filter(pl.col("g").is_between(0.4, 0.5), label=1)["row_id"])


def position_of(dataset, length):
    rows = dataset.rows("test")
    return int(np.flatnonzero(rows.history_end - rows.history_start == length)[0])


@pytest.mark.parametrize("length", [0, 1, 7])
def test_story_reads_the_row(trained, length):
    dataset, runs = trained
    position, rows = position_of(dataset, length), dataset.rows("test")
    found = story.row_story(runs["gate"], "test", int(rows.row_id[position]))
    recorded = load_predictions(runs["gate"].run_id, "test").row(position, named=True)
    assert found.probability == recorded["probability"]
    assert len(found.history) == found.history_recorded == length
    assert found.true_probability == rows.true_probability[position]
    assert found.fields["item"] == f"Item {rows.columns['item'][position] - 1}"
    assert all(e.seconds_before > 0 for e in found.history)
    assert [e.place for e in found.history] == list(range(1, length + 1))
    times = [e.when for e in found.history]
    assert times == sorted(times, reverse=True)
    by_name = {w.name: w for w in found.what_if}
    assert by_name["static branch alone"].logit == recorded["logit_static"]
    assert by_name["g at its median"].logit == recorded["logit_g_median"]
    parts = found.contribution_static + found.contribution_sequential
    assert parts == pytest.approx(found.logit - load_predictions(runs["gate"].run_id, "test")["logit"].mean(), abs=1e-5)
    assert found.response[0].logit == pytest.approx(recorded["logit_static"], abs=1e-5)
    assert found.response[-1].logit == pytest.approx(recorded["logit_sequential"], abs=1e-5)
    assert found.notes == []


def test_the_story_in_words_names_the_events_that_moved_it_most(trained):
    dataset, runs = trained
    found = story.row_story(runs["gate"], "test", int(dataset.rows("test").row_id[position_of(dataset, 7)]))
    for i, event in enumerate(found.history):
        event.effect_probability = (0.0, 0.02, -0.03, 0.0, 0.01, 0.0, 0.0)[i]
    found.history[1].seconds_before = 7200
    text = " ".join(story.sentences(found))
    assert f"{found.probability:.1%}" in text and f"g = {found.g:.2f}" in text
    assert "Most for it spoke event 2 (Item" in text and "2 hours before): without it, 2.0 points less" in text
    assert "Most against it: event 3" in text and "3.0 points more" in text
    for event in found.history:
        event.effect_probability = 1e-5
    assert "No single event" in story.sentences(found)[-1]
    empty = story.row_story(runs["concat"], "test", int(dataset.rows("test").row_id[position_of(dataset, 0)]))
    _, parts = story.sentences(empty)
    assert "static branch moves its log-odds by" in parts


@pytest.mark.parametrize("over_time", [True, False])
def test_the_strip_holds_every_event(trained, over_time):
    from mdaf_core.reporting import export
    from mdaf_core.reporting.topics.gates import charts as gate_charts

    dataset, runs = trained
    found = story.row_story(runs["gate"], "test", int(dataset.rows("test").row_id[position_of(dataset, 7)]))
    chart, data = gate_charts.occlusion(found, over_time=over_time)
    assert data["place"].to_list() == list(range(1, 8))
    assert export.render(chart, "svg").startswith(b"<svg")


def test_occlusion_is_the_prediction_without_the_event(trained):
    """Against a batch whose packed history is cut by hand, one event at a time."""
    from dataclasses import replace

    dataset, runs = trained
    position = position_of(dataset, 7)
    found = story.row_story(runs["gate"], "test", int(dataset.rows("test").row_id[position]))
    config = RunConfig.model_validate_json((runs["gate"].directory / "config.json").read_text())
    torch.manual_seed(1)
    model = build_model(config.model, dataset.meta.features()).eval()
    whole = BatchLoader(dataset, "test", 1).gather(np.array([position]))
    (variants,) = story._without_each_event(model, dataset, "test", position, config)
    assert torch.equal(variants.match_BM[0], whole.match_BM[0])
    with torch.inference_mode():
        base = model(whole).logit_B.item()
        for event in found.history:
            keep = torch.arange(7) != 7 - event.place  # place 1 is the newest, the last token
            cut = replace(
                whole,
                history={name: codes[keep] for name, codes in whole.history.items()},
                history_age_T=whole.history_age_T[keep],
                equal_TH=whole.equal_TH[keep],
                cu_seqlens=torch.tensor([0, 6], dtype=torch.int32),
                match_BM=variants.match_BM[event.place].unsqueeze(0),
            )
            assert event.effect_logit == pytest.approx(base - model(cut).logit_B.item(), abs=1e-5)


def test_match_features_forget_the_event(trained):
    """Without its only matching event a row has no match; the other features move as the loader defines them."""
    dataset, runs = trained
    config = RunConfig.model_validate_json((runs["gate"].directory / "config.json").read_text())
    model = build_model(config.model, dataset.meta.features())
    rows, events = dataset.rows("test"), dataset.events
    for position in range(len(rows)):
        start, end = rows.history_start[position], rows.history_end[position]
        same = np.flatnonzero(events["category"][start:end] == rows.columns["category"][position])
        if len(same) == 1 and 1 < end - start <= 50:
            break
    seen = 4  # category_seen: after the four features of item
    (variants,) = story._without_each_event(model, dataset, "test", position, config)
    expected = np.ones(1 + end - start)
    expected[end - start - same[0]] = 0  # the newest event is left out first
    assert variants.match_BM[:, seen].tolist() == expected.tolist()


def test_story_of_a_concatenation_has_effects_but_no_gate(trained):
    dataset, runs = trained
    found = story.row_story(runs["concat"], "test", int(dataset.rows("test").row_id[position_of(dataset, 7)]))
    assert found.g is None and found.what_if == [] and found.response == []
    assert found.history[0].effect_logit is not None and found.history[0].effect_g is None
    assert "concatenates" in found.notes[0]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.unlink(), "weights are gone"),
        (lambda path: path.write_bytes(b"no tensors"), "damaged"),
        (lambda path: save_file({"other": torch.zeros(1)}, path), "another version"),
    ],
)
def test_story_without_the_model_says_so(trained, damage, words):
    dataset, runs = trained
    run = runs["fixed"]
    weights = run.directory / "weights.safetensors"
    kept = weights.read_bytes()
    damage(weights)
    try:
        found = story.row_story(run, "test", int(dataset.rows("test").row_id[position_of(dataset, 7)]))
    finally:
        weights.write_bytes(kept)
    assert words in found.notes[-1]
    assert found.what_if and found.history[0].effect_logit is None


def test_unknown_rows_and_changed_data_are_sentences(trained):
    dataset, runs = trained
    with pytest.raises(UsageError, match="has no row 123456789"):
        story.row_story(runs["gate"], "test", 123456789)
    with pytest.raises(UsageError, match="has no row 0"):
        story.row_story(runs["gate"], "test", 0)  # a training row
    result = runs["concat"].result
    changed = result.model_copy(update={"provenance": {"dataset": {"fingerprint": {"sha256": "other"}}}})
    path = runs["concat"].directory / "result.json"
    kept = path.read_text()
    path.write_text(changed.model_dump_json())
    try:
        with pytest.raises(StudioError, match="prepared anew"):
            story.row_story(runs["concat"], "test", int(dataset.rows("test").row_id[0]))
    finally:
        path.write_text(kept)


# --- AUC by slices ---------------------------------------------------------------------------------------------------


def test_auc_by_slice(trained):
    _, runs = trained
    run = runs["gate"]
    frame = slices.slice_metrics({"mdaf": [run]}, "history_length")
    raw = load_predictions(run.run_id, "test")
    mine = raw.filter(pl.col("history_length").is_between(3, 5))
    row = frame.filter(slice="3–5").row(0, named=True)
    assert row["auc"] == pytest.approx(auc(mine["label"], mine["logit"]))
    assert (row["rows"], row["positives"]) == (len(mine), mine["label"].sum())
    assert row["low"] < row["auc"] < row["high"]
    assert frame["rows"].sum() == len(raw)
    twice = slices.slice_metrics({"mdaf": [run, run]}, "history_length")
    assert twice["auc"].to_list() == frame["auc"].to_list() and twice["seeds"][0] == 2
    assert twice["low"].to_list() == pytest.approx(frame["low"].to_list()), "seeds that agree add nothing"
    with pytest.raises(UsageError, match="Possible: history_length"):
        slices.slice_metrics({"mdaf": [run]}, "weather")
    assert slices.slice_metrics({}, "hour").is_empty()


def test_slices_by_training_rows(trained):
    dataset, runs = trained
    found, reason = slices.slicings(runs["gate"], "test")
    assert not reason
    train, test = dataset.rows("train"), dataset.rows("test")
    count = np.array([(train.user == u).sum() for u in test.user[:200]])
    labels = np.array(found["user_activity"].labels)[found["user_activity"].code[:200]]
    for n, label in zip(count, labels, strict=True):
        low, _, high = label.partition("–")
        assert int(low.rstrip("+")) <= n and (not high or n <= int(high))
    assert (found["unseen"].code == 0).all()  # every synthetic id occurs in training
    local = pl.from_epoch(pl.Series(test.timestamp)).dt.hour()
    assert found["hour"].code.tolist() == local.to_list()


def test_slices_with_one_label_say_so(trained):
    _, runs = trained
    label = load_predictions(runs["gate"].run_id, "test")["label"].to_numpy()
    by_label = slices.Slicing("label", ["negatives", "positives"], label.astype(np.int64))
    for entry in slices._measure([runs["gate"]], by_label, "test").slices:
        assert entry.auc is None and entry.low is None and "both labels" in entry.note
