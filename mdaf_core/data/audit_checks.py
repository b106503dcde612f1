"""The checks of the audit. Each reads the written files and answers with a status, a number and a sentence."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

from mdaf_core.data.audit import Check, Status, content_hashes
from mdaf_core.data.dataset import PreparedDataset, Rows
from mdaf_core.data.schema import FIRST_ID, MAX_HISTORY, PADDING, SPLITS, UNKNOWN, FieldSpec, Split

LEAK_AUC = 0.95
_SAMPLE = 500_000
_WORDS = {"train": "training", "val": "validation", "test": "test"}


class _Data:
    """What the checks read."""

    def __init__(self, dataset: PreparedDataset):
        self.dataset, self.meta = dataset, dataset.meta
        self.rows: dict[Split, Rows] = {split: dataset.rows(split) for split in SPLITS}
        self.events = dataset.events if self.meta.history_fields else {}

    @property
    def categorical(self) -> list[FieldSpec]:
        return [field for field in self.meta.fields if field.kind == "categorical"]

    def role(self, role: str) -> str | None:
        return next((field.name for field in self.categorical if field.role == role), None)

    @cached_property
    def total(self) -> int:
        return sum(len(rows) for rows in self.rows.values())

    @cached_property
    def first_event(self) -> np.ndarray:
        """(U + 1,) position of each user's first event; the log must be sorted by user."""
        users = 1 + max(int(rows.user.max(initial=0)) for rows in self.rows.values())
        return np.searchsorted(self.events["user_index"], np.arange(users + 1))

    @cached_property
    def slices_sound(self) -> dict[Split, np.ndarray]:
        """By split, (N,) whether a row's slice lies inside the log."""
        size = len(self.events["timestamp"])
        return {
            split: (rows.history_start >= 0) & (rows.history_start <= rows.history_end) & (rows.history_end <= size)
            for split, rows in self.rows.items()
        }

    @cached_property
    def late(self) -> dict[Split, np.ndarray]:
        """By split, positions of rows whose slice holds an event that is not strictly earlier."""
        found = {}
        time = self.events["timestamp"]
        for split, rows in self.rows.items():
            full = np.flatnonzero(self.slices_sound[split] & (rows.history_end > rows.history_start))
            found[split] = full[time[rows.history_end[full] - 1] >= rows.timestamp[full]]
        return found

    @cached_property
    def repeats(self) -> pl.DataFrame:
        """Rows that share user, time and target with another row: split, user, time, target, all codes, label.

        Rows whose target is unknown are left out: two unknown items are not the same item.
        """
        item = self.role("item")
        names = [item] if item else [field.name for field in self.categorical]
        keys, kept = {}, {}
        for split, rows in self.rows.items():
            known = np.flatnonzero(np.all([rows.columns[name] > UNKNOWN for name in names], axis=0))
            kept[split] = known
            columns = [rows.user, rows.timestamp, *(rows.columns[name] for name in names)]
            keys[split] = _mix([column[known] for column in columns])
        ordered = np.sort(np.concatenate(list(keys.values())))
        shared = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
        frames = []
        for split, rows in self.rows.items():
            at = np.searchsorted(shared, keys[split])
            is_shared = (
                shared[np.minimum(at, len(shared) - 1)] == keys[split] if len(shared) else np.zeros(len(at), bool)
            )
            found = kept[split][is_shared]
            inputs = {f"field_{name}": rows.columns[name][found] for name in rows.columns if name in self._inputs}
            target = {f"target_{name}": rows.columns[name][found] for name in names}
            frames.append(
                pl.DataFrame(
                    {"user": rows.user[found], "time": rows.timestamp[found], "label": rows.label[found]}
                    | target
                    | inputs
                ).with_columns(split=pl.lit(split))
            )
        return pl.concat(frames)

    @property
    def _inputs(self) -> set[str]:
        return {field.name for field in self.meta.fields}


