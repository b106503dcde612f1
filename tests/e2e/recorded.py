"""A lab's artifacts folder as weeks of work leave it, without a training: studies of recorded runs, and jobs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import store
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import shelf
from mdaf_core.studies.store import create_study
from mdaf_core.studies.trainings import training_job
from tests.reporting.example_study import make_study

# `streamlit run`, where nobody does what is queued, and a capsule holds few figures.
STREAMLIT = """
import os, sys
from streamlit.web.cli import main
from mdaf_core.queue import api
api._start_supervisor = os.close
from mdaf_core.studies import estimate
estimate._start_counting = lambda *_: None
from mdaf_core.reporting.capsule import content
content.FIGURES = {name: content.FIGURES[name] for name in ("leaderboard", "differences")}
sys.exit(main())
"""


@dataclass(frozen=True)
class Lab:
    """Ids of what is there: a finished study with gates, one with a failed run, one whose jobs wait."""

    finished: str
    failed: str
    waiting: str


def fill(home: Path, patch: pytest.MonkeyPatch) -> Lab:
    """Fill an empty folder, which becomes MDAF_HOME."""
    patch.setenv("MDAF_HOME", str(home))
    patch.delenv("MLFLOW_TRACKING_URI", raising=False)
    patch.setattr("mdaf_core.queue.api._start_supervisor", os.close)
    prepare("synthetic", path=None, name="tiny", options={"size": "tiny"})
    tiny = PreparedDataset.open("tiny")
    failed = make_study(["lr", "dcnv2"], [42], title="First try", failed=[("dcnv2", 42)])
    make_study(["mdaf-full", "lr"], [42, 43], title="Elsewhere", dataset_name="other",
               fingerprints=dict.fromkeys(("mdaf-full", "lr"), "e" * 64))  # fmt: skip
    finished = make_study(["mdaf-full", "lr"], [42, 43], title="Gate", dataset=tiny, gates=True)
    shelf.retag(finished.id, ["paper"])
    shelf.write_note(finished.id, "**Main table** of the paper.")
    waiting = create_study(title="Waiting", definition="own", dataset="tiny", configurations=[get_preset("lr")],
                           seeds=[1, 2], reference="lr")  # fmt: skip
    store.add([training_job(waiting.id, waiting.configurations[0], "tiny", seed) for seed in waiting.seeds])
    return Lab(finished.id, failed.id, waiting.id)
