"""Live figures as a busy deployment's monitor would make them."""

from services.core.status.figures import (
    Agreement,
    Budget,
    Ends,
    Figures,
    RecordCost,
    Spared,
    Spent,
    TopicFigures,
)

_TOPICS = {  # open, ended, oldest, seen, a minute, lag
    "question-submitted": (14, 0, 2.0, 48_310, 212, {"router": 14}),
    "question-refused": (0, 1_204, None, 1_204, 6, {}),
    "question-admitted": (96, 0, 41.0, 46_992, 204, {"generator": 96}),
    "paths-generated": (311, 0, 187.0, 58_870, 251, {"verifier": 311}),
    "paths-verified": (3, 0, 0.4, 58_556, 249, {"router": 3}),
    "case-medium": (38, 0, 64.0, 9_120, 34, {"refiner-medium": 38}),
    "case-difficult": (21, 0, 122.0, 3_010, 13, {"refiner-difficult": 21}),
    "case-accepted": (27, 0, 9.0, 45_433, 196, {"summarizer": 27}),
    "case-rejected": (0, 962, None, 962, 4, {}),
    "record-completed": (0, 45_406, None, 88_204, 381, {"exporter": 640, "analytics": 88_204}),
}

_RECORDS = [  # difficulty, alias, records, USD a record
    ("easy", "qwen", 31_400, 0.0121),
    ("easy", "deepseek", 24_890, 0.0168),
    ("easy", "huatuo", 17_204, 0.0149),
    ("medium", "qwen", 11_020, 0.0233),
    ("difficult", "deepseek", 3_690, 0.0612),
]

_SPENT = [  # alias, stage, calls, tokens in, out, USD
    ("qwen", "generate", 140_976, 48_900_000, 71_200_000, 402.18),
    ("deepseek", "generate", 140_970, 48_900_000, 118_400_000, 611.90),
    ("huatuo", "generate", 140_971, 49_000_000, 84_600_000, 437.02),
    ("qwen", "verify", 449_120, 404_000_000, 31_000_000, 268.44),
    ("qwen", "score", 301_200, 277_000_000, 12_100_000, 151.70),
    ("qwen", "refine", 18_240, 26_100_000, 10_900_000, 44.35),
    ("deepseek", "reason", 6_020, 9_000_000, 14_800_000, 81.26),
    ("qwen", "summarize", 88_230, 61_000_000, 9_900_000, 39.61),
]


_SPARED = [  # by, stage, calls, USD
    ("sampling", "generate", 116_300, 399.12),
    ("judging", "verify", 24_100, 14.22),
    ("judging", "score", 90_410, 45.30),
    ("remembered", "generate", 9_270, 32.06),
]

_AGREEMENT = [  # alias, gold stated and judged, of these in error, other stated and judged, of these correct
    ("qwen", 98_200, 3_110, 9_840, 212),
    ("deepseek", 104_720, 2_206, 7_020, 97),
    ("huatuo", 91_003, 4_480, 11_370, 318),
]


def figures(at: float, *, pulse: float = 1.0, **changes: object) -> Figures:
    """At this moment, with rates `pulse` times as high; and these fields else."""
    topics = [
        TopicFigures(
            topic=name, open=n, ended=ended, oldest_s=oldest, seen=seen, per_minute=round(rate * pulse**power), lag=lag
        )
        for power, (name, (n, ended, oldest, seen, rate, lag)) in enumerate(_TOPICS.items(), start=-4)
    ]
    found = Figures(
        at=at,
        behind_s=0.2,
        topics=tuple(topics),
        open=sum(topic.open for topic in topics),
        ends=Ends(accepted=45_406, rejected=962, dead=17, refused=1_204),
        routes={"easy": 35_870, "medium": 9_120, "difficult": 1_748},
        refused={"near_duplicate": 1_118, "evaluation_set": 86},
        records=tuple(
            RecordCost(difficulty=route, alias=alias, records=n, usd=n * usd, tokens_in=n * 4_100, tokens_out=n * 900)
            for route, alias, n, usd in _RECORDS
        ),
        spent=tuple(
            Spent(alias=a, stage=s, calls=n, tokens_in=r, tokens_cached=int(r * 0.62), tokens_out=w, usd=usd)
            for a, s, n, r, w, usd in _SPENT
        ),
        spared=tuple(Spared(by=by, stage=stage, calls=n, usd=usd) for by, stage, n, usd in _SPARED),
        agreement=tuple(
            Agreement(alias=alias, gold=gold, gold_in_error=in_error, other=other, other_correct=correct)
            for alias, gold, in_error, other, correct in _AGREEMENT
        ),
        tokens_per_s=4_218 * pulse,
        calls_under_way={"generator": 96, "verifier": 128, "refiner": 24, "summarizer": 12},
        dead_letters={"verifier-dead": 14, "generator-dead": 3, "router-dead": 0},
        duplicates=214,
        budget=Budget(usd=5_000, reserved_usd=31.2, stopped=False),
    )
    return found.model_copy(update=changes)


def nothing(at: float) -> Figures:
    """Before the first question."""
    topics = tuple(TopicFigures(topic=name, open=0, seen=0, per_minute=0) for name in _TOPICS)
    return Figures(at=at, behind_s=0, topics=topics, open=0, ends=Ends(), routes={}, records=())
