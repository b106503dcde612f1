"""How far a job is, as a number and in words: the same on pages and in a shell."""

from __future__ import annotations

import time

from mdaf_core.queue.store import Job
from mdaf_core.runs.results import EpochMetrics


def share_done(job: Job) -> float | None:
    """Share of a running job that is done, from 0 to 1; None while it says nothing yet."""
    progress = job.progress
    if "fraction" in progress:
        return min(max(float(progress["fraction"]), 0.0), 1.0)
    if "epoch" not in progress:
        return None
    if progress["phase"] == "evaluating":
        return 0.99
    within = progress["step"] / progress["steps"] if progress["steps"] else 0.0
    return min((progress["epoch"] - 1 + within) / progress["max_epochs"], 0.99)


def progress_text(job: Job) -> str:
    """What a running job is doing: epoch and step, speed, validation AUC so far."""
    progress = job.progress
    if job.cancel_requested:
        return "stopping"
    if "message" in progress:
        return str(progress["message"])
    if progress.get("phase") in (None, "starting"):
        return "starting"
    if progress["phase"] == "evaluating":
        return "evaluating the best epoch's weights"
    parts = [f"epoch {progress['epoch']} of at most {progress['max_epochs']}"]
    if progress["steps"]:
        parts.append(f"step {progress['step']:,} of {progress['steps']:,}")
    if progress["rows_per_second"]:
        parts.append(f"{progress['rows_per_second']:,.0f} rows/s")
    if progress["best_val_auc"] is not None:
        parts.append(f"best validation AUC {progress['best_val_auc']:.4f}")
    return ", ".join(parts)


def epoch_line(epoch: EpochMetrics) -> str:
    """One line of a job's log on an epoch that has ended."""
    parts = [f"training loss {epoch.train_loss:.4f}"]
    parts += [f"validation log loss {epoch.val_loss:.4f}"] if epoch.val_loss is not None else []
    named = (("training AUC", epoch.train_auc_eval), ("validation AUC", epoch.val_auc))
    parts += [f"{name} {value:.4f}" for name, value in named if value is not None]
    return f"Epoch {epoch.epoch}: {', '.join(parts)}, {epoch.seconds:.1f} s."


def standing(job: Job) -> str:
    """One line on a job: what it does, why it ended badly, or how long it took."""
    if job.state == "running":
        share = share_done(job)
        return progress_text(job) if share is None else f"{share:.0%}, {progress_text(job)}"
    if job.state == "finished" and job.started and job.ended:
        return f"{job.ended - job.started:.0f} s, ended {time.strftime('%Y-%m-%d %H:%M', time.localtime(job.ended))}"
    return job.reason