def run_checks(dataset: PreparedDataset) -> list[Check]:
    """Every check that applies, the gravest questions first."""
    data = _Data(dataset)
    return [check for question in _QUESTIONS for check in question(data)]


# ---- the files -------------------------------------------------------------------------------------------------------


def _integrity(data: _Data) -> Iterator[Check]:
    recorded = data.meta.fingerprint.get("content", {})
    actual = content_hashes(data.dataset.path)
    changed = sorted(path for path in recorded.keys() | actual.keys() if recorded.get(path) != actual.get(path))
    wrong = [split for split in SPLITS if len(data.rows[split]) != data.meta.splits[split].rows]
    if not changed and not wrong:
        sentence = f"All {len(actual)} files are as the preparation wrote them."
    else:
        sentence = f"Changed since the preparation: {', '.join(changed) or 'row counts'}. Prepare the data set again."
    yield _check("integrity", "Files as written", "fail" if changed or wrong else "pass", len(changed), sentence)


def _reserved_codes(data: _Data) -> Iterator[Check]:
    wrong: dict[str, float] = {}
    for field in data.categorical:
        codes = data.dataset.vocabulary(field.name)["code"].to_numpy()
        count = int((codes < FIRST_ID).sum()) + len(codes) - len(np.unique(codes))
        for rows in data.rows.values():
            values = rows.columns[field.name]
            count += int(((values <= PADDING) | (values >= field.vocabulary_size)).sum())
        if field.name in data.events:
            values = data.events[field.name]
            count += int(((values <= PADDING) | (values >= field.vocabulary_size)).sum())
        wrong[field.name] = count
    total = sum(wrong.values())
    yield _check(
        "reserved-codes",
        "Reserved codes",
        "fail" if total else "pass",
        total,
        f"{total:,.0f} codes are wrong (a real id on code 0 or 1, one code for two ids, or a code without an id)."
        if total
        else "Codes 0 (padding) and 1 (unknown) stand for no real id, and every other code for exactly one.",
        {name: value for name, value in wrong.items() if value},
    )


def _vocabulary(data: _Data) -> Iterator[Check]:
    foreign: dict[str, float] = {}
    least = int(data.meta.options.get("min_count", 1))
    example = ""
    for field in data.categorical:
        table = data.dataset.vocabulary(field.name)
        codes = table["code"].to_numpy()
        values = data.rows["train"].columns[field.name]
        size = max(int(codes.max(initial=0)), int(values.max(initial=0)), field.vocabulary_size) + 1
        seen = np.bincount(values, minlength=size)
        strangers = np.flatnonzero(seen[codes] < least)
        foreign[field.name] = len(strangers) + abs(len(codes) + FIRST_ID - field.vocabulary_size)
        if least == 1:  # then every id of a training row has a code
            foreign[field.name] += int(seen[UNKNOWN])
        if len(strangers) and not example:
            example = f", for instance {field.name} {table['id'][int(strangers[0])]!r}"
    total = sum(foreign.values())
    sentence = (
        f"{total:,.0f} ids do not come from training rows{example}: the vocabulary knows what a model may not know."
        if total
        else "Every id of every vocabulary occurs in training rows, and was counted there alone."
    )
    yield _check(
        "vocabulary-training",
        "Vocabulary from training rows",
        "fail" if total else "pass",
        total,
        sentence,
        {name: value for name, value in foreign.items() if value},
    )


# ---- histories -------------------------------------------------------------------------------------------------------


