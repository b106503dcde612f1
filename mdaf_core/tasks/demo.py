"""The demo: a data set that comes with the program, and a small study on it."""

from __future__ import annotations

from mdaf_core.data.store.dataset import list_datasets
from mdaf_core.queue.job import NewJob
from mdaf_core.studies.definitions import configurations, get_definition
from mdaf_core.studies.launch import run_configurations
from mdaf_core.studies.store import Study
from mdaf_core.tasks import prepare

DATASET = "synthetic-tiny"


def run_demo() -> Study:
    """Prepare `synthetic tiny` unless it is there, and run the demo study on it."""
    definition = get_definition("demo")
    after: NewJob | int | None = None
    if DATASET not in list_datasets():
        active = prepare.active(DATASET)
        after = active.id if active else prepare.job("synthetic", None, DATASET, {"size": "tiny"})
    return run_configurations(
        definition="demo",
        dataset=DATASET,
        configs=configurations(definition),
        seeds=definition.seeds,
        reference=definition.reference,
        title="Demo study",
        criteria=definition.criteria,
        after=after,
    )
