"""What the columns of a table of runs seem to be: by their names, and where these do not tell by their values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

import polars as pl
from pydantic import BaseModel, Field

from mdaf_core.base.errors import UsageError
from mdaf_core.base.words import some
from mdaf_core.runs.published.metric import key_of, likeness, tokens

Part = Literal["val", "test", "shown"]
PARTS: tuple[Part, ...] = ("val", "test", "shown")
FILE = "file"
"""Column that says which file of a folder a line is from, where there are several."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _names(text: str) -> list[str]:
    return text.split()


_OF_PART = {
    "shown": _words("leaderboard shown published reported paper official claimed"),
    "val": _words("val vali valid validation dev"),
    "test": _words("test tst testing holdout"),
}
_TRAIN = _words("train training trn")
_EITHER = _words("eval evaluation")  # of the test where nothing else is
_DECORATION = (_words("best final last max min mean avg metrics summary epoch end"), _words("metric value score"))
_PREFIX = re.compile(r"^(metrics?|params?|tags|config|summary|hparams?|hp)(\.|/|__)", re.IGNORECASE)
_SETTING_PREFIX = re.compile(r"^(params?|config|hparams?|hp|model)(\.|/|__)", re.IGNORECASE)
_METRICS = re.compile(
    r"(g|u|pr)?auc|auroc|auprc|aupr|acc|accuracy|log?loss|loss|rmse|mae|mse|n?dcg|hr|hits?|recall|precision|f1|map|mrr"
    r"|ap|r2|bleu|rouge|err|error|brier|ece|kappa|mcc|spearman|pearson|corr|perplexity|ppl|nll|iou|dice|psnr|reward|em"
    r"|crossentropy|entropy|metric|score|elo|bce|mape"
)
_MEASURED = _words(
    "time times sec secs second seconds duration runtime latency ms hour hours minute minutes memory mem gb mb kb bytes"
    " size rows samples instances count num n params parameters flops epoch epochs step steps iter iters iteration"
    " iterations path file date created updated started ended start end url uri gpu cpu device host user version commit"
    " timestamp rank std sd stdev stddev stderr sem ci var variance id uuid hash notes tags index idx artifact sweep"
)
_SPREAD = _words("std sd stdev stddev stderr sem")
_SETTINGS = _words(
    "lr learning dropout drop decay l1 l2 reg regularizer regularization lambda alpha beta gamma embedding emb embed"
    " dim dims hidden units layers layer depth width batch optimizer optim heads head activation act norm batchnorm"
    " negatives neighbors neighbours factors estimators leaf leaves subsample colsample bins temperature warmup"
    " scheduler clip kernel stride channels blocks experts config hparam hparams setting settings"
    " configuration variant tuner hyperparameters hyperparams hyper"
)
_DATA_SETS = _names(
    "data_set dataset dataset_name data_name dataset_id data_id data_keyword datasets benchmark task task_name corpus "
    "data keyword dname ds openml_id did tid task_id domain"
)
_MODELS = _names(
    "model model_name method method_name algorithm algo architecture arch classifier regressor estimator learner "
    "recommender network net approach system framework baseline models methods name run_name config_type"
)
_SEEDS = _words("seed seeds random_state rng")
_REPEATS = _names(
    "repeat repetition rep replicate replication fold run trial run_id run_idx split_id repeat_id fold_id trial_id"
)
_RUN_NAMES = _words(
    "exp_id exp experiment experiment_id experiment_name config_id run_name run_id run trial trial_id version"
)
_STATES = ("state", "status")
YES = _words("true yes 1 x y")
_YES_NO = YES | _words("false no 0 n")
FINISHED = _words("finished ok success succeeded done complete completed true 1")
FAILED = _words("failed crashed running killed scheduled error cancelled canceled preempted queued pending oom false 0")
_LONG_METRICS = _names("metric metric_name measure metrics evaluation_metric eval_metric metric_key scoring scorer")
_LONG_VALUES = _names("value score result metric_value figure")
_LONG_PARTS = _names("split part phase subset partition eval_set stage")
PART_WORDS: dict[str, Part | None] = {
    **dict.fromkeys(_OF_PART["val"], "val"),
    **dict.fromkeys(_OF_PART["test"], "test"),
    **dict.fromkeys(_TRAIN, None),
}
NO_FIGURE = _words("nan na n.a. n/a none null - -- – inf -inf infinity -infinity +inf missing")


