"""Words in the names of columns, and what a column that is named so usually is."""

from __future__ import annotations


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


# The likeliest first.
LABELS = _words(
    "label click clicked clk isclick isclicked target y ctr ctrlabel conversion converted cvr "
    "purchase purchased buy bought order like liked 点击 标签 クリック ラベル"
)
RATINGS = _words("rating ratings star stars score overall 评分 評価")
ACTIONS = _words(
    "behavior behaviour behaviortype behaviourtype action actiontype event eventtype btag interaction type"
)
USERS = _words(
    "user userid uid users customer customerid visitor visitorid member memberid reviewer reviewerid account buyer "
    "client "
    "ipinyouid "
    "msno uuid person reader viewer consumer session sessionid device deviceid cookie 用户 用户id ユーザー ユーザ 顧客"
)
ITEMS = _words(
    "item itemid iid items ad adid ads adgroup adgroupid movie movieid product productid sku article articleid news "
    "newsid "
    "video videoid goods goodsid creative creativeid asin parentasin song songid track trackid music book bookid app "
    "appid "
    "photo photoid feed feedid poi restaurant hotel game listing post postid content contentid doc document note "
    "noteid "
    "offer recipe anime podcast episode business businessid venue venueid place placeid "
    "shop shopid store storeid merchant merchantid "
    "商品 商品id 物品 物品id 广告 動画 记事 記事"
)
CATEGORIES = _words(
    "category categoryid cate cateid cat catid genre genres topic categorycode "
    "videocategory 类别 品类 カテゴリ カテゴリー"
)
TIMES = _words(
    "timestamp time timems ts datetime eventtime impressiontime requesttime showtime viewtime createdat date when "
    "hour day "
    "clicktime timestamps 时间 時間 日時 时间戳 日期 日付"
)

TIME_TOKENS = frozenset(
    _words(
        "time timestamp timestamps ts datetime date dt when at moment epoch unixtime hour hourmin minute timems "
        "stamp day "
        "createdat 时间 日期 時間 日時 日付 時刻 时间戳"
    )
)
PARTS = frozenset(_words("split part fold set subset partition phase"))
PAST = frozenset(
    _words(
        "his hist history histories seq seqs sequence sequences list lists past prev previous recent clicked bought "
        "viewed "
        "watched last behavior behaviors behaviour behaviours 历史 履歴"
    )
)
HISTORY_OF_NOTHING = PAST | frozenset(_words("click clicks buy pos positive s"))
NEGATIVE = frozenset(_words("neg negative negatives unclicked unclick skipped disliked noclick nonclick"))
IMPRESSIONS = frozenset(_words("impressions impression inview shown exposed candidates slate"))
AMOUNTS = frozenset(
    _words(
        "price amount cost count num cnt number duration length score ratio rate age position rank size weight width "
        "height value total avg mean sum pct percent percentage distance days hours seconds"
    )
)
ID_WORDS = frozenset(
    _words("id ids code type no key hash level group bucket bin class index idx cluster segment zip tag")
)
AFTER = frozenset(
    _words(
        "click clicks clicked clk nonclk play plays played playing watch watched watching dwell stay read readtime "
        "next "
        "future purchase purchases purchased buy bought pay paid payment order ordered like likes liked dislike "
        "disliked "
        "hate comment comments commented follow followed follows share shared shares forward forwarded fav favorite "
        "favourite favorited collect collected cart addtocart conversion conversions converted finish finished "
        "complete "
        "completed completion skip skipped longview effective enter exit leave gmv revenue reward feedback reaction "
        "response outcome subscribe subscribed install installed download downloaded scroll rating ratings stars "
        "review "
        "helpful engagement after bounce bounced playtime useful funny cool vote votes voted upvote upvotes downvotes "
        "summary "
        "attribution attributed ctcvr ctcvrlabel cpo cpa payprice winprice winningprice refund refunded "
        "returned "
        "点赞 购买 转化 播放"
    )
)
"""What people do once they see the row's item, and what they write of it or pay for it."""
PREDICTED = frozenset(
    _words("pred preds predicted prediction predictions pctr pcvr pctcvr ectr ecvr propensity logit logits yhat prob")
)
"""What a model said of the row: it may have learned from the row's own label."""
STATES = frozenset(
    _words(
        "weekend holiday weekday workday new vip male female mobile member premium student live video author streamer "
        "lowactive active adult free organic"
    )
)
"""What may follow `is` without being an outcome."""
STANDS_FOR = {
    "positive": frozenset(
        _words(
            "yes y true t positive pos "
            "buy purchase transaction cart addtocart fav favorite order click clicked like conversion paid pay collect"
        )
    ),
    "negative": frozenset(
        _words(
            "no n false f negative neg nonclick notclicked notclick unclicked "
            "pv view views impression show shown browse exposure none ipv noclick "
            "ignored ignore skipped skip dismissed missed unread notopened nothing noaction"
        )
    ),
}
NOT_IN_A_NAME = frozenset(_words("id ids idx no key code encoded hashed raw anon is has was if 编号 号 番号"))
