#!/usr/bin/env bash
# polars 2.1.0: sample(seed=…) and shuffle(seed=…) within group_by, over and of lists.
#
# One impression of each user is drawn, or the clicks of each user are shuffled among their impressions (a permutation test within users),
# with a seed, so that the figure can be repeated. One would guess that the seed starts one stream for all groups, as random_state of
# pandas' groupby.sample does: the draws of two users have nothing to do with each other.
#
# Seen: each group starts anew with the seed, so all groups of one length get the same draw. Of 2,000 users with ten impressions each the
# drawn one stands at the same place for all. Where the click rate falls from 20% to 2% down the page, the rate of a drawn
# impression is that of a single place, however many users there are. And the clicks of all users are shuffled alike: where the first
# place has twice the click rate of the others, one shuffle in ten leaves it where it is, so that p is 0.1 and stays there with any
# number of users; when each user is shuffled alone, no shuffle in 400 comes near. Without a seed, groups differ.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check polars==2.1.0 numpy==2.4.6 pandas==3.1.1 pyarrow==25.0.1
cd "$folder"
"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import polars as pl

USERS, PLACES = 2_000, 10
rng = np.random.default_rng(0)
rate = np.linspace(0.20, 0.02, PLACES)
place = np.tile(np.arange(PLACES), USERS)
shown = pl.DataFrame({"user": np.repeat(np.arange(USERS), PLACES), "place": place, "click": rng.random(len(place)) < rate[place]})
lists = shown.group_by("user", maintain_order=True).agg("place")
drawn = {
    "group_by": shown.group_by("user").agg(pl.col("place").sample(1, seed=7).first())["place"],
    "over": shown.filter(pl.col("place") == pl.col("place").shuffle(seed=7).first().over("user"))["place"],
    "of lists": lists.select(pl.col("place").list.sample(1, seed=7).list.first())["place"],
    "without a seed": shown.group_by("user").agg(pl.col("place").sample(1).first())["place"],
    "pandas, random_state=7": pl.Series(shown.to_pandas().groupby("user")["place"].sample(1, random_state=7).to_numpy()),
}
print("polars", pl.__version__, f"- places that were drawn for {USERS} users")
for name, places in drawn.items():
    print(f"  {name}: {sorted(places.unique().to_list())}")
    assert len(places) == USERS and places.n_unique() == (1 if name in ("group_by", "over", "of lists") else PLACES), name

overall = shown["click"].mean()
by_seed = [
    shown.group_by("user").agg(pl.col("click").sample(1, seed=seed).first())["click"].mean() for seed in range(20)
]
print(f"click rate of all rows {overall:.3f}; of one drawn row a user, 20 seeds: {min(by_seed):.3f} to {max(by_seed):.3f}")
assert min(by_seed) < 0.05 and max(by_seed) > 0.17

SEEDS = 400
clicks = rng.random((USERS, PLACES)) < np.where(np.arange(PLACES) == 0, 0.2, 0.1)
rows = shown.with_columns(click=clicks.ravel())
first = pl.col("place") == 0
shuffled = {
    "with a seed": [
        rows.with_columns(pl.col("click").shuffle(seed=seed).over("user")).filter(first)["click"].sum() for seed in range(SEEDS)
    ],
    "each user alone": [rng.permuted(clicks, axis=1)[:, 0].sum() for _ in range(SEEDS)],
}
seen = clicks[:, 0].sum()
print(f"clicks at the first place: {seen}; at the other places {clicks[:, 1:].sum(axis=0).mean():.0f} each")
p = {}
for name, counts in shuffled.items():
    p[name] = np.mean(np.array(counts) >= seen)
    print(f"  shuffled {name}: up to {max(counts)}, p = {p[name]:.3f}")
assert p["each user alone"] == 0 and 0.06 < p["with a seed"] < 0.15
PYTHON