class Columns(BaseModel):
    """What is used of a table; None or empty: it has no such column.

    A long table has a line a figure: `metric` says of which metric, `part` of which rows.
    """

    data_set: str | None = None
    model: str | None = None
    seed: list[str] = []
    setting: list[str] = []
    state: str | None = None
    metric: str | None = None
    part: str | None = None
    flag: str | None = Field(None, description="Says of a line that its figures are those that are shown.")
    spread: list[str] = Field([], description="Spreads beside figures: a line that has one is a mean.")
    seed_in_model: bool = Field(False, description="Whether models are named with their seed: `dcn_seed1`.")
    val: dict[str, str] = Field({}, description="Metric → column of validation figures.")
    test: dict[str, str] = {}
    shown: dict[str, str] = {}
    guesses: list[str] = Field([], description="What is not sure, a sentence each.")
    unused: list[str] = []

    def figures(self, part: Part) -> dict[str, str]:
        """Metric → column of a part."""
        return {"val": self.val, "test": self.test, "shown": self.shown}[part]


def normal(name: str) -> str:
    """A column's name as it is compared."""
    return "_".join(tokens(_PREFIX.sub("", name)))


def number(text: str | None) -> float | None:
    """A figure as tables write it: `0.81`, `81.3%`, `0.813 ± 0.002` (its first number); None where it is none."""
    found = re.fullmatch(
        r"\s*([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(%?)\s*(?:(?:±|\+/-|\+-)\s*[\d.eE%+-]+|\([\d.eE%±+-]+\))?\s*",
        text or "",
    )
    return None if found is None else float(found[1]) / (100 if found[2] else 1)


def part_and_metric(name: str) -> tuple[Part | None, str] | None:
    """What figures a column's name promises: of validation, of the test, shown, None where it does not say; and the
    metric's key. None for a name that promises none."""
    words = tokens(_PREFIX.sub("", name)) if name.lower().startswith(("metric", "summary")) else tokens(name)
    if _SETTING_PREFIX.match(name) or any(word in _TRAIN for word in words):
        return None
    part: Part | None = next((p for p in ("shown", "val", "test") if any(w in _OF_PART[p] for w in words)), None)
    rest = [word for word in words if not part or word not in _OF_PART[part]]
    rest = [word for word in rest if word not in _OF_PART["val"] | _OF_PART["test"] | _EITHER]
    kept = rest
    for decoration in _DECORATION:
        kept = [word for word in kept if word not in decoration] or kept
    measured = [word for word in kept if word in _MEASURED]
    known = any(_METRICS.fullmatch(re.sub(r"\d+$", "", word)) for word in kept)
    if (measured and not (known and measured == ["n"])) or (not kept and part != "shown"):
        return None
    return (part, key_of(kept)) if part or known else None


