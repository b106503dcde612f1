"""A state that is kept of a user: its scores are those of the forward pass on the whole log, however it came about."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mdaf_core.base.errors import UsageError
from mdaf_core.data.batches import stream
from mdaf_core.data.batches.events import Events
from mdaf_core.data.batches.stream import StreamLoader
from mdaf_core.data.batches.variants import view_of
from mdaf_core.data.store.dataset import Rows
from mdaf_core.models.registry import build_model
from mdaf_core.predicting.serving import Newest, Server, lacks_state
from mdaf_core.runs.presets import get_preset


def config(preset: str, most: int, **settings):  # type: ignore[no-untyped-def]
    always = {"training.history_encoding": "stream", "training.max_history": most, "model.dropout": 0.0}
    return get_preset(preset).with_overrides(always | settings)


def built(preset: str, dataset, most: int = 50, **settings):  # type: ignore[no-untyped-def]
    given = config(preset, most, **settings)
    torch.manual_seed(1)
    model = build_model(given.model, dataset.meta.features())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.double().eval(), given


def forward(model, dataset, most: int, begin: int, end: int) -> torch.Tensor:  # type: ignore[no-untyped-def]
    """Test rows as candidates whose history is this part of the log, by the program's own batches."""
    columns = dict(dataset.rows("test").columns)
    columns |= {"history_start": np.full(20, begin), "history_end": np.full(20, end)}
    rows = Rows({name: np.asarray(values)[:20] for name, values in columns.items()})
    with torch.inference_mode():
        loader = StreamLoader(view_of(dataset, rows), "test", 20, max_history=most)
        return model(loader.gather(np.arange(20))).logit_B


@pytest.mark.parametrize("preset", ["mdaf-sequential", "mamba4rec-v2-report", "mdaf-full"])
@pytest.mark.parametrize("most", [3, 50])
def test_scores_of_a_growing_log(tiny, monkeypatch, preset, most):
    """Across the places where encoding begins anew, which here lie 16 (or as many as a row reads) events apart."""
    monkeypatch.setattr(stream, "GRID", 16)
    grows(tiny, *built(preset, tiny, most), most)


@pytest.mark.parametrize("most", [3, 50])
def test_what_came_of_events_is_kept(few, monkeypatch, most):
    monkeypatch.setattr(stream, "GRID", 16)
    model, given = built("mamba4rec-v2", few, most, **{"model.outcomes": True})
    assert model.encoder.counts_outcomes and few.meta.outcomes == ["1", "2", "3", "4", "5"]
    grows(few, model, given, most)


def grows(data, model, given, most):  # type: ignore[no-untyped-def]
    server, rows, index = Server(model, given, data), data.rows("test"), np.arange(20)
    state, length = server.begin(), 0
    for step in (1, 1, 1, 13, 1, 1, 1, 1, 15, 40, 0, 1, 30, 7):
        server.append(state, Events.of(data, slice(length, length + step)))
        length += step
        assert state.length == length and len(state.readings) <= 2
        wanted = forward(model, data, most, 0, length)
        torch.testing.assert_close(server.score(state, rows, index), wanted, rtol=1e-9, atol=1e-9)
        begun = server.begin(Events.of(data, slice(length)))
        torch.testing.assert_close(server.score(begun, rows, index), wanted, rtol=1e-9, atol=1e-9)


def test_a_user_without_events(tiny):
    model, given = built("mdaf-full", tiny)
    server = Server(model, given, tiny)
    found = server.score(server.begin(), tiny.rows("test"), np.arange(20))
    torch.testing.assert_close(found, forward(model, tiny, 50, 0, 0), rtol=1e-9, atol=1e-9)


def test_a_model_without_a_state_is_refused_with_its_reason(tiny):
    for preset, why in (("bst", "puts the target into the sequence"), ("lr", "no history")):
        given = get_preset(preset)
        model = build_model(given.model, tiny.meta.features())
        with pytest.raises(UsageError, match=why):
            Server(model, given, tiny)
    windows = get_preset("mdaf-sequential").with_overrides({"training.history_encoding": "window"})
    assert "windows" in lacks_state(windows) and not lacks_state(config("mdaf-sequential", 50))


@pytest.mark.parametrize("most", [1, 5, 200])
def test_the_newest_rows_are_kept_whatever_is_added(most):
    rng, kept = np.random.default_rng(0), Newest(most, np.empty((0, 2)))
    added = np.empty((0, 2))
    for size in (0, 1, 1, 1, 4, 0, 70, 1, 300, 2, *[1] * 500):
        more = rng.normal(size=(size, 2))
        kept.add(more)
        added = np.concatenate([added, more])
        np.testing.assert_array_equal(kept.rows(), added[-most:])
    assert len(kept._room) <= 4 * most + 400