def _histories(data: _Data) -> Iterator[Check]:
    if not data.events:
        return
    time, owner = data.events["timestamp"], data.events["user_index"]
    late = {split: float(len(rows)) for split, rows in data.late.items()}
    disorder = 0
    if not data.meta.ready_made_history:
        same = owner[1:] == owner[:-1]
        disorder = int(((owner[1:] < owner[:-1]) | (same & (time[1:] < time[:-1]))).sum())
    total = sum(late.values())
    if total or disorder:
        sentence = f"{total:,.0f} rows have an event in their history that is not earlier than the row"
        sentence += f", and the event log is out of order in {disorder:,} places." if disorder else "."
    elif data.meta.ready_made_history:
        sentence = "Histories came ready-made, without times: that their events precede the row cannot be verified."
    else:
        sentence = "Every event of every history is strictly earlier than its row."
    status: Status = "fail" if total or disorder else "warn" if data.meta.ready_made_history else "pass"
    yield _check("history-earlier", "History strictly earlier", status, total + disorder, sentence, late)

    wrong, missing = {}, {}
    for split, rows in data.rows.items():
        sound = data.slices_sound[split]
        wrong[split] = float((~sound).sum())
        full = np.flatnonzero(sound & (rows.history_end > rows.history_start))
        first, last = rows.history_start[full], rows.history_end[full] - 1
        wrong[split] += float(((owner[first] != rows.user[full]) | (owner[last] != rows.user[full])).sum())
        if not data.meta.ready_made_history:
            missing[split] = float(_incomplete(data, rows, sound).sum())
    total = sum(wrong.values())
    yield _check(
        "history-own-user",
        "History of the row's own user",
        "fail" if total else "pass",
        total,
        f"{total:,.0f} rows have a history that is another user's, or outside the event log."
        if total
        else "Every history holds events of the row's own user alone.",
        wrong,
    )
    if missing:
        total = sum(missing.values())
        yield _check(
            "history-complete",
            "History complete",
            "fail" if total else "pass",
            total,
            f"{total:,.0f} rows lack earlier events of their user in their history."
            if total
            else "No history lacks an earlier event of its user.",
            missing,
        )
    yield _own_target(data)
    yield from _history_contents(data)


def _incomplete(data: _Data, rows: Rows, sound: np.ndarray) -> np.ndarray:
    """(N,) whether an earlier event of the user is outside the slice, on either side."""
    time = data.events["timestamp"]
    first, after = data.first_event[rows.user], data.first_event[rows.user + 1]
    end = np.clip(rows.history_end, 0, len(time) - 1)
    next_is_earlier = (rows.history_end < after) & (rows.history_end >= first) & (time[end] < rows.timestamp)
    starts_late = (rows.history_start > first) & (first < after)
    elsewhere = (rows.history_end < first) & (time[np.clip(first, 0, len(time) - 1)] < rows.timestamp) & (first < after)
    return sound & (next_is_earlier | starts_late | elsewhere)


def _own_target(data: _Data) -> Check:
    names = data.meta.history_fields
    if data.meta.ready_made_history:
        return _ready_made_target(data)
    found: dict[str, float] = {}
    for split, rows in data.rows.items():
        suspects = data.late[split]
        end = rows.history_end[suspects]
        start = np.maximum(rows.history_start[suspects], end - MAX_HISTORY)
        lengths = end - start
        at = np.repeat(np.arange(len(suspects)), lengths)
        event = np.repeat(end - np.cumsum(lengths), lengths) + np.arange(int(lengths.sum()))
        hit = data.events["timestamp"][event] == rows.timestamp[suspects][at]
        for name in names:
            hit &= data.events[name][event] == rows.columns[name][suspects][at]
        found[split] = float(len(np.unique(at[hit])))
    total = sum(found.values())
    return _check(
        "history-target",
        "Target not in its own history",
        "fail" if total else "pass",
        total,
        f"{total:,.0f} rows find themselves in their own history."
        if total
        else "No row is an event of its own history.",
        found,
    )