def propose(frame: pl.DataFrame) -> Columns:
    """What the columns of a table of text seem to be."""
    out = Columns()
    names = {column: normal(column) for column in frame.columns}
    constant = {column for column in frame.columns if frame[column].drop_nulls().n_unique() < 2}
    out.data_set = _named(names, _DATA_SETS)
    out.state = next((c for c, name in names.items() if name in _STATES and _is_state(frame[c])), None)
    numeric = {column for column in frame.columns if _is_numeric(frame[column])}
    _propose_long(out, frame, names, numeric)
    _propose_figures(out, frame, numeric)
    used = {out.data_set, out.state, out.metric, out.part, *(c for p in PARTS for c in out.figures(p).values())}
    out.model = _named({c: n for c, n in names.items() if c not in used and c not in numeric}, _MODELS)
    out.model = out.model or _named({c: n for c, n in names.items() if c not in used}, _MODELS)
    out.flag = next((c for c in frame.columns if c not in used and _is_flag(c, frame[c])), None)
    used.add(out.flag)
    _guess_names(out, frame, numeric, used)
    used |= {out.model, out.data_set}
    left = [column for column in frame.columns if column not in used and column not in constant]
    out.seed = [column for column in left if _SEEDS & set(tokens(column)) or names[column] in _SEEDS]
    repeats = [c for c in left if names[c] in _REPEATS and c not in out.seed]
    named = [c for c in left if c not in (*out.seed, *repeats) and _is_setting(c)]
    numbers = [c for c in repeats if _repeats(frame, out, c, named)]
    out.seed += numbers
    if numbers:
        out.guesses.append(f"Runs are told apart, and paired, by {', '.join(numbers)}, as by a seed.")
    texts = [c for c in left if c not in (*out.seed, *repeats, *named) and c not in numeric and _few(frame, c)]
    _propose_settings(out, frame, [*named, *texts])
    if not (out.seed or out.setting):  # what names a run may name its setting
        out.setting = [c for c in left if names[c] in _RUN_NAMES and _varies(frame, [out.data_set, out.model], c)][:1]
    taken = {*used, *out.seed, *out.setting}
    out.unused = [c for c in frame.columns if c not in taken]
    out.spread = [c for c in out.unused if c in numeric and _SPREAD & set(tokens(c))]
    if out.model and not out.seed:
        named = frame[out.model].drop_nulls().unique().to_list()
        out.seed_in_model = 5 * sum(bool(SEED_IN_NAME.search(name)) for name in named) >= 4 * max(len(named), 1)
        if out.seed_in_model:
            out.guesses.append("Models are named with their seed, which is taken from their names.")
    return out


SEED_IN_NAME = re.compile(r"[-_. (]*seed[-_=. ]?(\d+)\)?", re.IGNORECASE)
"""A seed inside the name of a run."""


def without_seed(name: str) -> tuple[str, str]:
    """A run's name without the seed in it, and that seed ('' where there is none)."""
    found = SEED_IN_NAME.search(name)
    return (SEED_IN_NAME.sub("", name).strip("-_. ") or name, found[1]) if found else (name, "")


def _is_flag(column: str, values: pl.Series) -> bool:
    """Whether a column marks the lines whose figures are shown."""
    words = set(tokens(column))
    said = {value.lower() for value in values.drop_nulls().unique().to_list()}
    return bool(words & (_OF_PART["shown"] | {"selected", "chosen"})) and 0 < len(said) <= len(said & _YES_NO) <= 2


def with_choices(proposed: Columns, frame: pl.DataFrame, **chosen: object) -> Columns:
    """The proposal with what the user says in its place.

    Args:
        chosen: fields of `Columns`; None leaves what was proposed, `none` (in a list, too) takes it away.

    Raises:
        UsageError: there is no such column.
    """
    out = proposed.model_copy(deep=True)
    for field, value in chosen.items():
        if value is None or value == [] or value == {}:
            continue
        if isinstance(value, dict):
            value = {key_of(tokens(metric)): column for metric, column in value.items()}
            wanted = list(value.values())
        else:
            wanted = [value] if isinstance(value, str) else list(value)  # type: ignore[call-overload]
            if wanted == ["none"]:
                value, wanted = ([] if isinstance(value, list) else None), []
        for column in wanted:
            if column not in frame.columns:
                raise UsageError(f"There is no column {column!r}. Columns: {', '.join(frame.columns[:60])}.")
        taken = set(wanted)
        for other in ("data_set", "model", "state", "metric", "part", "flag"):
            if getattr(out, other) in taken:
                setattr(out, other, None)
        for other in ("seed", "setting"):
            setattr(out, other, [c for c in getattr(out, other) if c not in taken])
        if not isinstance(value, dict):
            for part in PARTS:
                setattr(out, part, {m: c for m, c in out.figures(part).items() if c not in taken})
        setattr(out, field, value)
    out.seed_in_model = out.seed_in_model and not out.seed and out.model == proposed.model
    used = {out.data_set, out.model, out.state, out.metric, out.part, out.flag, *out.seed, *out.setting}
    used |= {c for part in PARTS for c in out.figures(part).values()}
    out.unused = [c for c in frame.columns if c not in used]
    return out


