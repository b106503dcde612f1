"""Configuration of a run: model + training. Validated, with sentences for errors; `--set a.b=c` goes through here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from numbers import Integral
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mdaf_core.base.errors import UsageError
from mdaf_core.base.validation import Problem, describe_validation_error, problems
from mdaf_core.data.store.schema import LONGEST_HISTORY, MAX_HISTORY
from mdaf_core.models.base import ModelSettings
from mdaf_core.models.registry import STRICT, ByKind, UnknownModel, models
from mdaf_core.models.space import TRAINING, Space
from mdaf_core.runs.imported import IMPORTED, ImportedModel, settings_of

LARGEST_SEED = 2**32 - 1
WATCHED = "validation AUC (log loss where validation rows have one label)"


def check_seed(seed: object) -> int:
    """This seed as a plain whole number; NumPy's are taken too.

    Raises:
        UsageError: it is none, or not from 0 to `LARGEST_SEED`.
    """
    whole = int(seed) if isinstance(seed, Integral) and not isinstance(seed, bool) else -1
    if not 0 <= whole <= LARGEST_SEED:
        raise UsageError(f"A seed is a whole number from 0 to {LARGEST_SEED}; it is {seed!r}.")
    return whole


_STORED = {"batch_size", "max_epochs", "learning_rate", "schedule", "patience", "max_history", "eval_batch_size"}
"""Settings of training that have always been stored, whatever their values."""


class TrainingConfig(BaseModel):
    """How a model is trained. Defaults are the report's v2 settings."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True, allow_inf_nan=False)

    batch_size: int = Field(2048, ge=1, le=1_000_000, description="Rows a step.")
    max_epochs: int = Field(20, ge=1, le=1000, description="Epochs at most; also the end of the cosine.")
    learning_rate: float = Field(1e-3, gt=0, le=10, description="Peak learning rate of Adam.")
    min_learning_rate: float = Field(1e-4, ge=0, description="Where the cosine ends.")
    warmup_epochs: int = Field(2, ge=0, le=100, description="Epochs of linear warm-up.")
    schedule: Literal["cosine", "constant"] = Field("cosine", description="Learning rate after the warm-up.")
    weight_decay: float = Field(5e-5, ge=0, description="L2 penalty, in Adam's gradient.")
    embedding_decay: float | None = Field(
        None, ge=0, description="L2 penalty of embedding tables where it differs; empty: as weight decay."
    )
    embedding_rate: float | None = Field(
        None,
        gt=0,
        le=1000,
        description="Learning rate of embedding tables, as a multiple of the learning rate; empty: 1, with stream the "
        "square root of the rows that are drawn together on average.",
    )
    label_smoothing: float = Field(0.05, ge=0, lt=1, description="Targets become s/2 and 1 - s/2.")
    gradient_clip: float | None = Field(1.0, gt=0, description="Largest gradient norm; empty for none.")
    unknown_rate: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Share of ids replaced by 'unknown' in training, to learn what unseen means.",
    )
    hide_rare: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Probability that an id with one training row is 'unknown' in a batch; with n rows, an n-th of it. "
        "What is seen once tells of no other row, and many ids to come are unknown.",
    )
    weight_average: float = Field(
        0.0,
        ge=0,
        le=100,
        description="Epochs over which the weights that are validated and kept are averaged; 0: the last step's.",
    )
    patience: int = Field(5, ge=1, le=1000, description=f"Epochs without a better {WATCHED} before stopping.")
    min_delta: float = Field(0.0005, ge=0, le=1, description="What counts as better, in AUC (or log loss).")
    history_encoding: Literal["window", "stream"] = Field(
        "window",
        description="What a causal sequence model reads: each row its own newest events (window), or a user's log "
        "once, of whose outputs each row takes a slice (stream).",
    )
    stream_block: int = Field(
        64,
        ge=1,
        le=1_000_000,
        description="With stream: consecutive rows of a user that are drawn together in training. More is quicker, "
        "and mixes users less.",
    )
    precision: Literal["float32", "bf16"] = Field(
        "float32",
        description="Matrix products of training steps: float32, or of bfloat16 factors (bf16), where the processor "
        "multiplies those (AMX, AVX-512 BF16). All else, evaluation too, is float32.",
    )
    max_history: int = Field(
        MAX_HISTORY, ge=1, le=LONGEST_HISTORY, description="Newest events kept of each history; 'all' is 10,000."
    )
    match_events: int | None = Field(
        None,
        ge=MAX_HISTORY,
        le=LONGEST_HISTORY,
        description="Events up to which match features tell counts, lengths and recency apart; empty: max history, at "
        f"least {MAX_HISTORY}.",
    )
    eval_batch_size: int = Field(2048, ge=1, description="Rows a step when evaluating.")

    @field_validator("max_history", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        return LONGEST_HISTORY if value == "all" else value

    @model_validator(mode="before")
    @classmethod
    def _as_trained(cls, value: Any) -> Any:
        """What was stored whole before there was `match_events` was trained with features that end at 50 events, and
        before there was `embedding_rate` with one learning rate."""
        if not isinstance(value, dict) or not value.keys() >= _STORED:
            return value
        before: dict[str, Any] = {}
        if "match_events" not in value and isinstance(value["max_history"], int) and value["max_history"] > MAX_HISTORY:
            before |= {"match_events": MAX_HISTORY}
        if "embedding_rate" not in value and value.get("history_encoding") == "stream":
            before |= {"embedding_rate": 1.0}
        return value | before


class InvalidSettings(UsageError):
    """Settings that are not allowed; `problems` has each by itself."""

    def __init__(self, message: str, problems: list[Problem]):
        super().__init__(message)
        self.problems = problems


class RunConfig(BaseModel):
    """One configuration of a study: a name, a model and its training."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Shown in tables and charts.")
    preset: str = Field(description="The preset this came from.")
    model: Annotated[ModelSettings, ByKind()]
    training: TrainingConfig = TrainingConfig()

    @property
    def streams(self) -> bool:
        """Whether its model reads a user's log once, each row a slice of the outputs, however long the log is."""
        return self.training.history_encoding == "stream" and self.model.causal and self.model.reads_history

    @field_validator("model", mode="before")
    @classmethod
    def _imported(cls, value: Any) -> Any:
        """What was imported is no model of the registry's: nothing can be trained of it."""
        given = isinstance(value, dict) and value.get("kind") == IMPORTED
        return ImportedModel.model_validate(value) if given else value

    @property
    def imported(self) -> bool:
        """Whether it was trained elsewhere, and only its predictions are here."""
        return self.model.kind == IMPORTED

    def space(self) -> Space:
        """What a search tries of it where nobody says otherwise, by paths as `with_overrides` takes them: of how a
        network is trained, and what its model declares (`ModelSettings.space`)."""
        training = {} if self.model.grown else {f"training.{name}": values for name, values in TRAINING.items()}
        return training | {f"model.{name}": values for name, values in self.model.space().items()}

    def value(self, path: str) -> Any:
        """The value of a setting.

        Raises:
            UsageError: there is no such setting.
        """
        node: Any = self
        for key in path.split("."):
            if not isinstance(node, BaseModel) or key not in type(node).model_fields:
                raise UsageError(f"{self.name} has no setting {path!r}.")
            node = getattr(node, key)
        return node

    def settings(self) -> dict[str, Any]:
        """Model and training, JSON-ready; of an imported configuration no training, which is not known."""
        return settings_of(self.model_dump(mode="json"))

    def flat_settings(self) -> dict[str, Any]:
        """`settings` by their dotted paths: `training.max_epochs`."""
        return _flat(self.settings())

    def with_overrides(self, overrides: Iterable[str] | dict[str, Any]) -> RunConfig:
        """A copy with `path=value` pairs applied (`training.max_epochs=2`, `model.sequential.kind=bst`).

        Raises:
            UsageError: unknown path or invalid value, as a sentence that names it and what is allowed.
        """
        pairs = overrides.items() if isinstance(overrides, dict) else [_split_pair(text) for text in overrides]
        raw = self.model_dump()
        try:
            for path, value in pairs:
                _assign(raw, path, value)
                if path.endswith(".kind"):  # the next pairs may set what only the new model has
                    raw = RunConfig.model_validate(raw, context=STRICT).model_dump()
            return RunConfig.model_validate(raw, context=STRICT)._of_known_models()
        except ValidationError as error:
            raise InvalidSettings(describe_validation_error(error, raw=raw), problems(error, raw)) from None

    def _of_known_models(self) -> RunConfig:
        parts = {"model": self.model} | {f"model.{name}": value for name, value in self.model}
        for path, part in parts.items():
            if isinstance(part, UnknownModel):
                field = type(self.model).model_fields.get(path.partition(".")[2])
                known = models(field.annotation if field else ModelSettings)  # type: ignore[arg-type]
                raise UsageError(f"{path}.kind must be one of {', '.join(known)}; it is {part.kind!r}.")
        return self


def _flat(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _split_pair(text: str) -> tuple[str, Any]:
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UsageError(f"A setting looks like training.max_epochs=2; got {text!r}.")
    return path.strip(), parse_value(value.strip())


def parse_value(text: str) -> Any:
    """JSON where it parses (numbers, true, null, lists), else the text itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, thousands of digits, or lists within lists without end
        return text


def _assign(raw: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = path.split(".")
    node: Any = raw
    for i, key in enumerate(parents):
        if not isinstance(node, dict) or key not in node:
            raise UsageError(f"There is no setting {path!r}: {'.'.join(parents[: i + 1])!r} does not exist.")
        node = node[key]
    if not isinstance(node, dict) or last not in node:
        if node is None:
            whole = ".".join(parents)
            raise UsageError(f'There is no setting {path!r}: {whole} is empty. Set it whole: {whole}={{"{last}": …}}.')
        known = ", ".join(sorted(node)) if isinstance(node, dict) else "nothing"
        raise UsageError(f"There is no setting {path!r}. Known here: {known}.")
    if last == "kind" and node["kind"] != value:  # another model: its own defaults
        node.clear()
    node[last] = value
