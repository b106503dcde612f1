"""Published files of this field, by their columns: what is particular about each, said before anything else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from mdaf_core.data.formats.avazu import LAYOUT as AVAZU
from mdaf_core.data.formats.criteo import NUMERIC
from mdaf_core.data.formats.kuairand import NO_INPUTS
from mdaf_core.data.formats.mind import MOMENT
from mdaf_core.data.reading.kuairand_files import LOG

_MIND = (
    "Its lines hold several shown articles each (N55195-0 N89951-1 …): the source 'mind' makes a row of each, with "
    "categories from news.tsv; take the folder with MINDsmall_train and MINDsmall_dev to have the published parts."
)


@dataclass(frozen=True)
class Known:
    """A published file.

    Attributes:
        name: as people call it; note: what is particular about it, as sentences.
        columns: those that tell it from others; none of a file without a header.
        options: of the source `table` that no value shows; source: the one that reads it, where that is another.
        refused: it cannot be read as it is; the note says why and what to do.
        never: columns that are no inputs, with the reason.
    """

    name: str
    note: str
    columns: frozenset[str] = frozenset()
    options: dict[str, Any] = field(default_factory=dict)
    source: str = "table"
    refused: bool = False
    never: dict[str, str] = field(default_factory=dict)


def _known(name: str, columns: str, note: str, **more: Any) -> Known:
    return Known(name, note, frozenset(columns.split()), **more)


_ONE_FILE = (
    "The published split is in files of their own, which the source 'reczoo' reads from their folder; one file is "
    "split anew, so results are not those of the published split."
)
_AVAZU = (
    "hour is YYMMDDHH, in UTC. There is no user: device_id is one value in most rows, and device_ip is an address that "
    "several people share."
)
_YAMBDA = (
    "The timestamp counts seconds from a start that is not published, to 5 s: an order, no calendar. played_ratio_pct "
    "is known only after; a label can be made of it (positive_from)."
)
KNOWN = (
    _known(
        "KuaiRand", " ".join(column.name for column in LOG.columns),
        "The source 'kuairand' reads this log alone, or the folder with what is known of users and videos and the log "
        "of random exposures to test on. time_ms is Unix time in milliseconds, of Asia/Shanghai.",
        source="kuairand",
        never={name: why for name, why in NO_INPUTS.items() if name not in ("is_click", "time_ms")},
    ),
    _known(
        "KuaiRand", "user_id video_id date hourmin time_ms is_click",
        "The time is time_ms, Unix time in milliseconds; date and hourmin are the same in Asia/Shanghai, hourmin "
        "alone is "
        "no time. All columns from is_click to is_profile_enter are known only after the row; duration_ms is the "
        "video's.",
        options={"timezone": "Asia/Shanghai"},
        never={"date": "the day of time_ms", "hourmin": "the hour of time_ms"},
    ),
    _known(
        "KuaiVideo (reczoo)", "timestamp user_id item_id is_click is_like is_follow pos_items neg_items",
        "The timestamp is a clock that starts anywhere: an order, no calendar. pos_items are earlier clicks, joined "
        "by ^; "
        "neg_items were shown and not clicked, and are no history of clicks. " + _ONE_FILE,
    ),
    _known(
        "AmazonElectronics or TaobaoAd (reczoo)", "label user_id item_id cate_id item_history cate_history",
        "It has no time: rows stand in the order of the file, which need not be that of time. Negatives are sampled. "
        + _ONE_FILE,
    ),
    _known(
        "Frappe (reczoo)", "user item daytime weekday isweekend homework cost weather country city",
        "All columns are ids, cost and homework too; there is no time. Negatives are sampled. " + _ONE_FILE,
        options={"numeric": []},
    ),
    _known("MovielensLatest (reczoo)", "label user_id item_id tag_id", "It has no time. " + _ONE_FILE),
    _known(
        "Avazu", " ".join(column.name for column in AVAZU.columns),
        "The source 'avazu' reads it. " + _AVAZU,
        source="avazu",
        never={"id": "the number of the row"},
    ),
    _known(
        "Avazu", "id click hour C1 banner_pos site_id app_id device_id device_ip device_model C14", _AVAZU,
        never={"id": "the number of the row"},
    ),
    _known(
        "Criteo (with a header)", " ".join(("label", *NUMERIC, "C1", "C2", "C26")),
        "I1 to I13 are counts, C1 to C26 ids; there is no user and no time. The source 'criteo' reads the file as "
        "published (train.txt, parted by tabs, without a header), with the counts as buckets.",
        options={"numeric": list(NUMERIC)},
    ),
    _known(
        "EB-NeRD behaviors", "impression_id article_ids_inview article_ids_clicked",
        "Its rows hold lists of articles in view and of those clicked: the source 'ebnerd' makes a row of each in view,"
        " with the histories of history.parquet; take the folder that holds train and validation for the published "
        "parts.",
        source="ebnerd",
        never={
            "article_id": "the page that is open (null: the front page), not the target; an input with context=page",
            "session_id": "an id of a few rows",
        }
        | dict.fromkeys(("read_time", "scroll_percentage"), "of the page that is open, known only after")
        | dict.fromkeys(("next_read_time", "next_scroll_percentage"), "of the click, known only after"),
    ),
    _known(
        "EB-NeRD articles", "article_id category_str published_time total_pageviews",
        "It describes articles and holds no label: the source 'ebnerd' reads it with the folders train and validation.",
        source="ebnerd",
    ),
    _known(
        "EB-NeRD histories", "user_id impression_time_fixed article_id_fixed",
        "It holds a row a user and no label: the source 'ebnerd' reads it beside behaviors.parquet.", source="ebnerd",
    ),
    _known(
        "Amazon Reviews 2023", "user_id parent_asin rating timestamp",
        "The source 'amazon-reviews' reads it, with the published parts beside it. The timestamp is Unix time in "
        "milliseconds; rows are ratings, so a label made of stars says what was liked, not what was clicked.",
        source="amazon-reviews",
    ),
    _known(
        "Amazon Reviews 2023, as written by people", "user_id parent_asin rating timestamp title helpful_vote",
        "The timestamp is Unix time in milliseconds. Rows are ratings, so all items were bought or used: a label made "
        "of stars says what was liked, not what was clicked. A user may have reviewed a product more than once. title, "
        "text, helpful_vote and verified_purchase are known only after.",
        never=dict.fromkeys(("title", "text", "helpful_vote", "verified_purchase", "images"), "known only after"),
    ),
    _known(
        "MovieLens ratings.csv", "userId movieId rating timestamp",
        "The source 'movielens' reads the release with titles and genres; as a table it has neither.",
    ),
    _known(
        "Taobao's Ad Display/Click, raw_sample.csv", "user time_stamp adgroup_id pid nonclk clk",
        "nonclk is 1 - clk. The source 'taobao-ads' reads its folder with categories and profiles.",
        never={"nonclk": "1 - clk"},
    ),
    _known(
        "Tenrec", "user_id item_id click follow like share video_category watching_times",
        "follow, like, share and watching_times are known only after the click; it has no time, and hist_1 to "
        "hist_10 are "
        "one history in ten columns, which is not read.",
    ),
    _known(
        "Yambda", "uid item_id timestamp is_organic played_ratio_pct track_length_seconds",
        "The source 'yambda' reads it, with the official split. " + _YAMBDA,
        source="yambda",
        never={"played_ratio_pct": "known only after; the label is made of it"},
    ),
    _known("Yambda", "uid item_id timestamp is_organic played_ratio_pct", _YAMBDA),
    _known(
        "Criteo's attribution data", "timestamp uid campaign conversion attribution click cost cpo",
        "The timestamp is seconds since the first row: an order, no calendar. conversion, attribution, cpo and "
        "click_pos to conversion_id are known only after the row.",
        never={"attribution": "known only after the row", "cpo": "known only after the row"},
    ),
    _known(
        "iPinYou", "bidid timestamp ipinyouid useragent adexchange creative bidprice payprice",
        "The user is ipinyouid. payprice is known only after the auction, and only of what was won. Times are written "
        "as YYYYMMDDhhmmss and milliseconds, in Asia/Shanghai.",
        options={"timezone": "Asia/Shanghai"},
        never={"payprice": "known only after the auction", "bidid": "the number of the row"},
    ),
    _known(
        "Amazon Reviews 2018 or 2014", "overall reviewerID asin unixReviewTime",
        "Rows are ratings, so all items were bought or used: a label made of stars says what was liked, not what was "
        "clicked. reviewText, summary, vote, helpful, verified, image and style are of the review, known only after.",
        never=dict.fromkeys(
            ("reviewText", "summary", "vote", "helpful", "verified", "image", "style"), "known only after"
        ) | {"reviewerName": "the name of the user", "reviewTime": "the day of unixReviewTime"},
    ),
    _known(
        "Yelp's reviews", "review_id user_id business_id stars useful funny cool",
        "Rows are ratings: a label made of stars says what was liked, not what was clicked. What the review says and "
        "the votes on it (useful, funny, cool) are known only after.",
        never={"text": "known only after, of the review", "review_id": "the number of the row"},
    ),
    _known(
        "Steam's recommendations", "app_id user_id is_recommended hours",
        "Rows are reviews: is_recommended says what was liked, not what was clicked. hours, funny and helpful are of "
        "the review, known only after.",
        never={"hours": "known only after", "review_id": "the number of the row"},
    ),
    _known(
        "KuaiRec", "user_id video_id play_duration video_duration time date timestamp watch_ratio",
        "watch_ratio is play_duration / video_duration, known only after: the label is made of it, here of videos that "
        "were watched through twice, which its README has as an example. The time is timestamp, Unix time in seconds; "
        "time and date are the same in Asia/Shanghai, and all three are empty in some rows. big_matrix.csv is a log; "
        "in small_matrix.csv users were shown all of its videos.",
        options={"label": "watch_ratio", "positive_from": 2, "timezone": "Asia/Shanghai"},
        never={"play_duration": "known only after; the label is made of it"}
        | dict.fromkeys(("time", "date"), "the same as timestamp"),
    ),
    _known("KKBox", "msno song_id source_system_tab source_type target", "target is the label; it has no time."),
    _known(
        "Tmall user log", "user_id item_id cat_id seller_id brand_id time_stamp action_type",
        "time_stamp is MMDD, a day without its year: an order. action_type is 0 click, 1 cart, 2 purchase, 3 "
        "favourite: no "
        "row was merely shown, so set positive_values to what shall be positive.",
    ),
    _known(
        "MIND impressions", "impression_id user_id time history impressions",
        "As published (behaviors.tsv) it is parted by tabs and has no header: write it so. " + _MIND, refused=True,
    ),
)  # fmt: skip


def by_header(names: Sequence[str], native: bool = True) -> Known | None:
    """The published file with these columns; the one that most of its columns tell. Not `native`: of those that the
    source `table` reads."""
    held = set(names)
    found = [known for known in KNOWN if known.columns <= held and (native or known.source == "table")]
    return max(found, key=lambda known: len(known.columns), default=None)


def by_shape(record: list[str], delimiter: str) -> Known | None:
    """The published file without a header whose first line is `record`."""
    values = [value.strip() for value in record]

    def match(*patterns: str) -> bool:
        return len(values) == len(patterns) and all(map(re.fullmatch, patterns, values))

    number = r"-?\d+"
    if re.fullmatch(r"\S+( +\d+(:\d+)?:[-+.\deE]+){2,} *", delimiter.join(record)):
        return Known(
            "LIBSVM or LIBFFM text", "It cannot be prepared as it is: each value stands behind the number of its field "
            "(3:0.961). Write a column for each field, with a header.", refused=True,
        )  # fmt: skip
    if match(number, number, number, "pv|buy|cart|fav", number):
        return Known("Taobao's UserBehavior.csv", "The source 'user-behavior' reads it.", source="user-behavior")
    hexadecimal = len(values) == 40 and re.fullmatch("([0-9a-f]{8})?", values[20])
    if hexadecimal and delimiter == "\t" and values[0] in ("0", "1"):
        return Known("Criteo's train.txt", "The source 'criteo' reads it.", source="criteo")
    parts = [part for part in values if part] if delimiter == ":" else values  # of '::'
    numbers = len(parts) == 4 and all(re.fullmatch(number, part) for part in parts)
    if numbers and delimiter in ("\t", ":") and parts[2] in "12345" and len(parts[3]) in (9, 10):
        note = "The source 'movielens' reads the folder it is in."
        return Known("MovieLens ratings", note, source="movielens")
    if len(values) == 5 and re.fullmatch(MOMENT, values[2]):
        if re.search(r"-[01]( |$)", values[4]):
            return Known("MIND behaviors.tsv", _MIND, source="mind")
        return Known(
            "MIND behaviors.tsv, of the published test part", "Its lists have no labels, so it can be no part of a "
            "data set: prepare the training and dev parts with the source 'mind', and predict this one.", refused=True,
        )  # fmt: skip
    if len(values) == 8 and re.fullmatch(r"N\d+", values[0]):
        return Known("MIND news.tsv", "The source 'mind' reads it beside behaviors.tsv.", source="mind")
    if "\x02" in values[-1] and "\x03" in values[-1] and len(values) in (3, 6):
        note = "The source 'ali-ccp' reads the folder: impressions, and the users' features that they name by an index."
        return Known("Ali-CCP", note, source="ali-ccp")
    return None