def _ready_made_target(data: _Data) -> Check:
    """Without times, a list that ends with the row itself shows by how often its newest event is the target."""
    name = data.meta.history_fields[0]
    shares: dict[str, float] = {}
    for split, rows in data.rows.items():
        full = np.flatnonzero(data.slices_sound[split] & (rows.history_end > rows.history_start))
        newest = data.events[name][rows.history_end[full] - 1]
        same = (newest == rows.columns[name][full]) & (newest > UNKNOWN)
        shares[split] = float(same.mean()) if len(full) else 0.0
    worst = max(shares.values())
    status: Status = "fail" if worst > 0.5 else "warn" if worst > 0.2 else "pass"
    ending = " The lists seem to include the row itself." if status != "pass" else ""
    return _check(
        "history-target",
        "Target not in its own history",
        status,
        worst,
        f"In up to {worst:.1%} of a part's rows the newest event of the history is the target's {name}.{ending}",
        shares,
    )


def _history_contents(data: _Data) -> Iterator[Check]:
    empty = {split: float((rows.history_end == rows.history_start).mean()) for split, rows in data.rows.items()}
    share = sum(empty[split] * len(rows) for split, rows in data.rows.items()) / max(1, data.total)
    yield _check(
        "history-empty",
        "Empty histories",
        "warn" if share > 0.5 else "pass",
        share,
        f"{share:.1%} of rows have an empty history"
        + (": a sequence model can say little about them." if share > 0.5 else "."),
        empty,
    )
    if "positive" in data.events:
        positive = data.events["positive"]
        clicks = float(positive.mean()) if len(positive) else 1.0
        yield _check(
            "history-clicks",
            "Histories hold clicks",
            "warn" if clicks < 0.5 else "pass",
            1 - clicks,
            f"{1 - clicks:.1%} of the event log are not clicks (label 0)"
            + (
                ": histories say what was shown rather than what was wanted, and models cannot tell them apart."
                if clicks < 0.5
                else "."
            ),
        )


# ---- splits ----------------------------------------------------------------------------------------------------------


def _splits(data: _Data) -> Iterator[Check]:
    kind = data.meta.split.get("kind", "unknown")
    if kind == "random":
        yield _check(
            "random-split",
            "Random split",
            "warn",
            1,
            "Rows were assigned to the parts at random: results say how well a model fills gaps in the past, not how "
            "well it predicts. Use it only to reproduce work that did so.",
        )
    spans = {split: (int(r.timestamp.min()), int(r.timestamp.max())) for split, r in data.rows.items() if len(r)}
    latest, overlap = -math.inf, 0
    for split in SPLITS:
        if split in spans:
            overlap += int((data.rows[split].timestamp <= latest).sum())
            latest = max(latest, spans[split][1])
    chronological = kind in ("time", "last-day")
    what = "lie" if data.meta.has_time else "lie, in file order,"
    yield _check(
        "split-times",
        "Parts follow each other in time",
        "pass" if not overlap else "fail" if chronological else "warn",
        overlap,
        f"{overlap:,} validation or test rows {what} before the end of an earlier part"
        + ("." if chronological else f", as a split of kind {kind!r} allows: trends leak between the parts.")
        if overlap
        else "Every validation row is later than all training rows, every test row later than all validation rows.",
    )
    yield from _interleaved(data)
    yield from _repeated_rows(data)
    yield from _labels(data)


def _interleaved(data: _Data) -> Iterator[Check]:
    if not (data.meta.has_user and data.meta.has_time):
        return
    users = 1 + max(int(rows.user.max(initial=0)) for rows in data.rows.values())
    latest = np.full(users, np.iinfo(np.int64).min)
    mixed = np.zeros(users, bool)
    for split in SPLITS:
        rows = data.rows[split]
        mixed[rows.user[rows.timestamp < latest[rows.user]]] = True
        np.maximum.at(latest, rows.user, rows.timestamp)
    count = int(mixed.sum())
    yield _check(
        "user-interleaved",
        "A user's rows in order",
        "fail" if count else "pass",
        count,
        f"{count:,} users have rows in an earlier part that happened after rows of a later part: a model is judged on "
        "a user's past after it learned from that user's future."
        if count
        else "No user has a row in an earlier part that happened after one in a later part.",
    )


