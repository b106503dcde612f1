"""The models: of each, what can be set (`--set model.<name>=…`, the launch form) and what the program must know of it.

No torch here: the pages and the command line read these without loading it. What is true of a model (which class it
is, that it reads histories, has a gate, is grown as trees) stands in its configuration and nowhere else; everything
that depends on it asks for it by name.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Dropout = Annotated[float, Field(ge=0.0, lt=1.0, description="Share of hidden units dropped while training.")]
HiddenUnits = Annotated[list[Annotated[int, Field(ge=1, le=8192)]], Field(max_length=8)]


class ModelSettings(BaseModel):
    """Base of all configurations. What a new model does not declare is what costs least if it is wrong: a model that
    says nothing is given histories.

    Attributes:
        network: `module:class` of the `CTRModel` that is built.
        reads_history: it reads the events of a history: it is given them, and refused on data that have none. A network
            that declares False finds none in its batches.
        grown: trees, grown by `training.gbdt`, instead of a network; they have no epochs.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    network: ClassVar[str] = ""
    reads_history: ClassVar[bool] = True
    grown: ClassVar[bool] = False

    @property
    def lacks_gate(self) -> str:
        """Why it has no weight g of a sequential branch, as the end of a sentence; empty where it has one."""
        return "has one branch only, so there is no g"

    @property
    def gated(self) -> bool:
        """Whether its network is a `GatedModel`, whose outputs have g."""
        return not self.lacks_gate


def _divides(part: str, divisor: int, whole: str, number: int) -> None:
    if number % divisor:
        raise ValueError(f"{whole} ({number}) must be a multiple of {part} ({divisor})")


class LRConfig(ModelSettings):
    """Logistic regression on the same fields: one weight an id, one a numeric field."""

    network = "mdaf_core.models.lr:LogisticRegression"
    reads_history = False

    kind: Literal["lr"] = "lr"


class GBDTConfig(ModelSettings):
    """LightGBM on smoothed target encodings (computed without leaking) and counts from a history, if there is one."""

    reads_history = False
    grown = True

    kind: Literal["gbdt"] = "gbdt"
    num_leaves: int = Field(31, ge=2, le=1024, description="Leaves a tree.")
    learning_rate: float = Field(0.05, gt=0, le=1, description="Shrinkage of each tree.")
    max_rounds: int = Field(400, ge=1, le=10000, description="Trees at most; early stopping ends sooner.")
    min_data_in_leaf: int = Field(50, ge=1, description="Rows a leaf at least.")
    smoothing: float = Field(20.0, ge=0, description="Rows of prior mixed into each target encoding.")
    match_features: bool = Field(True, description="Counts and recency of the target's ids in the history.")


class AutoIntConfig(ModelSettings):
    """AutoInt (Song et al. 2019, arXiv:1810.11921): self-attention over field embeddings."""

    network = "mdaf_core.models.autoint:AutoInt"
    reads_history = False

    kind: Literal["autoint"] = "autoint"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    layers: int = Field(3, ge=1, le=8, description="Attention layers.")
    heads: int = Field(2, ge=1, le=16, description="Attention heads.")
    attention_dim: int = Field(32, ge=1, le=512, description="Width of an attention layer, all heads together.")
    hidden_units: HiddenUnits = Field([256, 128], description="DNN tower beside the attention; empty for none.")
    dropout: Dropout = 0.3

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        _divides("heads", self.heads, "attention_dim", self.attention_dim)
        return self


class DCNv2Config(ModelSettings):
    """DCN V2 (Wang et al. 2021, arXiv:2008.13535): explicit feature crosses with full or low-rank matrices."""

    network = "mdaf_core.models.dcnv2:DCNv2"
    reads_history = False

    kind: Literal["dcnv2"] = "dcnv2"
    embedding_dim: int = Field(16, ge=1, le=512, description="Width of each field's embedding.")
    cross_layers: int = Field(3, ge=1, le=8, description="Cross layers.")
    structure: Literal["parallel", "stacked"] = Field("parallel", description="Crosses beside or before the DNN.")
    low_rank: int = Field(0, ge=0, le=1024, description="Rank of the cross matrices; 0 for full.")
    experts: int = Field(4, ge=1, le=16, description="Experts of the low-rank mixture.")
    hidden_units: HiddenUnits = Field([256, 128, 64], description="DNN tower; empty for none.")
    dropout: Dropout = 0.3


class DCNv3Config(ModelSettings):
    """DCNv3 (Li et al. 2024, arXiv:2407.13349): linear and exponential cross networks trained with Tri-BCE."""

    network = "mdaf_core.models.dcnv3:DCNv3"
    reads_history = False

    kind: Literal["dcnv3"] = "dcnv3"
    embedding_dim: int = Field(16, ge=2, le=512, description="Width of each field's embedding (even).")
    linear_layers: int = Field(3, ge=1, le=8, description="Layers of the linear (shallow) cross network.")
    exponential_layers: int = Field(3, ge=1, le=8, description="Layers of the exponential (deep) cross network.")
    num_heads: int = Field(1, ge=1, le=16, description="Sub-spaces into which each embedding is split.")
    dropout: Dropout = 0.3

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        _divides("twice num_heads", 2 * self.num_heads, "embedding_dim", self.embedding_dim)
        return self


