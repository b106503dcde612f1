"""The figures of BARS's leaderboards as the table that ships with the program, taken from a clone of reczoo/BARS.

    python -m benchmarks.bars_table CLONE > mdaf_core/runs/published/bars.csv

The runs are the result lines of every `results.csv` below `ranking/ctr`, whose folder names model and data set; the
shown figure is that of the leaderboard's line that links to this folder, else of the same name. Of the data sets those
are taken that come in one form (`_x1`) and hold several seeds, or a sequence.
"""

from __future__ import annotations

import csv
import re
import sys
from pathlib import Path

import polars as pl

from mdaf_core.runs.published import fuxictr

SETS = (
    *("amazonelectronics_x1", "avazu_x1", "criteo_x1", "frappe_x1", "kuaivideo_x1", "microvideo1.7m_x1"),
    *("movielenslatest_x1", "taobaoad_x1"),
)
FIGURES = ("auc", "logloss", "gauc")


def shown(clone: Path, data_set: str) -> dict[str, str]:
    """Folder of a model, and its name → AUC on the leaderboard."""
    with (clone / "docs/CTR/leaderboard" / f"{data_set}.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    names = {row["Model"].strip(): row["AUC"] for row in rows}
    return names | {row["Running Steps"].rstrip("/").rsplit("/", 1)[-1]: row["AUC"] for row in rows}


def main(clone: Path) -> None:
    out = set()
    boards = {data_set: shown(clone, data_set) for data_set in SETS}
    folder = re.compile(rf"(.+)_({'|'.join(map(re.escape, SETS))})")
    for file in sorted((clone / "ranking/ctr").rglob("results.csv")):
        named = folder.fullmatch(file.parent.name)
        if named is None or not fuxictr.is_result(file.read_text("utf-8-sig")):
            continue
        model, data_set = named.groups()
        board = boards[data_set]
        frame, _ = fuxictr.read([file], clone)
        for row in frame.iter_rows(named=True):
            found = {name.lower().replace(" ", "_"): value for name, value in row.items() if " " in name}
            figures = [str(float(v)) if (v := found.get(f"{p}_{m}")) else "" for p in ("val", "test") for m in FIGURES]
            out.add((data_set, model, row["seed"] or "", *figures, board.get(file.parent.name) or board.get(model, "")))
    head = ["data_set", "model", "seed", *(f"{p}_{m}" for p in ("val", "test") for m in FIGURES), "leaderboard_auc"]
    sys.stdout.write(pl.DataFrame(sorted(out), schema=head, orient="row").write_csv(quote_style="never"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
