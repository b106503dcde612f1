"""The studies that come with the program, as data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mdaf_core import plugins
from mdaf_core.base import notices
from mdaf_core.base.entries import known_entry
from mdaf_core.base.errors import UsageError
from mdaf_core.data.store.schema import LONGEST_HISTORY
from mdaf_core.runs.config import RunConfig
from mdaf_core.runs.presets import get_preset
from mdaf_core.studies.histories import by_length

if TYPE_CHECKING:
    from mdaf_core.analysis.design import Design


@dataclass(frozen=True)
class Definition:
    """What is compared with what.

    Attributes:
        name: as `study run` takes it.
        title: one line for people.
        presets: the configurations, by the preset each starts from.
        reference: the configuration all others are compared with.
        seeds: used where the user names none.
        overrides: `path=value` settings, changed in every configuration that has them.
        histories: lengths of history that each preset is run with, `studies.histories`; empty: as the preset says.
        windows: of a model that reads each row's own events anew, the longest of them.
        criteria: names of criteria presets (`evaluation.criteria`); a study takes those that apply to its data.
        factors: of a factorial: component → the settings that switch it off in the one preset, `studies.factorial`.
        halvings: how often its number of configurations is halved.
    """

    name: str
    title: str
    presets: tuple[str, ...]
    reference: str
    seeds: tuple[int, ...] = (42, 43, 44, 45, 46)
    overrides: tuple[str, ...] = ()
    criteria: tuple[str, ...] = ()
    histories: tuple[int, ...] = ()
    windows: int = LONGEST_HISTORY
    factors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    halvings: int = 0


_DEFINITIONS = (
    Definition(
        name="report-ablations",
        title="The report's ablations: the full model, its branches alone, BST as branch, and the baselines",
        presets=(
            *("mdaf-full", "mdaf-static", "mdaf-sequential", "mdaf-bst"),
            *("bst", "autoint", "dcnv2", "gbdt", "lr"),
        ),
        reference="mdaf-full",
        criteria=("report", "mdaf-levels"),
    ),
    Definition(
        name="fusion-ablations",
        title="How the branches are fused: a gate, concatenation, a fixed gate, a gate a dimension, attention",
        presets=("mdaf-full", "mdaf-concat", "mdaf-fixed-gate", "mdaf-gate-vector", "mdaf-attention"),
        reference="mdaf-full",
        criteria=("mdaf-levels",),
    ),
    Definition(
        name="regularisation",
        title="Mamba4Rec with the report's first settings (v1) against the regularised ones (v2)",
        presets=("mamba4rec-v2", "mamba4rec-v1"),
        reference="mamba4rec-v2",
        criteria=("report",),
    ),
    Definition(
        name="peers",
        title="Single models under the recipe of other libraries: embeddings of 16, batches of 1,024, Adam at 0.001",
        presets=("dcnv2", "dcnv3", "autoint", "bst", "gbdt", "lr"),
        reference="dcnv2",
        seeds=(42, 43, 44),
        overrides=("training.batch_size=1024", "model.item_dim=16", "model.category_dim=16", "model.hidden_dim=32"),
    ),
    Definition(
        name="static-models",
        title="All models that read no history, at equal settings: embeddings of 16, batches of 1,024, Adam at 0.001",
        presets=(
            *("dcnv2", "dcnv3", "deepfm", "xdeepfm", "autoint", "masknet", "gdcn", "finalmlp", "finalnet", "wukong"),
            "lr",
        ),
        reference="dcnv2",
        seeds=(42, 43, 44),
        overrides=("training.batch_size=1024", "model.embedding_dim=16"),
    ),
    Definition(
        name="sequence-models",
        title="How the history is encoded: ten ways at equal parameters, behind the same pooling and MLP",
        presets=(
            *("mdaf-sequential", "mamba4rec-time", "mamba4rec-both", "mamba4rec-hybrid", "mamba2", "mamba3"),
            *("hstu", "sasrec", "gru", "mean"),
        ),
        reference="mdaf-sequential",
        seeds=(42, 43, 44),
    ),
    Definition(
        name="history-length",
        title="How long a history pays: 10 to all events, each encoded once (stream), and BST, which reads windows",
        presets=("mdaf-sequential", "mamba4rec-v2", "bst"),
        reference="mdaf-sequential-50",
        seeds=(42, 43, 44),
        histories=(10, 50, 200, 1000, LONGEST_HISTORY),
        windows=200,
    ),
    Definition(
        name="long-memory",
        title="What a state carries: a cue 3,000 events back (synthetic, size long), beyond what most of them read",
        presets=("mean", "mdaf-sequential", "sim", "dcnv2"),
        reference="mean-1000",
        seeds=(42, 43, 44),
        overrides=(
            *(
                "training.batch_size=128",
                "training.max_epochs=48",
                "training.patience=48",
                "training.learning_rate=0.003",
            ),
            *("training.schedule=constant", "training.weight_decay=0", "training.embedding_decay=null"),
            *("training.label_smoothing=0", "model.dropout=0", "model.hidden_units=[32]", "model.hidden_dim=16"),
            *("model.item_dim=8", "model.category_dim=8", "model.static_dim=8", "model.blocks=1"),
            *("model.inner_dim=32", "model.state_dim=8"),
        ),
        histories=(1000, 2000, LONGEST_HISTORY),
        windows=1000,
    ),
    Definition(
        name="factorial",
        title="Components of the full model on and off in all combinations: what each adds, and what two add together",
        presets=("mdaf-full",),
        reference="mdaf-full",
        seeds=(42, 43, 44),
        factors={
            "gate": ("model.fusion=concat",),
            "match": ("model.sequential.match_features=false",),
            "branch-loss": ("model.branch_loss_weight=0",),
            "dropout": ("model.dropout=0", "model.static.dropout=0", "model.sequential.dropout=0"),
        },
        halvings=1,
    ),
    Definition(
        name="demo",
        title="Demo: the full model, its branches alone and two baselines, small and soon trained",
        presets=("mdaf-full", "mdaf-static", "mdaf-sequential", "dcnv2", "lr"),
        reference="mdaf-full",
        seeds=(42, 43),
        overrides=(
            # Steps and patience such that every training ends by early stopping, well before its last epoch.
            *("training.max_epochs=12", "training.warmup_epochs=1", "training.batch_size=256"),
            *("training.patience=2", "training.min_delta=0.003"),
            *("model.hidden_dim=32", "model.sequential.hidden_dim=32"),
        ),
    ),
)


def _definitions() -> dict[str, Definition]:
    """Those of the program and of plug-ins, by name; one of a name that is taken is noted."""
    found = {definition.name: definition for definition in _DEFINITIONS}
    for offered in plugins.objects("studies"):
        if found.setdefault(offered.object.name, offered.object) is not offered.object:
            notices.add(f"{offered.place}: there is a study {offered.object.name!r} already. Give yours another name.")
    return found


def definition_names() -> list[str]:
    return list(_definitions())


def get_definition(name: str) -> Definition:
    """A definition by its name.

    Raises:
        UsageError: unknown name; the message lists the known ones.
    """
    return known_entry(name, _definitions(), "is no study definition")


def configurations(
    definition: Definition,
    presets: Sequence[str] = (),
    histories: Sequence[int] = (),
    windows: int | None = None,
) -> list[RunConfig]:
    """The definition's configurations, its overrides applied.

    Args:
        presets, histories, windows: in the place of the definition's own, where given.
    """
    starts = [starting_point(definition, name) for name in presets or definition.presets]
    if definition.factors:
        return design(definition, presets)[0]
    lengths, longest = histories or definition.histories, definition.windows if windows is None else windows
    return [config for start in starts for config in (by_length(start, lengths, longest) if lengths else [start])]


def design(
    definition: Definition,
    presets: Sequence[str] = (),
    factors: Mapping[str, Sequence[str]] | None = None,
    halvings: int | None = None,
) -> tuple[list[RunConfig], Design]:
    """The configurations of a factorial and which has what.

    Args:
        presets: the one whose components they are; factors, halvings: in the place of the definition's, where given.

    Raises:
        UsageError: the definition is none, not one preset, or as `factorial.build`.
    """
    from mdaf_core.studies.factorial import build

    if not definition.factors:
        raise UsageError(f"{definition.name} is no factorial: components and halvings belong to one.")
    chosen = list(presets or definition.presets)
    if len(chosen) != 1:
        raise UsageError(f"A factorial has the components of one preset; got {', '.join(chosen)}.")
    base = starting_point(definition, chosen[0])
    return build(base, factors or definition.factors, definition.halvings if halvings is None else halvings)


def starting_point(definition: Definition, preset: str) -> RunConfig:
    """A preset with those of the definition's overrides that it has."""
    config = get_preset(preset)
    settings = config.model_dump()
    return config.with_overrides([o for o in definition.overrides if _has(settings, o.partition("=")[0].split("."))])


