"""The launcher of the program's own kinds of job: what the queue's supervisor starts."""

from mdaf_core.queue import launcher
from mdaf_core.tasks.kinds import KINDS
from mdaf_core.training import warm

PRELOAD = (
    "torch",
    "torch._dynamo",  # which counting a model's multiply-adds loads, at the end of each training
    "mlflow.store.tracking.sqlalchemy_store",
    "sklearn.metrics",
    "scipy.stats",
    "lightgbm",
    "mdaf_core.training.fit",
    "mdaf_core.data.prepare.pipeline",
    "mdaf_core.tasks.summaries",
)

if __name__ == "__main__":
    warm.start()
    launcher.main(KINDS, PRELOAD, node="mdaf_core.tasks.node")
