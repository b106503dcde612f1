"""Which part each column of a table plays: one part after the other, from names and values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import polars as pl

from mdaf_core.data.propose import words
from mdaf_core.data.propose.known_files import Known
from mdaf_core.data.propose.label import find_label
from mdaf_core.data.propose.look import Look
from mdaf_core.data.propose.proposal import Proposal
from mdaf_core.data.reading.parts import WORDS
from mdaf_core.data.reading.times import stated_zone

_SENTINEL = 0.2  # of the rows
_FAR_MORE = 2  # than any other
_RUNS = 5  # a file sorted by user holds a user's rows together


class Roles:
    """Gives each column its part, one part after the other."""

    def __init__(self, columns: dict[str, Look], proposal: Proposal, known: Known | None):
        self.proposal, self.known = proposal, known
        self.all = columns
        self.lists = {name: look for name, look in columns.items() if look.is_list}
        self.plain = {name: look for name, look in columns.items() if not look.is_list}

    def fill(self) -> None:
        proposal = self.proposal
        for name, why in (self.known.never if self.known else {}).items():
            if name in self.all:
                self.plain.pop(name, None)
                self.lists.pop(name, None)
                proposal.left_out[name] = why
        self._part()
        if self.known and "label" in self.known.options:
            self._take("label", self.known.options["label"], f"as {self.known.name} has it")
        else:
            find_label(self.plain, proposal, self._find)
        self._time()
        self._user()
        for option, names in (("item", words.ITEMS), ("category", words.CATEGORIES)):
            self._named(option, names)
        self._histories()
        self._inputs()
        for name in self.all:
            if name not in _used(proposal.options):
                proposal.left_out.setdefault(name, "nothing is known to do with it")
        if not any(option in proposal.options for option in ("item", "category", "user", "categorical", "numeric")):
            proposal.runs = False

    def _take(self, option: str, name: str, why: str) -> None:
        self.proposal.take(option, name, why)
        self.plain.pop(name, None)

    def _find(self, names: Sequence[str], suits: Callable[[Look], bool] = lambda look: True) -> str | None:
        """The column with the first of these names, among those that suit."""
        found: dict[str, str] = {}
        for name, look in reversed(self.plain.items()):
            if suits(look):
                found[look.core] = name
                found["".join(look.tokens)] = name
        return next((found[name] for name in names if name in found), None)

    def _part(self) -> None:
        for name, look in self.plain.items():
            said = look.size > 0 and bool(look.text.str.to_lowercase().is_in(list(WORDS)).all())
            if said and (look.distinct > 1 or words.PARTS.intersection(look.tokens)):
                self._take("part", name, "its values are the words for parts")
                return

    def _time(self) -> None:
        proposal = self.proposal
        readable = {name: look for name, look in self.plain.items() if look.time is not None}
        ranked = sorted((rank, i, name) for i, (name, look) in enumerate(readable.items()) if (rank := _rank(look)))
        candidates = [name for _, _, name in ranked]
        unread = [name for name, look in self.plain.items() if look.is_called_time and name not in candidates]
        if not candidates:
            proposal.findings.append("No time was found: the order of the file is taken as the order of time.")
            self._without_time(unread)
        for name in unread:
            if not self.plain[name].is_clock_part:
                proposal.left_out[name] = "called a time, but no time that puts rows in order"
                self.plain.pop(name)
        if not candidates:
            return
        first = candidates[0]
        # Within a day or an hour of a coarse time nothing says what came first.
        name = next((other for other in candidates[1:] if self.plain[other].is_finer(self.plain[first])), first)
        look = self.plain[name]
        reading = look.time
        assert reading is not None
        if look.ambiguous_time:
            proposal.left_out[name] = f"a time that can be {reading.words}"
            proposal.findings.append(
                f"{name} holds times {reading.words}, which these values do not tell apart: set timestamp={name} and "
                "timestamp_format to the right one. Without it file order is time order."
            )
            self.plain.pop(name)
            return
        by = "by its name" if words.TIME_TOKENS.intersection(look.tokens) else "by its values"
        read = f"{name} {'is' if reading.words.startswith('written') else 'reads like'} {reading.words}"
        for option, value in reading.options.items():
            if value != "s":
                proposal.take(option, value, read)
        finer = "" if name == first else f", finer than {first}"
        self._take("timestamp", name, f"{by}, and its values are times ({reading.words}){finer}")
        if reading.options.get("timestamp_unit") == "order":
            proposal.findings.append(
                f"{name} is no moment in time but {reading.words}: it puts rows in order, and hours and days are not "
                "known."
            )
        self._zone(name, look)
        self._unknown_times(name, look)
        for other in candidates:
            if other != name and (words.TIME_TOKENS.intersection(self.plain[other].tokens) or self.plain[other].iso):
                proposal.left_out[other] = "another time of the row"
                self.plain.pop(other)

    def _zone(self, name: str, look: Look) -> None:
        """Hours and weekdays of the place that the times name, where they name one."""
        if zone := stated_zone(look.values.dtype):
            self.proposal.take("timezone", zone, f"{name} is in it, by its type")
        elif offset := look.offset:
            self.proposal.findings.append(
                f"{name} is written with the offset {offset}, which names no timezone: hours and weekdays are taken in "
                "UTC. Set timezone to where it was, such as Europe/Berlin, for those of its clocks."
            )

    def _without_time(self, unread: list[str]) -> None:
        """What may be the time and was not taken as it."""
        for name in unread:
            look = self.plain[name]
            if look.is_clock_part:
                continue
            if look.time is not None:
                self.proposal.findings.append(f"{name} holds {look.time.words}.")
            elif look.size:
                self.proposal.findings.append(
                    f"{name} is called a time, but how it is written ({look.text[0][:40]!r}) is not known: set "
                    f"timestamp={name} and timestamp_format, if it is one."
                )
        for name, look in self.plain.items():
            if look.rises:
                self.proposal.findings.append(
                    f"{name} rises from row to row, as a clock or the number of the row does: set timestamp={name} and "
                    "timestamp_unit=order if it is the time."
                )

    def _unknown_times(self, name: str, look: Look) -> None:
        if self.proposal.options.get("timestamp_unit") == "order":
            return
        unknown = (
            look.rows - look.size + int(look.text.is_in(["0", "-1", "NaT", "nan", "NULL", "null", "1970-01-01"]).sum())
        )
        if unknown:
            said = f"The time {name} is unknown (empty, 0 or -1) in {unknown:,} of the first {look.rows:,} rows"
            self.proposal.take("skip_bad_rows", True, f"rows whose {name} is unknown are left out and counted")
            self.proposal.findings.append(f"{said}: such rows are left out and counted, as all that cannot be read.")

    def _user(self) -> None:
        name = self._find(words.USERS)
        if name is None:
            self.proposal.findings.append(
                "No user was found by its name: without one no histories are built, and intervals take "
                "rows as independent. Set user to its column, if there is one."
            )
            return
        look = self.plain[name]
        share, value = _largest(look)
        if share > _SENTINEL:
            self.proposal.findings.append(
                f"{name}: the value {value!r} holds {share:.0%} of the first {look.rows:,} rows. It may stand for "
                "'unknown': "
                "all of these would be one user with one history. Leave such rows out, or take another column."
            )
            if "device" in look.tokens or "cookie" in look.tokens or "session" in look.tokens:
                return
        self._take("user", name, "by its name")

    def _named(self, option: str, names: Sequence[str]) -> None:
        name = self._find(names, lambda look: look.size > 0 or look.rows == 0)
        if name is not None:
            self._take(option, name, "by its name")

    def _histories(self) -> None:
        """Ready-made histories belong to the field whose name theirs holds: `item_history`, `cate_his`."""
        proposal, lists = self.proposal, dict(self.lists)
        for name, look in self.lists.items():
            if words.NEGATIVE.intersection(look.tokens):
                proposal.left_out[name] = "items that were not clicked: no history of clicks"
                lists.pop(name)
            elif words.IMPRESSIONS.intersection(look.tokens):
                proposal.left_out[name] = "a list of impressions"
                lists.pop(name)
                proposal.findings.append(
                    f"{name} holds lists of impressions: if each has its own label, write one row for each before "
                    "preparing."
                )
        found: dict[str, list[str]] = {}
        for option, names in (("item", words.ITEMS), ("category", words.CATEGORIES)):
            if option in proposal.options:
                found[option] = [name for name, look in lists.items() if _core(look) in names]
        if "item" in found:  # `click_history`: of items, if nothing else claims it
            found["item"] += [name for name, look in lists.items() if _core(look) == ""]
        for name in _pair(found, lists):
            option = "item" if name in found.get("item", []) else "category"
            proposal.take(f"history_{option}", name, f"lists, by their name of the {option}")
        used = [proposal.options[key] for key in ("history_item", "history_category") if key in proposal.options]
        more = [name for names in found.values() for name in names if name not in used]
        if more and used:
            proposal.findings.append(
                f"There are more lists than one pair: {', '.join(used)} are proposed as the histories, "
                f"{', '.join(more)} are "
                "not read."
            )
        for name in lists:
            if name not in used:
                proposal.left_out[name] = "another list; one pair of histories is read" if used else "a list"
        if not used:
            return
        first = lists[used[0]]
        if first.separator not in ("", "[", "^"):
            proposal.take("history_separator", first.separator, f"{used[0]} is joined by {first.separator!r}")
        if first.padding is not None:
            padding, inside = first.padding
            proposal.take("history_padding", padding, f"it fills the ends of {used[0]}, all equally long")
            if inside:
                proposal.findings.append(
                    f"{padding} fills the ends of {used[0]} and stands between others in {inside:,} of the first "
                    f"{first.rows:,} lists: it may be an item, too; only at the ends it is taken away."
                )

    def _inputs(self) -> None:
        """All that is left and known when the row is shown."""
        proposal = self.proposal
        label = self.all.get(proposal.options.get("label", ""))
        for name, look in list(self.plain.items()):
            why = _not_an_input(look, label)
            if why:
                proposal.left_out[name] = why
                self.plain.pop(name)
        numeric = [name for name, look in self.plain.items() if look.is_amount]
        categorical = [name for name in self.plain if name not in numeric]
        if numeric:
            proposal.take("numeric", numeric, "fractions, or amounts by their name")
        for name in [*numeric, *categorical]:
            if self.plain[name].stand_in and self.plain[name].is_amount:
                proposal.findings.append(
                    f"{name}: {self.plain[name].stand_in} is far from all other values and may stand for an unknown "
                    "one. Leave these values empty if it does: an empty number is missing."
                )
        alike = [name for name in [*numeric, *categorical] if self.plain[name].distinct == 1]
        if alike:
            one, they = (" holds", "it says") if len(alike) == 1 else (" hold", "they say")
            proposal.findings.append(
                f"{', '.join(alike)}{one} one value only in the first {self.plain[alike[0]].rows:,} rows: {they} "
                "nothing to a model, unless later rows differ."
            )
        if categorical:
            proposal.take("categorical", categorical, "values that come back")


def _rank(look: Look) -> tuple[int, int] | None:
    """How well a column serves as the time, smallest first; None: not at all."""
    reading = look.time
    if reading is None:
        return None
    named = bool(words.TIME_TOKENS.intersection(look.tokens)) or look.core in words.TIMES
    place = next(
        (i for i, name in enumerate(words.TIMES) if name in (look.core, "".join(look.tokens))), len(words.TIMES)
    )
    if look.iso or "timestamp_format" in reading.options:
        day = look.distinct > 1 and reading.options.get("timestamp_format", "%H").count("H") == 0
        return (2 if day else 1, place) if named or look.iso or look.numbers is None else None
    if reading.options.get("timestamp_unit") == "order":
        # An order only where the name is a time's, and the values are many.
        many = look.distinct > 31 and 20 * look.distinct > look.rows
        many = many or reading.words.startswith(("days since", "MMDD"))
        return (4, place) if look.is_called_time and many else None
    if not reading.options:
        return None
    several = look.distinct > 10  # fractions too: logs have times to the millisecond
    return (0, place) if named else (3, place) if several and not words.ID_WORDS.intersection(look.tokens) else None


def _not_an_input(look: Look, label: Look | None) -> str:
    """Why a column is never an input; '' where it may be one."""
    if label is not None and _same(look, label):
        return "the label once more"
    tokens = set(look.tokens)
    joined = "".join(look.tokens)
    after = tokens & words.AFTER or ({joined} & words.AFTER) or ({"long view"} if {"long", "view"} <= tokens else set())
    if look.tokens[:1] in (["is"], ["has"], ["was"]) and not tokens & words.STATES:
        after = after or {look.tokens[0]}
    if after:
        return "known only after the row was shown, by its name"
    if tokens & words.PAST and any(token.isdigit() for token in look.tokens):
        return "a part of a history that is spread over columns"
    if look.decimal_comma:
        return "numbers with a decimal comma: write them with a point to use them"
    if tokens & words.PREDICTED or joined in words.PREDICTED:
        return "what a model said of the row, by its name: it may know the label"
    if look.is_free_text:
        return "free text"
    if look.rises and look.is_amount:
        return "it rises from row to row, as a clock or the number of the row does"
    if look.is_key and not (look.is_amount and look.size):
        return "another value in every row" if look.size else "empty"
    return ""


def _same(look: Look, label: Look) -> bool:
    """Whether a column of two values is the label, or its opposite."""
    if look.distinct != 2 or label.distinct != 2 or look.size != label.size or label.size < 20:
        return False
    pairs = pl.DataFrame({"one": look.text, "other": label.text}).unique()
    return len(pairs) == 2


def _largest(look: Look) -> tuple[float, str]:
    """The share of rows of the most frequent value, if these rows are not simply together; and the value."""
    if look.size < 50:
        return 0.0, ""
    counts = look.text.value_counts(sort=True)
    value = counts.row(0)[0]
    if len(counts) > 1 and counts.row(0)[1] < _FAR_MORE * counts.row(1)[1]:
        return 0.0, ""
    here = (look.text == value).cast(pl.Int8)
    runs = int((here.diff().fill_null(here[0]) == 1).sum())
    return (float(here.mean() or 0) if runs >= _RUNS else 0.0), str(value)


def _core(look: Look) -> str:
    """The name without the words that say it is a history."""
    core = "".join(token for token in look.tokens if token not in words.HISTORY_OF_NOTHING | words.NOT_IN_A_NAME)
    return core if core in words.ITEMS + words.CATEGORIES or not core.endswith("s") else core[:-1]


def _pair(found: dict[str, list[str]], lists: dict[str, Look]) -> list[str]:
    """The first list of items and that list of categories that is as long in every row, where there is one."""
    items, categories = found.get("item", []), found.get("category", [])
    for item in items:
        lengths = lists[item].lists.list.len()
        same = [name for name in categories if (lists[name].lists.list.len() == lengths).all()]
        if same:
            return [item, same[0]]
    return items[:1] or categories[:1]


def _used(options: dict[str, Any]) -> set[str]:
    return {name for value in options.values() for name in (value if isinstance(value, list) else [value])}
