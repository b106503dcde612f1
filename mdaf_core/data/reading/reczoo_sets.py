"""The folders of reczoo/Datasets (those that BARS' click-through-rate benchmark uses): what their columns are.

Columns and md5 sums are from each set's README.md and conversion script (github.com/reczoo/Datasets), inputs and
`min_count` from the data set settings of BARS' runs (github.com/reczoo/BARS, ranking/ctr); see docs/data.md.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from mdaf_core.data.reading.layout import Column

Part = Literal[
    "label", "user", "group", "item", "category", "id", "number", "bucket", "code", "order", "history_item",
    "history_category", "other_history", "never",
]  # fmt: skip
"""What a column is. group: a user that is no input; bucket: a count, made an id; code: of 8 hexadecimal digits; order:
a clock that starts anywhere; other_history: a list that has no counterpart in another; never: no input."""
FILES = {"train": "train.csv", "val": "valid.csv", "test": "test.csv"}
LISTS = ("history_item", "history_category", "other_history")


class Is(NamedTuple):
    """A column: its part, how its values (of lists: the ids in them) are written, and of one that is no input, why."""

    part: Part
    kind: Literal["int", "float", "text", "hex"] = "int"
    why: str = ""


@dataclass(frozen=True)
class Published:
    """A published set.

    Attributes:
        name: as reczoo calls it; label: what a label of 1 means.
        columns: by name; those that a file has beside them are not read.
        md5: of train.csv, valid.csv and test.csv, as its README gives them.
        min_count: training rows an id needs, in BARS' settings.
        notes: what deserves a look, as sentences.
        quoted: values may be quoted, as free text is.
    """

    name: str
    label: str
    columns: dict[str, Is]
    md5: dict[str, str]
    min_count: int = 1
    notes: tuple[str, ...] = ()
    quoted: bool = False

    def of(self, *parts: Part) -> list[str]:
        """Names of the columns that are one of these parts, in order."""
        return [name for name, column in self.columns.items() if column.part in parts]

    def layout_column(self, name: str) -> Column:
        """How a column of a file is written; any that is not known is text that is not looked at."""
        column = self.columns.get(name, Is("never", "text"))
        if column.part == "label":
            return Column(name, "text", choices=("0", "1", "-1", "0.0", "1.0", "-1.0"))
        needed = column.part in ("user", "group", "item", "category", "order")
        return Column(name, "text" if column.part in ("never", *LISTS) else column.kind, optional=not needed)


_RANDOM = "Its publisher drew the parts at random: results say how well a model fills gaps, not how well it predicts."
_TESTED_TWICE = (
    "The publisher gives no validation part; BARS' settings name test.csv as the validation part too, so that its "
    "figures were chosen on test."
)
_GLOBAL = "Ids are codes that are unique over all columns: none of them is a number, whatever its name."
_SEQUENCE = "Its lists are taken as oldest first."


def _ids(names: str, kind: Literal["int", "float", "text", "hex"] = "int") -> dict[str, Is]:
    return {name: Is("id", kind) for name in names.split()}


def _sums(*sums: str) -> dict[str, str]:
    """md5 by file: of three files train, valid, test; of two train, test."""
    names = list(FILES.values()) if len(sums) == 3 else [FILES["train"], FILES["test"]]
    return dict(zip(names, sums, strict=True))


_I, _C = [f"I{i}" for i in range(1, 14)], [f"C{i}" for i in range(1, 27)]
_AFTER = "known only after the row was shown"
SETS = {
    one.name: one
    for one in (
        Published(
            "Criteo_x1", "clicked",
            {"label": Is("label"), **dict.fromkeys(_I, Is("number", "float")), **_ids(" ".join(_C))},
            _sums(
                "30b89c1c7213013b92df52ec44f52dc5", "f73c71fb3c4f66b6ebdfa032646bea72",
                "2c48b26e84c04a69b948082edae46f8c",
            ),
            notes=(_RANDOM,),
        ),
        Published(
            "Criteo_x4", "clicked",
            {"Label": Is("label"), **dict.fromkeys(_I, Is("bucket")), **dict.fromkeys(_C, Is("code", "hex"))},
            _sums(
                "4a53bb7cbc0e4ee25f9d6a73ed824b1a", "fba5428b22895016e790e2dec623cb56",
                "cfc37da0d75c4d2d8778e76997df2976",
            ),
            10, (_RANDOM,),
        ),
        Published(
            "Avazu_x1", "clicked",
            {"label": Is("label")} | _ids(" ".join(f"feat_{i}" for i in range(1, 23))),
            _sums(
                "f1114a07aea9e996842c71648e0f6395", "d9568f246357d156c4b8030fadb8b623",
                "9e2fe9c48705c9315ae7a0953eb57acf",
            ),
            notes=(_RANDOM, _GLOBAL),
        ),
        Published(  # its columns are those of the challenge's file: `formats/avazu.py` reads them
            "Avazu_x4", "clicked",
            {"id": Is("never", "text", "the number of the row"), "click": Is("label"), "hour": Is("order")}
            | _ids("C1 banner_pos site_id device_id device_ip C14 C21", "text"),
            _sums(
                "de3a27264cdabf66adf09df82328ccaa", "33232931d84d6452d3f956e936cab2c9",
                "3ebb774a9ca74d05919b84a3d402986d",
            ),
            2, (_RANDOM,),
        ),
        Published(
            "Frappe_x1", "used the app in this context (0: sampled)",
            {"label": Is("label"), "user": Is("user"), "item": Is("item")}
            | _ids("daytime weekday isweekend homework cost weather country city"),
            _sums(
                "ba7306e6c4fc19dd2cd84f2f0596d158", "88d51bf2173505436d3a8f78f2a59da8",
                "3470f6d32713dc5f7715f198ca7c612a",
            ),
            notes=(_RANDOM, _GLOBAL + " cost and homework are ids, too."),
        ),
        Published(
            "MovielensLatest_x1", "gave the film this tag (0: sampled)",
            {"label": Is("label"), "user_id": Is("user"), "item_id": Is("item"), "tag_id": Is("id")},
            _sums(
                "efc8bceeaa0e895d566470fc99f3f271", "e1930223a5026e910ed5a48687de8af1",
                "54e8c6baff2e059fe067fb9b69e692d0",
            ),
            notes=(_RANDOM, _GLOBAL),
        ),
        Published(
            "TaobaoAd_x1", "clicked",
            {
                "clk": Is("label"),
                "btag_his": Is("other_history", "text"),
                "cate_his": Is("history_category", "text"),
                "brand_his": Is("other_history", "text"),
                "userid": Is("user", "text"),
                **_ids("cms_segid cms_group_id final_gender_code age_level pvalue_level shopping_level occupation "
                       "new_user_class_level", "text"),
                "adgroup_id": Is("item", "text"), "cate_id": Is("category", "text"),
                **_ids("campaign_id customer brand", "text"),
                "price": Is("number", "float"),
                **_ids("pid", "text"),
                "btag": Is("never", "text", "1 in every row: it only shares the codes of btag_his"),
            },
            _sums("eaabfc8629f23519b04593e26c7522fc", "f5ae6197e52385496d46e2867c1c8da1"),
            10, (_TESTED_TWICE, _SEQUENCE),
        ),
        Published(
            "AmazonElectronics_x1", "reviewed next (0: a sampled item)",
            {
                "label": Is("label"), "user_id": Is("group"), "item_id": Is("item"),
                "cate_id": Is("category"), "item_history": Is("history_item"),
                "cate_history": Is("history_category"),
            },
            _sums("e9bf80b92985e463db18fdc753d347b5", "57a20e82fe736dd495f2eaf0669bf6d0"),
            notes=(_TESTED_TWICE,),
        ),
        Published(
            "KuaiVideo_x1", "clicked",
            {
                "timestamp": Is("order"), "user_id": Is("user"), "item_id": Is("item"),
                "is_click": Is("label"), "is_like": Is("never", "int", _AFTER),
                "is_follow": Is("never", "int", _AFTER), "pos_items": Is("history_item"),
                "neg_items": Is("never", "text", "items that were shown and not clicked: no history of clicks"),
            },
            _sums("16f13734411532cc313caf2180bfcd56", "ba26c01caaf6c65c272af11aa451fc7a"),
            10, (_TESTED_TWICE,),
        ),
        Published(
            "MicroVideo1.7M_x1", "clicked",
            {
                "user_id": Is("user", "text"), "item_id": Is("item", "text"),
                "cate_id": Is("category", "text"), "timestamp": Is("order", "text"),
                "is_click": Is("label"), "clicked_items": Is("history_item", "text"),
                "clicked_categories": Is("history_category", "text"),
            },
            _sums("936e6612714c887e76226a60829b4e0a", "9417a18304fb62411ac27c26c5e0de56"),
            notes=(_TESTED_TWICE, "No item of test.csv is in train.csv, by the publisher's design: what a model "
                   "learned of an item's id says nothing of test rows. Embeddings of pictures are not read."),
        ),
        Published(
            "KKBox_x1", "listened to the song again within a month",
            {
                "label": Is("label"), "msno": Is("user", "text"), "song_id": Is("item", "text"),
                **_ids("source_system_tab source_screen_name source_type city gender registered_via language genre_ids "
                       "artist_name isrc bd", "text"),
            },
            _sums(
                "195b1ae8fc2d9267d7c8656c07ea1304", "398e97ac139611a09bd61a58e4240a3e",
                "8c5f7add05a6f5258b6b3bcc00ba640b",
            ),
            10,
            (_RANDOM, "genre_ids and artist_name may name several: each combination is one id here. Of isrc its "
             "country is kept, of bd (the age) a class of ten years, as BARS does; ages beyond 1 to 95 are missing."),
            quoted=True,
        ),
    )
}  # fmt: skip


def by_columns(names: Collection[str]) -> Published | None:
    """The set whose columns these are, among others; that with most of them."""
    found = [one for one in SETS.values() if set(one.columns) <= set(names)]
    return max(found, key=lambda one: len(one.columns), default=None)


def misread(names: Collection[str], used: Mapping[str, Sequence[str]], is_order: bool) -> list[str]:
    """Sentences on what a table's mapping takes for something else than it is, where the table is one of these sets.

    Args:
        names: the file's columns; used: what they were taken for (`numeric`, `history_item`, …) → columns.
        is_order: whether the time was taken as an order.
    """
    published = by_columns(names)
    if published is None:
        return []
    said = []
    for option, columns in used.items():
        for name in columns:
            part, _, why = published.columns.get(name, Is("id"))
            if part == "never":
                said.append(f"{name} is no input ({why})")
            elif part in LISTS and not option.startswith("history"):
                said.append(f"{name} holds lists of ids joined by ^, not one id a row")
            elif option == "numeric" and part in ("user", "group", "item", "category", "id", "code"):
                said.append(f"{name} is an id, not a number")
            elif option == "timestamp" and part == "order" and not is_order and published.name != "Avazu_x4":
                said.append(f"{name} is an order, not a clock")
    return [f"By its columns this is {published.name} of reczoo, where {'; '.join(said)}."] if said else []
