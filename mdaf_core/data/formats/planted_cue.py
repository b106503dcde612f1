"""Generated logs of thousands of events in which one thing of long ago matters: `synthetic` of size `long`.

Early in a user's log stands a phase of `CUES` *cue* events, all red or all blue, by a fair coin. At least `distance`
background events later come the user's impressions. Each background category has a side, +1 or −1, half of them
each, and an impression of an item of side s, by a user of colour c (red +1, blue −1), is clicked with

    p = σ(STRENGTH · s · c)

so that neither the target nor the log says anything alone. What cannot help, by construction:

- The newest `distance` events before every row are background, drawn without regard to colours: whatever reads no
  further back is at chance, however it was trained.
- No user is in two parts of the split, and the user is no input: knowing users by heart helps on training rows alone.
- Targets that tell of the colour are background items, which never equal a cue. The few cue items that are shown (so
  that training knows them) are clicked with p = 0.5 whatever the colour. So match features say nothing at any length.
- Times, numbers of events and of rows are drawn alike for all users.

Events are drawn as one packed sequence; a row is a place in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import expit

USERS = {"train": 256, "val": 48, "test": 96}
DAYS = {"train": 20, "val": 5, "test": 5}
"""In which the impressions of each part's users lie."""
ROWS = 16
"""Impressions of a user."""
ITEMS, CATEGORIES = 16, 4
"""Of the background."""
CUE_ITEMS, CUES = 2, 100
"""Items of each colour, and cue events of a user."""
LEAD = 100
"""Background events before the cue, at most."""
BETWEEN = 3
"""Events between two impressions of a user, at most."""
LONGEST = LEAD + CUES + (ROWS - 1) * BETWEEN
"""Events of a log beside `distance`, at most."""
STRENGTH = 3.0
GAP = 300.0
"""Seconds between two events, on average."""
DAY = 86_400


@dataclass(frozen=True)
class Logs:
    """What a source hands on, and what was drawn.

    Attributes:
        rows, events: as `RawTable`'s.
        side: (CATEGORIES,) ±1 of each background category, numbered from 1 on in the data; colour: (users,) ±1.
    """

    rows: pl.DataFrame
    events: pl.DataFrame
    side: np.ndarray
    colour: np.ndarray


def generate(distance: int, start: int, rng: np.random.Generator) -> Logs:
    """Logs with the cue `distance` events before a user's first impression, a little more before the later ones.

    Args:
        start: Unix time; impressions begin there, training users' first.
    """
    users = sum(USERS.values())
    of_part = np.repeat(np.arange(len(USERS)), list(USERS.values()))
    side = rng.permutation(np.repeat([-1, 1], CATEGORIES // 2))
    colour = rng.choice([-1, 1], users)

    lead_U = rng.integers(0, LEAD + 1, users)
    between_UR = np.pad(rng.integers(0, BETWEEN + 1, (users, ROWS - 1)), ((0, 0), (1, 0)))
    before_UR = (lead_U + CUES + distance)[:, None] + between_UR.cumsum(1)  # events that each row has before it
    length_U = before_UR[:, -1]
    first_U = np.cumsum(length_U) - length_U
    user_T = np.repeat(np.arange(users), length_U)
    place_T = np.arange(len(user_T)) - first_U[user_T]
    cue_T = (place_T >= lead_U[user_T]) & (place_T < (lead_U + CUES)[user_T])
    of_colour_T = ITEMS + CUE_ITEMS * (colour[user_T] > 0) + rng.integers(0, CUE_ITEMS, len(user_T))
    item_T = np.where(cue_T, of_colour_T, rng.integers(0, ITEMS, len(user_T)))

    days = np.array(list(DAYS.values()))
    begin_U = rng.uniform((np.cumsum(days) - days)[of_part], np.cumsum(days)[of_part] - 1)  # no part reaches the next
    moment_U = start + (DAY * begin_U).astype(np.int64)
    elapsed_T = np.cumsum(ROWS + 1 + rng.exponential(GAP - ROWS - 1, len(user_T)).astype(np.int64))
    newest_UR = first_U[:, None] + before_UR - 1
    time_T = elapsed_T + (moment_U - elapsed_T[newest_UR[:, 0]])[user_T]
    # Rows come a second after their newest event, those behind the same event a second after each other.
    since_UR = np.arange(ROWS) - np.maximum.accumulate(np.where(between_UR > 0, np.arange(ROWS), 0), axis=1)

    shown = np.arange(ITEMS + 2 * CUE_ITEMS)
    target = rng.integers(0, ITEMS, users * ROWS)
    target[rng.choice(USERS["train"] * ROWS, 4 * len(shown), replace=False)] = np.repeat(shown, 4)
    category = np.where(shown < ITEMS, shown % CATEGORIES, CATEGORIES + (shown - ITEMS) // CUE_ITEMS)
    sides = np.append(side, [0, 0])[category]
    probability = expit(STRENGTH * sides[target] * np.repeat(colour, ROWS))
    rows = pl.DataFrame(
        {
            "label": (rng.random(users * ROWS) < probability).astype(np.int8),
            "timestamp": (time_T[newest_UR] + 1 + since_UR).reshape(-1),
            "user": np.repeat(np.arange(users), ROWS) + 1,
            "item": target + 1,
            "category": category[target] + 1,
            "true_probability": probability,
            "split": np.repeat(np.array(list(USERS))[of_part], ROWS),
        }
    )
    events = pl.DataFrame(
        {"user": user_T + 1, "timestamp": time_T, "item": item_T + 1, "category": category[item_T] + 1}
    )
    return Logs(rows, events, side, colour)


def titles() -> dict[str, pl.DataFrame]:
    """For people: items and categories of the background by their numbers, cues by their colours."""
    background = {"item": ITEMS, "category": CATEGORIES}
    cues = {"item": [f"{colour} {i + 1}" for colour in ("Blue", "Red") for i in range(CUE_ITEMS)]}
    cues["category"] = ["Blue", "Red"]
    return {
        field: pl.DataFrame(
            {
                "id": np.arange(1, count + len(cues[field]) + 1),
                "title": [f"{field.title()} {i + 1}" for i in range(count)] + cues[field],
            }
        )
        for field, count in background.items()
    }