def _repeated_rows(data: _Data) -> Iterator[Check]:
    shared = _repeated([rows.row_id for rows in data.rows.values()])
    across = inside = 0
    told_apart = data.meta.has_user and data.meta.has_time
    if told_apart:
        repeats = data.repeats
        everything = [name for name in repeats.columns if name != "split"]
        groups = repeats.group_by(everything).agg(rows=pl.len(), parts=pl.col("split").n_unique())
        across = int(groups.filter(pl.col("parts") > 1)["rows"].sum())
        inside = int((groups.filter((pl.col("rows") > 1) & (pl.col("parts") == 1))["rows"] - 1).sum())
    total = max(shared, across)
    yield _check(
        "rows-across-splits",
        "No row in two parts",
        "fail" if total else "pass",
        total,
        f"{_rows(total, 'is', 'are')} in more than one part: a model is judged on rows it was trained on."
        if total
        else "No row of one part is also in another.",
    )
    if not told_apart:
        return
    yield _check(
        "duplicate-rows",
        "Duplicate rows",
        "warn" if inside else "pass",
        inside,
        f"{_rows(inside, 'repeats', 'repeat')} another row of the part (same user, time, inputs and label)."
        if inside
        else "No row of a part repeats another.",
    )
    target = [name for name in data.repeats.columns if name in ("user", "time") or name.startswith("target_")]
    groups = data.repeats.group_by(target).agg(rows=pl.len(), labels=pl.col("label").n_unique())
    contradicting = int(groups.filter(pl.col("labels") > 1)["rows"].sum())
    yield _check(
        "contradicting-rows",
        "Contradicting labels",
        "warn" if contradicting else "pass",
        contradicting,
        f"{contradicting:,} rows share user, time and target with a row of the other label: no model can get both "
        "right."
        if contradicting
        else "No two rows of one user, time and target have different labels.",
    )


def _labels(data: _Data) -> Iterator[Check]:
    rates = {split: float(rows.label.mean()) for split, rows in data.rows.items() if len(rows)}
    single = [_WORDS[split] for split, rate in rates.items() if rate in (0.0, 1.0)]
    yield _check(
        "both-labels",
        "Both labels in every part",
        "fail" if single else "pass",
        len(single),
        f"All {' and '.join(single)} rows have the same label: AUC is undefined there."
        if single
        else "Training, validation and test rows have both labels.",
        rates,
    )
    base = rates.get("train", 0.0)
    drift = max((abs(rate - base) for split, rate in rates.items() if split != "train"), default=0.0)
    shown = ", ".join(f"{_WORDS[split]} {rate:.2%}" for split, rate in rates.items())
    strong = base > 0 and drift / base > 0.2
    yield _check(
        "positive-rate-drift",
        "Positive rate",
        "warn" if strong else "pass",
        drift,
        f"The positive rate is {shown}" + (": it drifts by more than a fifth of its value." if strong else "."),
        rates,
    )


# ---- what the inputs give away ---------------------------------------------------------------------------------------


def _label_leak(data: _Data) -> Iterator[Check]:
    judged_splits: tuple[Split, ...] = ("val", "test")
    split = next((s for s in judged_splits if len(np.unique(data.rows[s].label)) == 2), None)
    if split is None:
        return
    train, judged = data.rows["train"], data.rows[split]
    pick = _sample(len(judged))
    label = judged.label[pick]
    base = float(train.label.mean())
    found: dict[str, float] = {}
    for field in data.meta.fields:
        values = judged.columns[field.name][pick]
        if field.kind == "categorical":
            codes = train.columns[field.name]
            size = max(int(codes.max(initial=0)), int(values.max(initial=0))) + 1
            rows = np.bincount(codes, minlength=size)
            positives = np.bincount(codes, weights=train.label, minlength=size)
            found[field.name] = _auc(label, ((positives + base) / (rows + 1))[values])
        else:
            found[field.name] = _auc(label, values)
            if np.isnan(values).any():  # being missing may tell the label as well
                found[f"{field.name} is missing"] = _auc(label, np.isnan(values))
    if data.events:
        found["history length"] = _auc(label, (judged.history_end - judged.history_start)[pick])
    found = {name: max(auc, 1 - auc) for name, auc in found.items()}
    name, worst = max(found.items(), key=lambda item: item[1])
    leak = worst > LEAK_AUC
    yield _check(
        "label-leak",
        "No input gives the label away",
        "fail" if leak else "pass",
        worst,
        f"The input {name!r} alone reaches AUC {worst:.4f} on {_WORDS[split]} rows"
        + (": it probably knows the label." if leak else ", the best of all single inputs."),
        found,
    )


