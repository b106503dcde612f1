"""The presets: every configuration of the report and of the ablations, by name."""

from __future__ import annotations

from mdaf_core.base.errors import UsageError
from mdaf_core.models.config import (
    AutoIntConfig,
    BSTConfig,
    DCNv2Config,
    DCNv3Config,
    GBDTConfig,
    LRConfig,
    Mamba4RecConfig,
    MDAFConfig,
    ModelConfig,
)
from mdaf_core.runs.config import RunConfig, TrainingConfig

# The report's v2: regularised, warm-up and cosine (report, "Training Configuration").
V2 = TrainingConfig()
# The report's v1: constant rate, no smoothing, no clipping, lighter weight decay.
V1 = TrainingConfig(schedule="constant", warmup_epochs=0, weight_decay=1e-5, label_smoothing=0.0, gradient_clip=None)

# The models of the ablations: v2 with a penalty on ids that keeps those seen once or twice from being learned by heart.
# By validation AUC on UserBehavior (docs/results.md); neutral where ids are frequent. `null` is the report's recipe.
V2_RARE = V2.model_copy(update={"embedding_decay": 2e-3})

# AutoInt meets fields only in inner products of their vectors, which too strong a penalty silences (the same choice).
AUTOINT = V2.model_copy(update={"embedding_decay": 5e-4})

# One weight an id learns more slowly than a vector an id, and a penalty that suits vectors flattens it: by the
# validation AUC on MovieLens-100K (docs/results.md). A baseline is worth what it can reach.
LR = V2.model_copy(update={"learning_rate": 1e-2, "min_learning_rate": 1e-3, "weight_decay": 1e-6})

# The report's architecture as its parameter count reveals it: scalar Δ, mean pooling, blind to the target.
REPORT_MAMBA = Mamba4RecConfig(dt_rank="scalar", pooling="mean", target_aware=False, match_features=False)

_PRESETS: dict[str, tuple[str, ModelConfig, TrainingConfig]] = {
    "lr": ("Logistic regression", LRConfig(), LR),
    "gbdt": ("LightGBM on target encodings and history counts", GBDTConfig(), V2),
    "autoint": ("AutoInt", AutoIntConfig(), AUTOINT),
    "dcnv2": ("DCNv2", DCNv2Config(), V2_RARE),
    "dcnv3": ("DCNv3 with Tri-BCE", DCNv3Config(), V2_RARE),
    "bst": ("Behavior Sequence Transformer", BSTConfig(), V2_RARE),
    "mamba4rec-v1": ("Mamba4Rec, the report's first settings", Mamba4RecConfig(dropout=0.2), V1),
    "mamba4rec-v2": ("Mamba4Rec, regularised, target-aware", Mamba4RecConfig(), V2),
    "mamba4rec-v2-report": ("Mamba4Rec exactly as reported: scalar Δ, target-blind", REPORT_MAMBA, V2),
    "mdaf-full": ("DCNv3 + Mamba4Rec + gate", MDAFConfig(), V2_RARE),
    "mdaf-static": ("Static branch alone: DCNv3", DCNv3Config(), V2_RARE),
    "mdaf-sequential": ("Sequential branch alone: Mamba4Rec", Mamba4RecConfig(), V2_RARE),
    "mdaf-bst": ("DCNv3 + BST + gate", MDAFConfig(sequential=BSTConfig()), V2_RARE),
    "mdaf-concat": ("DCNv3 + Mamba4Rec, concatenated", MDAFConfig(fusion="concat"), V2_RARE),
    "mdaf-fixed-gate": ("DCNv3 + Mamba4Rec, g fixed at 0.5", MDAFConfig(fusion="fixed"), V2_RARE),
    "mdaf-gate-vector": ("DCNv3 + Mamba4Rec, one gate a dimension", MDAFConfig(fusion="gate-vector"), V2_RARE),
    "mdaf-attention": ("DCNv3 + Mamba4Rec, attention over the branches", MDAFConfig(fusion="attention"), V2_RARE),
    "mdaf-no-match": (
        "MDAF without match features",
        MDAFConfig(sequential=Mamba4RecConfig(match_features=False)),
        V2_RARE,
    ),
}


def preset_names() -> list[str]:
    return list(_PRESETS)


def describe(name: str) -> str:
    """One line on a preset."""
    get_preset(name)
    return _PRESETS[name][0]


def get_preset(name: str) -> RunConfig:
    """A fresh configuration.

    Raises:
        UsageError: unknown name; the message lists the known ones.
    """
    if name not in _PRESETS:
        raise UsageError(f"There is no preset {name!r}. Known: {', '.join(_PRESETS)}.")
    _, model, training = _PRESETS[name]
    return RunConfig(name=name, preset=name, model=model.model_copy(deep=True), training=training.model_copy(deep=True))