def _named(names: dict[str, str], wanted: Sequence[str]) -> str | None:
    return next((column for name in wanted for column, own in names.items() if own == name), None)


def _is_state(column: pl.Series) -> bool:
    values = {value.lower() for value in column.drop_nulls().unique().to_list()}
    return bool(values) and values <= FINISHED | FAILED and bool(values - {"0", "1", "true", "false"})


def _is_numeric(column: pl.Series) -> bool:
    values = [value for value in column.drop_nulls().unique().to_list() if value.lower() not in NO_FIGURE]
    return bool(values) and sum(number(value) is not None for value in values) >= 0.6 * len(values)


def _is_setting(column: str) -> bool:
    words = set(tokens(_SETTING_PREFIX.sub("", column)))
    plain = not (_MEASURED - {"size", "num", "n", "epochs", "steps"}) & words
    return bool(_SETTING_PREFIX.match(column) or _SETTINGS & words or words & {"epochs", "batch_size"}) and plain


def _few(frame: pl.DataFrame, column: str) -> bool:
    """Whether a column of text says what kind a run is of, not which one it is."""
    return not _MEASURED & set(tokens(column)) and 2 * frame[column].n_unique() <= len(frame) + 1


def _propose_long(out: Columns, frame: pl.DataFrame, names: dict[str, str], numeric: set[str]) -> None:
    """The columns of a table with a line a figure."""
    texts = {c: n for c, n in names.items() if c not in numeric}
    out.part = next(
        (c for c, n in texts.items() if n in _LONG_PARTS and _all_parts(frame[c].drop_nulls().unique().to_list())), None
    )
    metric = _named(texts, _LONG_METRICS)
    if metric is not None and frame[metric].n_unique() <= 50:
        out.metric = metric


def _all_parts(values: list[str]) -> bool:
    return bool(values) and all(value.lower() in PART_WORDS for value in values)


def _propose_figures(out: Columns, frame: pl.DataFrame, numeric: set[str]) -> None:
    found = {c: part_and_metric(c) for c in frame.columns if c in numeric and c not in (out.part, out.metric)}
    figures = {c: f for c, f in found.items() if f is not None and not (f[0] is None and _is_setting(c))}
    if out.metric and not figures:
        value = _named({c: normal(c) for c in numeric}, _LONG_VALUES)
        figures = {} if value is None else {value: (None, "value")}
    explicit = {metric for part, metric in figures.values() if part == "test"}
    for column, (part, metric) in sorted(figures.items(), key=lambda item: (item[1][0] is None, len(item[0]))):
        if part is None and metric in explicit:
            continue
        out.figures(part or "test").setdefault(metric, column)
    # `leaderboard` alone is of the likeliest metric
    for metric in [m for m in out.shown if m not in out.test or m in ("score", "")]:
        likeliest = min(sorted(out.test), key=likeness, default="score")
        if likeliest not in out.shown and metric in ("", *_OF_PART["shown"]):
            out.shown[likeliest] = out.shown.pop(metric)
    for part in PARTS:  # in the order in which a table is likely to be about them
        values = out.figures(part)
        ordered = {m: values[m] for m in sorted(values, key=lambda m: (likeness(m), m))}
        values.clear()
        values.update(ordered)