def _unknown_by_label(data: _Data) -> Iterator[Check]:
    differences: dict[str, float] = {}
    found: list[tuple[bool, float, str]] = []  # significant, difference, words
    for split in ("val", "test"):
        rows = data.rows[split]
        positive = rows.label == 1
        counts = (int(positive.sum()), int((~positive).sum()))
        if min(counts) == 0:
            continue
        for field in data.categorical:
            unknown = rows.columns[field.name] == UNKNOWN
            rates = (float(unknown[positive].mean()), float(unknown[~positive].mean()))
            difference = rates[0] - rates[1]
            pooled = float(unknown.mean())
            error = math.sqrt(pooled * (1 - pooled) * (1 / counts[0] + 1 / counts[1]))
            differences[f"{split} {field.name}"] = difference
            words = (
                f"In {_WORDS[split]}, {rates[0]:.1%} of positives and {rates[1]:.1%} of negatives have an unknown "
                f"{field.name}"
            )
            found.append((error > 0 and abs(difference) > 4 * error, abs(difference), words))
    if not found:
        return
    significant, worst, words = max(found)
    status: Status = "pass"
    if significant and worst > 0.25:
        status, words = "fail", words + ": being unknown alone tells the label, as when negatives are drawn elsewhere"
    elif significant and worst > 0.05:
        status, words = "warn", words + ": being unknown tells something of the label"
    elif not significant:
        words += ", no more apart than chance allows"
    yield _check("unknown-by-label", "Unknown ids by label", status, worst, words + ".", differences)


def _unseen(data: _Data) -> Iterator[Check]:
    if data.meta.has_user:
        train = data.rows["train"].user
        users = 1 + max(int(rows.user.max(initial=0)) for rows in data.rows.values())
        known = np.zeros(users, bool)
        known[train] = True
        shares = {split: float((~known[data.rows[split].user]).mean()) for split in ("val", "test")}
        yield _unseen_check("unseen-users", "Unseen users", "user", shares)
    item = data.role("item")
    if item:
        shares = {split: float((data.rows[split].columns[item] == UNKNOWN).mean()) for split in ("val", "test")}
        yield _unseen_check("unseen-items", "Unseen items", item, shares)


def _unseen_check(id: str, title: str, what: str, shares: dict[str, float]) -> Check:
    many = max(shares.values()) > 0.5
    article = "an" if what[0] in "aeio" else "a"
    return _check(
        id,
        title,
        "warn" if many else "pass",
        shares["val"],
        f"{shares['val']:.1%} of validation rows and {shares['test']:.1%} of test rows have {article} {what} that "
        "training does not know" + (": its embedding says nothing about most of them." if many else "."),
        shares,
    )


# ---- the input -------------------------------------------------------------------------------------------------------