class SequenceConfig(ModelSettings):
    """What all history models share: the embeddings of events and of the static fields, and the MLP on top.

    Attributes:
        encoder: `module:class` of the `HistoryEncoder` that turns events into a vector.
    """

    network = "mdaf_core.models.history:HistoryModel"
    encoder: ClassVar[str] = ""

    item_dim: int = Field(64, ge=1, le=512, description="Width of the item embedding.")
    category_dim: int = Field(32, ge=1, le=512, description="Width of the category embedding.")
    static_dim: int = Field(16, ge=1, le=512, description="Width of each other field's embedding.")
    hidden_dim: int = Field(128, ge=4, le=1024, description="Width of the sequence model.")
    hidden_units: HiddenUnits = Field([256, 128, 64], description="MLP on top.")
    match_features: bool = Field(True, description="Same item or category in the history: how often, how recently.")
    dropout: Dropout = 0.3


class BSTConfig(SequenceConfig):
    """BST (Chen et al. 2019, arXiv:1905.06874): the target joins its history in a Transformer encoder."""

    encoder = "mdaf_core.models.bst:BSTEncoder"

    kind: Literal["bst"] = "bst"
    blocks: int = Field(1, ge=1, le=8, description="Transformer blocks.")
    heads: int = Field(4, ge=1, le=16, description="Attention heads.")
    positions: int = Field(
        50,
        ge=1,
        le=1000,
        description="Distances to the target with a vector of their own; older events share the last.",
    )

    @model_validator(mode="after")
    def _heads_fit(self) -> Self:
        _divides("heads", self.heads, "hidden_dim", self.hidden_dim)
        return self


class Mamba4RecConfig(SequenceConfig):
    """Mamba4Rec (Liu et al. 2024, arXiv:2403.03900): a selective state space model over the history."""

    encoder = "mdaf_core.models.mamba4rec:Mamba4RecEncoder"

    kind: Literal["mamba4rec"] = "mamba4rec"
    blocks: int = Field(2, ge=1, le=8, description="Mamba blocks.")
    state_dim: int = Field(16, ge=1, le=128, description="States a channel (N).")
    conv_width: int = Field(4, ge=2, le=8, description="Width of the causal convolution.")
    expand: int = Field(2, ge=1, le=4, description="Inner width / hidden width.")
    dt_rank: Literal["auto", "scalar"] = Field(
        "auto", description="Step size Δ: low rank with a projection (auto), or one scalar a position (the report)."
    )
    pooling: Literal["mean", "last", "target"] = Field(
        "target", description="How the events become one vector: mean, the last one, or attention by the target."
    )
    target_aware: bool = Field(True, description="The target's item and category enter the model.")
    ffn: bool = Field(False, description="Position-wise feed-forward after each block, as in the Mamba4Rec paper.")

    @model_validator(mode="after")
    def _target_pooling_sees_target(self) -> Self:
        if self.pooling == "target" and not self.target_aware:
            raise ValueError("pooling by the target needs target_aware; choose mean or last, or turn target_aware on")
        return self


class MDAFConfig(ModelSettings):
    """MDAF: DCNv3 and a sequential branch, fused for each impression; g is the weight of the sequential branch."""

    network = "mdaf_core.models.mdaf:MDAF"

    kind: Literal["mdaf"] = "mdaf"
    fusion: Literal["gate", "gate-vector", "fixed", "concat", "attention"] = Field(
        "gate", description="How the two branch vectors become one."
    )
    static: DCNv3Config = DCNv3Config()
    sequential: Annotated[Mamba4RecConfig | BSTConfig, Field(discriminator="kind")] = Mamba4RecConfig()
    fusion_dim: int = Field(128, ge=4, le=1024, description="Width of each branch's vector.")
    gate_hidden: int = Field(64, ge=1, le=1024, description="Hidden width of the gate.")
    hidden_units: HiddenUnits = Field([128, 64], description="MLP on the fused vector.")
    branch_loss_weight: float = Field(
        0.1, ge=0, le=10, description="Weight of the loss on each branch's own prediction; 0 for none."
    )
    dropout: Dropout = 0.3

    @property
    def lacks_gate(self) -> str:
        if self.fusion == "concat":
            return "concatenates its branches, so there is no g and no logit of one branch alone"
        return ""


ModelConfig = Annotated[
    LRConfig | GBDTConfig | AutoIntConfig | DCNv2Config | DCNv3Config | BSTConfig | Mamba4RecConfig | MDAFConfig,
    Field(discriminator="kind"),
]

MODELS: dict[str, type[ModelSettings]] = {c.model_fields["kind"].default: c for c in get_args(get_args(ModelConfig)[0])}
"""Kind → configuration."""


def recorded(kind: str, settings: dict[str, Any]) -> ModelSettings:
    """The model of a run as it was recorded, to be asked what it is: not validated, since other versions of the program
    may have had other settings. A kind that this version does not know has none of its facts."""
    return MODELS.get(kind, ModelSettings).model_construct(**settings)


def kinds_without_history() -> list[str]:
    """Models that can be trained on data without histories."""
    return [kind for kind, config in MODELS.items() if not config.reads_history]
