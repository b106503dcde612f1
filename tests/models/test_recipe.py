"""CONTRIBUTING's recipe for a model, followed to the letter in a copy of the library: it must be enough."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

ROOT = Path(__file__).resolve().parents[2]

# The whole of a new model: one file.
MODEL = '''
"""The share of events that have the target's id."""

from typing import Literal

from mdaf_core.models.base import Preset
from mdaf_core.models.history import SequenceConfig


class AverageConfig(SequenceConfig):
    """The share of events that have the target's id; `blind` sees none of it, as a control."""

    encoder = "AverageEncoder"

    kind: Literal["average"] = "average"
    blind: bool = False


PRESETS = [Preset("average", "Share of the history", AverageConfig(match_features=False))]


from mdaf_core.models.history import HistoryEncoder
from mdaf_core.ops.segments import segment_mean


class AverageEncoder(HistoryEncoder):
    def __init__(self, config, features):
        super().__init__(config, features, target_aware=True, pooled_dim=len(features.history))
        self.blind = config.blind

    def pool(self, event_TE, target_BE, batch):
        share_BH = segment_mean(batch.equal_TH.to(event_TE.dtype), batch.cu_seqlens)
        return 0 * share_BH if self.blind else share_BH
'''


# What a process does: the output of each command that it reads, as a line of JSON.
COMMANDS = """
import contextlib, io, json, sys
from mdaf_core.cli.main import main
for line in sys.stdin:
    sys.argv[1:], out = json.loads(line), io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            main()
    except SystemExit as end:
        assert not end.code, line
    print(json.dumps(out.getvalue()), flush=True)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the library with one model more, and a log of clicks that follow from the history."""
    folder = tmp_path_factory.mktemp("recipe")
    shutil.copytree(ROOT / "mdaf_core", folder / "mdaf_core", ignore=shutil.ignore_patterns("__pycache__", "ops"))
    (folder / "mdaf_core" / "ops").mkdir()  # stays where it is, beside its compiled code
    (folder / "mdaf_core" / "ops" / "__init__.py").write_text(f"__path__ = [{str(ROOT / 'mdaf_core' / 'ops')!r}]\n")
    (folder / "mdaf_core" / "models" / "average.py").write_text(MODEL, "utf-8")

    draw = np.random.default_rng(0)
    users, steps = 400, 15
    liked = draw.integers(0, 8, users)
    item = np.where(draw.random((users, steps)) < 0.5, liked[:, None], draw.integers(0, 8, (users, steps)))
    item[:, :5] = liked[:, None]  # what a user likes is in the history alone: users come one after the other
    label = np.where(item == liked[:, None], 0.9, 0.1) > draw.random((users, steps))
    keep = np.arange(steps) >= 5
    pl.DataFrame(
        {
            "label": np.where(keep, label, True).ravel().astype(int),
            "user": np.repeat(np.arange(users), steps),
            "item": item.ravel(),
            "time": 1_700_000_000 + 3_600 * np.arange(users * steps),
        }
    ).write_csv(folder / "log.csv")
    return folder


@pytest.fixture
def run(library: Path) -> Iterator[Callable[[list[str]], str]]:
    """What a command of the copy prints; one process does them all."""
    environment = os.environ | {"MDAF_HOME": str(library / "artifacts"), "MDAF_THREADS": "1"}
    with (library / "errors.log").open("w+") as errors, subprocess.Popen(
        [sys.executable, "-c", COMMANDS], cwd=library, env=environment | {"PYTHONPATH": str(library)},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
    ) as process:  # fmt: skip

        def said(words: list[str]) -> str:
            assert process.stdin and process.stdout
            print(json.dumps(words), file=process.stdin, flush=True)
            line = process.stdout.readline()
            assert line, (library / "errors.log").read_text()
            return str(json.loads(line))

        yield said
        assert process.stdin
        process.stdin.close()


def chosen(*pairs: str) -> list[str]:
    return [word for pair in pairs for word in ("--set", pair)]


def test_a_new_history_model_is_given_its_history(library: Path, run: Callable[[list[str]], str]) -> None:
    prepare = ["data", "prepare", "table", "--path", "log.csv", "--name", "log"]
    train = ["train", "average", "--data", "log", "--seed", "1", "--json",
             *chosen("training.max_epochs=4", "training.batch_size=128", "training.warmup_epochs=0",
                     "training.learning_rate=0.01")]  # fmt: skip
    run(prepare + chosen("user=user", "item=item", "timestamp=time"))
    seeing, blind = (json.loads(run(words)) for words in (train, train + chosen("model.blind=true")))
    assert blind["test"]["auc"] < 0.6
    assert seeing["test"]["auc"] > blind["test"]["auc"] + 0.15

    folder = library / "artifacts" / "runs" / seeing["run_id"] / "artifacts"
    rows = pl.read_parquet(folder / "predictions" / "test.parquet").filter(pl.col("history_length") >= 10)
    asked = ["gates", seeing["run_id"]]
    shown, told = run(asked), run([*asked, "--row", str(rows["row_id"][0]), "--json"])
    assert "History: helps." in shown
    assert "Another user's history" in shown and "Empty history" in shown

    story = json.loads(told)
    effects = [abs(event["effect_logit"]) for event in story["history"]]
    assert len(effects) >= 10 and max(effects) > 1e-4
    assert not any("does not read the history" in note for note in story["notes"])