def override_all(configs: Sequence[RunConfig], overrides: Iterable[str]) -> list[RunConfig]:
    """Each `path=value` applied to every configuration that has such a setting.

    Raises:
        UsageError: no configuration has it, or a value is not allowed.
    """
    changed = list(configs)
    for override in overrides:
        problems: list[UsageError] = []
        applied = 0
        for i, config in enumerate(changed):
            path = override.partition("=")[0].strip()
            if path.startswith("model.") and not _has(config.model_dump(), path.split(".")):
                problems.append(UsageError(f"There is no setting {path!r} in any of these configurations."))
                continue
            changed[i] = config.with_overrides([override])
            applied += 1
        if not applied:
            raise problems[0]
    return changed


def _has(node: Any, path: Sequence[str]) -> bool:
    for key in path:
        if not isinstance(node, dict) or key not in node:
            return False
        node = node[key]
    return True


def chosen(
    definition: Definition,
    only: Sequence[str] = (),
    models: Sequence[str] = (),
    histories: Sequence[int] = (),
    windows: int | None = None,
) -> list[RunConfig]:
    """What is run of a definition.

    Args:
        only: names of its configurations; empty for all.
        models: presets in the place of its own; histories, windows: as of `Definition`, likewise.

    Raises:
        UsageError: it has no such configuration, or there is no such preset.
    """
    configs = configurations(definition, models, histories, windows)
    names = [config.name for config in configs]
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(f"{definition.name} has no {', '.join(unknown)}. It has: {', '.join(names)}.")
    found = [config for config in configs if not only or config.name in only]
    if not found:
        raise UsageError("No configuration is left: none of these models reads windows so long. Name other lengths.")
    return found


def usual_reference(definition: Definition, configs: Sequence[RunConfig]) -> RunConfig:
    """The definition's reference, or the first configuration where it is not among these."""
    return next((config for config in configs if config.name == definition.reference), configs[0])
