"""A lab's artifacts folder as weeks of work leave it, without a training: studies of recorded runs, and jobs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from mdaf_core.data.prepare.pipeline import prepare
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.queue import store
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies import shelf
from mdaf_core.studies.store import Study, create_study, update_study
from mdaf_core.studies.trainings import training_job
from mdaf_core.studies.tuning import begin
from mdaf_core.studies.tuning.spaces import spaces_of
from tests.reporting.example_study import make_study
from tests.studies.test_tuning import work

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
    """Ids of what is there.

    Attributes:
        finished: a study with gates; failed: one with a failed run; waiting: one whose jobs wait.
        week_before, last_week: the same study with another learning rate, on the same data.
        search: a search that has ended.
    """

    finished: str
    failed: str
    waiting: str
    week_before: str
    last_week: str
    search: str


OLD = 10  # studies of months ago, `Old sweep 1` and so on


def fill(patch: pytest.MonkeyPatch) -> Lab:
    """Fill the folder MDAF_HOME."""
    patch.setattr("mdaf_core.queue.api._start_supervisor", os.close)
    prepare("synthetic", path=None, name="tiny", options={"size": "tiny"})
    tiny = PreparedDataset.open("tiny")
    dcnv2 = get_preset("dcnv2")
    one = begin.begin(definition="own", dataset="tiny", configs=[dcnv2], spaces=spaces_of([dcnv2]), trials=8)
    search = work(one)
    for number in range(1, OLD + 1):
        _made(make_study(["lr"], [42], title=f"Old sweep {number}", predictions=False), days_ago=60 + number)
    third = dict.fromkeys(("mdaf-full", "lr"), "d" * 64)
    _made(make_study(["mdaf-full", "lr"], [42, 43], title="Third data", dataset_name="third", fingerprints=third), 30)
    before = make_study(["mdaf-full", "lr"], [42, 43], title="Nightly, week 47", noises=(1.0, 1.5))
    slower = get_preset("mdaf-full").with_overrides(["training.learning_rate=0.01"])
    last = make_study([slower, "lr"], [42, 43], title="Nightly, week 48", noises=(1.2, 1.5))
    _made(before, days_ago=9)
    _made(last, days_ago=2)
    failed = make_study(["lr", "dcnv2"], [42], title="First try", failed=[("dcnv2", 42)])
    make_study(["mdaf-full", "lr"], [42, 43], title="Elsewhere", dataset_name="other",
               fingerprints=dict.fromkeys(("mdaf-full", "lr"), "e" * 64))  # fmt: skip
    finished = make_study(["mdaf-full", "lr"], [42, 43], title="Headline", dataset=tiny, gates=True)
    shelf.retag(finished.id, ["paper"])
    shelf.write_note(finished.id, "**Main table** of the paper.")
    waiting = create_study(title="Waiting", definition="own", dataset="tiny", configurations=[get_preset("lr")],
                           seeds=[1, 2], reference="lr")  # fmt: skip
    store.add([training_job(waiting.id, waiting.configurations[0], "tiny", seed) for seed in waiting.seeds])
    return Lab(finished.id, failed.id, waiting.id, before.id, last.id, search.id)


def _made(study: Study, days_ago: float) -> None:
    """Say that a study was made so many days ago."""
    update_study(study.id, created=(datetime.now(UTC) - timedelta(days_ago)).isoformat(timespec="microseconds"))
