"""`presets`, `params` and `train`: configurations, their size, and a run in the foreground."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from mdaf_core.base.entries import whole_number
from mdaf_core.base.errors import UsageError
from mdaf_core.cli.options import DataOption
from mdaf_core.cli.output import emit, number, say, table
from mdaf_core.data.store.dataset import PreparedDataset
from mdaf_core.data.store.schema import FeatureSpec
from mdaf_core.metrics.registry import in_results
from mdaf_core.runs.config import LARGEST_SEED
from mdaf_core.runs.presets import describe, get_preset, preset_names
from mdaf_core.runs.progress import Progress
from mdaf_core.runs.results import RunResult

SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting, e.g. training.max_epochs=2.")
]


def presets() -> None:
    """List the presets."""
    rows = [
        {"name": name, "description": describe(name), "model": get_preset(name).model.kind} for name in preset_names()
    ]
    emit(rows, lambda: table([list(r.values()) for r in rows], ("preset", "what it is", "model")))


def params(
    preset: str,
    vocab: Annotated[str, typer.Option(help="Vocabulary sizes, e.g. item=335164,category=5480,user=577482.")],
    settings: SetOption = None,
) -> None:
    """Count a preset's parameters at given vocabulary sizes."""
    from mdaf_core.models.summary import count_parameters

    config = get_preset(preset).with_overrides(settings or [])
    count = count_parameters(config.model, FeatureSpec.from_vocabulary(_parse_vocabulary(vocab)))
    value = {"preset": preset, "total": count.total, "embedding": count.embedding, "dense": count.dense}
    emit(
        value, lambda: f"{count.total:,} parameters: {count.embedding:,} in embeddings, {count.dense:,} in dense layers"
    )


def _parse_vocabulary(text: str) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for part in text.split(","):
        name, _, size = part.partition("=")
        number = whole_number(size)
        if not name.strip() or number is None or number < 2:
            raise UsageError(f"A vocabulary looks like item=335164 (2 or more codes); got {part!r}.")
        sizes[name.strip()] = number
    return sizes


def train(
    preset: str,
    data: DataOption,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Fixes every random choice.")] = 42,
    settings: SetOption = None,
) -> None:
    """Train one preset in the foreground."""
    config = get_preset(preset).with_overrides(settings or [])

    dataset = PreparedDataset.open(data)
    from mdaf_core.tasks.summaries import train as fit

    say(f"Training {preset} on {data}, seed {seed}")
    with _shown() as show:
        result = fit(config, dataset, seed, on_progress=show)
    emit(result, lambda: _describe(result))


@contextmanager
def _shown() -> Iterator[Callable[[Progress], None]]:
    """Progress on stderr: a bar on a terminal, elsewhere one line an epoch."""
    if not sys.stderr.isatty():
        yield _one_line_an_epoch()
        return
    from tqdm import tqdm

    with tqdm(total=100, unit="%", bar_format="{l_bar}{bar}| {elapsed}<{remaining}{postfix}") as bar:

        def show(progress: Progress) -> None:
            share = (progress.epoch - 1 + progress.step / max(progress.steps, 1)) / progress.max_epochs
            pace = f"{progress.rows_per_second:,.0f} rows/s, " if progress.rows_per_second else ""
            bar.set_description(f"{progress.phase}, epoch {progress.epoch}/{progress.max_epochs}", refresh=False)
            bar.set_postfix_str(f"{pace}best val AUC {number(progress.best_val_auc)}", refresh=False)
            bar.update(min(100 * share, 100) - bar.n)

        yield show


def _one_line_an_epoch() -> Callable[[Progress], None]:
    shown = ("", 0)

    def show(progress: Progress) -> None:
        nonlocal shown
        if progress.phase == "validating" or (progress.phase, progress.epoch) == shown:
            return
        shown = (progress.phase, progress.epoch)
        best = "" if progress.best_val_auc is None else f", best validation AUC {number(progress.best_val_auc)}"
        say(f"{progress.phase}, epoch {progress.epoch} of at most {progress.max_epochs}{best}")

    return show


def _describe(result: RunResult) -> str:
    """Epoch table and final metrics, as text."""
    rows = [
        (
            e.epoch,
            f"{e.lr:.6f}",
            *map(number, (e.train_loss, e.train_auc_online, e.train_auc_eval, e.val_auc, e.gap_eval)),
        )
        for e in result.epochs
    ]
    header = ("epoch", "learning rate", "train loss", "train AUC online", "train AUC eval", "val AUC", "gap eval")
    lines = [table(rows, header), "", f"{result.stopped} Best epoch {result.best_epoch}."]
    for name, metrics in (("Validation", result.val), ("Test", result.test)):
        values = (f"{one.words} {number(metrics.value(key))}" for key, one in in_results().items())
        lines.append(f"{name + ':':12}{', '.join(values)}")
    lines.append(f"{result.parameters:,} parameters, {result.rows_per_second:,.0f} rows/s. Run {result.run_id}")
    return "\n".join(lines)