def _input(data: _Data) -> Iterator[Check]:
    meta = data.meta
    if meta.window is not None:
        inside = {
            split: int(((rows.timestamp < meta.window[0]) | (rows.timestamp >= meta.window[1])).sum())
            for split, rows in data.rows.items()
        }
        kept = sum(inside.values())
        number = max(kept, meta.outside_window)
        zone = ZoneInfo(meta.timezone)
        first, last = (
            datetime.fromtimestamp(t, UTC).astimezone(zone).date() for t in (meta.window[0], meta.window[1] - 1)
        )
        period = f"the stated period {first} to {last} ({meta.timezone})"
        if not number:
            sentence = f"All timestamps lie within {period}."
        elif kept:
            sentence = f"{number:,} input events lie outside {period} and were kept."
        else:
            sentence = f"{number:,} input events lie outside {period} and were left out."
        yield _check("timestamps-in-window", "Stated period", "warn" if number else "pass", number, sentence)
    if meta.skipped_rows:
        share = meta.skipped_rows / (meta.skipped_rows + data.total)
        yield _check(
            "skipped-rows",
            "Skipped input",
            "warn",
            meta.skipped_rows,
            f"{meta.skipped_rows:,} input lines could not be read and were left out on request ({share:.2%}).",
        )
    else:
        yield _check("skipped-rows", "Skipped input", "pass", 0, "No input line was skipped.")
    if meta.notes:
        yield _check("input-notes", "Notes on the input", "warn", len(meta.notes), " ".join(meta.notes))
    if meta.has_time:
        yield _check(
            "timezone",
            "Timezone",
            "pass",
            None,
            f"Hours, weekdays and days are taken in {meta.timezone}"
            + (", which is assumed: the data does not state it." if meta.timezone_assumed else "."),
        )


# ---- helpers ---------------------------------------------------------------------------------------------------------


def _check(
    id: str, title: str, status: Status, number: float | None, sentence: str, details: Mapping[Any, float] | None = None
) -> Check:
    clean = {name: value for name, value in (details or {}).items() if math.isfinite(value)}
    finite = number if number is None or math.isfinite(number) else None
    return Check(id=id, title=title, status=status, number=finite, sentence=sentence, details=clean)


def _repeated(ids: list[np.ndarray]) -> int:
    """How many of the ids in some arrays occurred before."""
    size = sum(len(part) for part in ids)
    low, high = min(int(part.min(initial=0)) for part in ids), max(int(part.max(initial=0)) for part in ids)
    if low < 0 or high > 4 * size:
        return size - len(np.unique(np.concatenate(ids)))
    seen = np.zeros(high + 1, bool)
    for part in ids:
        seen[part] = True
    return size - int(seen.sum())


def _rows(number: int, one: str, many: str) -> str:
    return f"1 row {one}" if number == 1 else f"{number:,} rows {many}"


def _mix(columns: list[np.ndarray]) -> np.ndarray:
    """(N,) uint64 hash of the rows of some integer columns (splitmix64 between columns)."""
    key = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        key += column.astype(np.int64).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
        key = (key ^ (key >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        key = (key ^ (key >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        key ^= key >> np.uint64(31)
    return key


def _sample(size: int) -> np.ndarray:
    """Positions of at most `_SAMPLE` rows, evenly spread."""
    return np.arange(size) if size <= _SAMPLE else np.linspace(0, size - 1, _SAMPLE).astype(np.int64)


def _auc(label: np.ndarray, score: np.ndarray) -> float:
    """Probability that a positive's score exceeds a negative's, ties half (Mann-Whitney)."""
    score = np.nan_to_num(np.asarray(score, np.float64), nan=-np.inf)  # missing values tie, below all others
    ranks = pl.Series(score).rank("average").to_numpy()
    positives = int((label == 1).sum())
    negatives = len(label) - positives
    return (float(ranks[label == 1].sum()) - positives * (positives + 1) / 2) / (positives * negatives)


_QUESTIONS: tuple[Callable[[_Data], Iterator[Check]], ...] = (
    _integrity,
    _histories,
    _splits,
    _vocabulary,
    _reserved_codes,
    _label_leak,
    _unknown_by_label,
    _unseen,
    _input,
)
