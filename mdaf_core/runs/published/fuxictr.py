"""FuxiCTR's result lines, as its `run_expid.py` appends them to a .csv file without a header:

    20220126-192306,[command] python run_expid.py --config C --expid E --gpu 1,[exp_id] E,[dataset_id] D,[train] N.A.,
    [val] AUC: 0.738503 - logloss: 0.401095,[test] AUC: 0.757359 - logloss: 0.370485

on one line; BARS puts `seed=2021, ` before it. The data set is the id without its hash; the model is what stands before
it in the folder of the configuration or in the experiment's id, which ends in a number and a hash of its settings.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from mdaf_core.base.errors import BadInputError
from mdaf_core.data.store.schema import EVALUATED

_FIELD = re.compile(
    r"\[(command|exp_id|dataset_id|train|val|test)\]\s*(.*?)\s*(?=,\s*\[(?:command|exp_id|dataset_id|train|val|test)\]|[,\s]*$)"
)
_METRIC = re.compile(r"\s*([^:]+?)\s*:\s*([-+0-9.eE]+|nan|inf)\s*", re.IGNORECASE)
_HASH = re.compile(r"_[0-9a-f]{8}$")


def is_result(start: str) -> bool:
    """Whether a text begins with such lines."""
    return "[exp_id]" in start and ("[val]" in start or "[test]" in start)


def read(files: Sequence[Path], root: Path) -> tuple[pl.DataFrame, list[str]]:
    """The runs of these files: data_set, model, setting, seed, and a column `val AUC`, `test AUC` … each metric.

    Raises:
        BadInputError: a line names none of its parts, or a file is not UTF-8 text.
    """
    rows: list[dict[str, str | None]] = []
    other = 0
    for file in files:
        try:
            text = file.read_text("utf-8-sig")
        except UnicodeDecodeError:
            raise BadInputError("The file is not UTF-8 text: save it as UTF-8.", file) from None
        for number, line in enumerate(text.splitlines(), 1):
            if "[exp_id]" in line:
                rows.append(_run(line, file, number, root))
            elif line.strip(" ,\t"):
                other += 1
    columns = dict.fromkeys(name for row in rows for name in sorted(row))
    frame = pl.DataFrame(rows, schema=dict.fromkeys(columns, pl.String))
    return frame, [f"{other:,} other lines are no result lines and are not read."] if other else []


def _run(line: str, file: Path, number: int, root: Path) -> dict[str, str | None]:
    found = dict(_FIELD.findall(line))
    missing = [name for name in ("exp_id", "dataset_id") if not found.get(name)]
    if missing or not ("val" in found or "test" in found):
        raise BadInputError(
            f"The result line lacks [{missing[0] if missing else 'val'}]: it takes [exp_id], [dataset_id], and [val] "
            "or [test].",
            file,
            number,
            line[:200],
        )
    data_set = _HASH.sub("", found["dataset_id"])
    seed = re.match(r"\W*seed\s*=\W*(\d+)", line) or re.search(r"--seed[ =](\d+)", found.get("command", ""))
    config = re.search(r"--config\s+(\S+)", found.get("command", ""))
    model, experiment = _model(found["exp_id"], data_set, config[1] if config else "", file, root)
    row: dict[str, str | None] = {"data_set": data_set, "model": model}
    # Trainings that differ in the seed alone are numbered like settings: with a seed the configuration's file is one.
    row["setting"] = (Path(config[1]).name if config else None) if seed else experiment
    row["seed"] = seed[1] if seed else None
    for part in EVALUATED:
        for piece in re.split(r"\s+-\s+", found.get(part, "")):
            metric = _METRIC.fullmatch(piece)
            if metric:
                row[f"{part} {metric[1]}"] = metric[2]
    return row


def _model(experiment: str, data_set: str, config: str, file: Path, root: Path) -> tuple[str, str]:
    """The model, and the experiment's id as its setting.

    Folders of a configuration tell variants apart that share an experiment's name (`AFN+_criteo_x1` trains `AFN`).
    """
    before = re.compile(rf"(.+?)_{re.escape(data_set)}(?:_|$)", re.IGNORECASE)
    named = before.match(experiment)
    model = named[1] if named else re.sub(r"(_\d+)?_[0-9a-f]{8}$", "", experiment)
    inside = file.relative_to(root).parent.parts if file.is_relative_to(root) else ()
    for folder in (*config.split("/")[:-1], *inside):
        other = before.match(folder)
        if other and other[1].startswith(model):
            model = other[1]
    return model, experiment