def _guess_names(out: Columns, frame: pl.DataFrame, numeric: set[str], used: set[str | None]) -> None:
    """Model and data set by their values, where no name tells."""
    texts = [
        c for c in frame.columns if c not in used and c not in numeric and _few(frame, c) and frame[c].n_unique() > 1
    ]
    texts.sort(
        key=lambda c: (_is_setting(c), not normal(c).startswith(("model", "algo", "meth")), -frame[c].n_unique())
    )
    if out.model is None and texts:
        out.model = texts.pop(0)
        out.guesses.append(f"No column is called like a model; {out.model!r} is taken for it, by its values.")
    others = [c for c in texts if c not in (out.model, FILE) and not _is_setting(c)]
    if out.data_set is None and out.model is not None:
        each = {c: frame.group_by(out.model).agg(pl.col(c).n_unique().alias("n"))["n"] for c in others}
        crossed = [c for c in others if 2 * (each[c] > 1).sum() >= len(each[c])]
        out.data_set = min(crossed, key=lambda c: (not normal(c).startswith("dat"), others.index(c)), default=None)
        if out.data_set is not None:
            out.guesses.append(f"No column is called like a data set; {out.data_set!r} is taken for it, by its values.")
    if out.data_set is None and out.model != FILE and FILE in frame.columns and frame[FILE].n_unique() > 1:
        out.data_set = FILE
        out.guesses.append("No column is called like a data set; the file a line is from is taken for it.")


def _repeats(frame: pl.DataFrame, out: Columns, column: str, settings: Sequence[str]) -> bool:
    """Whether a column numbers repeats: its values come again in other models, and settings do not follow it."""
    cell = [c for c in (out.data_set, out.model) if c]
    values = frame.select([*cell, column, *settings]).drop_nulls(column)
    if not cell or values.is_empty() or values.n_unique(subset=[column]) == len(values):
        return False
    per = values.group_by(column).agg(pl.struct(cell).n_unique().alias("cells"))
    if (per["cells"] < 2).all():
        return False
    inside = [c for c in settings if values.group_by(cell).agg(pl.col(c).n_unique().alias("n"))["n"].max() != 1]
    if not inside:
        return True
    pairs = values.n_unique(subset=[*cell, column])
    return pairs != values.n_unique(subset=[*cell, column, *inside]) or pairs == values.n_unique(subset=cell)


def _propose_settings(out: Columns, frame: pl.DataFrame, candidates: Sequence[str]) -> None:
    """Those that vary among the runs of a model on a data set, and do not vary with the seed."""
    cell = [c for c in (out.data_set, out.model) if c]
    long = [c for c in (out.metric, out.part) if c]

    seeded = frame.filter(pl.any_horizontal(pl.col(c).is_not_null() for c in out.seed)) if out.seed else frame

    def repeated(settings: Sequence[str]) -> int:
        """Lines whose group has two seeds or more."""
        groups = seeded.group_by([*cell, *long, *settings]).agg(pl.len(), pl.struct(out.seed).n_unique().alias("seeds"))
        return int(groups.filter(pl.col("seeds") > 1)["len"].sum())

    for column in candidates:
        if not _varies(frame, [*cell, *long], column):
            continue
        if out.seed and (before := repeated(out.setting)) and 2 * repeated([*out.setting, column]) < before:
            continue
        out.setting.append(column)


def _varies(frame: pl.DataFrame, of: Sequence[str | None], column: str) -> bool:
    """Whether a column has several values within some group of these columns."""
    cell = [c for c in of if c]
    if not cell:
        return frame[column].n_unique() > 1
    return bool((frame.group_by(cell).agg(pl.col(column).n_unique().alias("n"))["n"] > 1).any())


def described(columns: Columns) -> list[str]:
    """What is read as what, a sentence each."""
    out = []
    for words, used in (
        ("Data set", [columns.data_set] if columns.data_set else []),
        ("Model", [columns.model] if columns.model else []),
        ("Seed", columns.seed),
        ("Setting", columns.setting),
        ("State", [columns.state] if columns.state else []),
        ("Metric's name", [columns.metric] if columns.metric else []),
        ("Part", [columns.part] if columns.part else []),
    ):
        out.append(f"{words}: {', '.join(used) if used else 'no column'}.")
    for words, part in (("Validation", "val"), ("Test", "test"), ("Shown", "shown")):
        found = columns.figures(part)  # type: ignore[arg-type]
        out.append(f"{words}: {', '.join(f'{c} ({m})' for m, c in found.items()) if found else 'no column'}.")
    if columns.flag:
        out.append(f"Marks the lines that are shown: {columns.flag}.")
    if columns.unused:
        out.append(f"Not used: {some(columns.unused, 12)}.")
    return [*out, *columns.guesses]
