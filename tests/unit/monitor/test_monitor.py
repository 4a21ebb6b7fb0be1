"""The monitor in memory: from bytes to sightings, what is passed over, what is settled, and the figures."""

import orjson
import pytest

from services.contracts.case import Spared, Usage, Verdict
from services.contracts.codec import encode
from services.contracts.dead import DEAD_LETTER_HEADER, DeadLetter
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_REJECTED,
    PATHS_VERIFIED,
    QUESTION_REFUSED,
    QUESTION_SUBMITTED,
    RECORD_COMPLETED,
)
from services.core.ledger.spending import Spending
from services.core.messages import ConsumedRecord
from services.core.status.figures import Figures
from services.ledger.memory.ledger import memory_ledger
from services.ledger.memory.server import MemoryServer
from services.ledger.memory.status import MemoryStatusStore
from services.monitor.events import FOLLOWED, Unreadable, case_event
from services.monitor.figures import FiguresInputs, TokenRate, build_figures, by_service
from services.monitor.handler import CaseRecorder
from services.monitor.metrics import FiguresMetrics
from services.monitor.publisher import FiguresPublisher, OwnInputs
from services.protogen.examples import examples
from services.runtime.engine.metrics import registry
from services.runtime.kafka.admin import LagWatch
from services.runtime.kafka.client import KafkaClient
from tests.examples import CASE, RECORD, REFUSED

NOW_MS = 1_800_000_000_000


def message(topic: str, value: bytes, offset: int = 0, headers: dict[str, bytes] | None = None) -> ConsumedRecord:
    key = orjson.loads(value)["case_id"].encode()
    return ConsumedRecord(topic, 0, offset, key, value, headers or {}, timestamp_ms=NOW_MS)


def dead(service: str, of: str, value: bytes) -> ConsumedRecord:
    reason = DeadLetter(service=service, kind="defect", error="broke", attempts=1, topic=of, partition=0, offset=3)
    return message(f"{service}-dead", value, headers={DEAD_LETTER_HEADER: encode(reason)})


def test_a_case_tells_where_it_is_and_how_its_paths_stand() -> None:
    seen = case_event(message(PATHS_VERIFIED, encode(CASE)))
    assert (seen.case_id, seen.work_id, seen.recipe_id) == (CASE.case_id, CASE.work_id, CASE.recipe_id)
    assert (seen.round, seen.difficulty, seen.end) == (CASE.rounds, CASE.difficulty, None)
    assert seen.title == CASE.question.question[:120]
    standings = [path.standing for path in CASE.paths]
    assert dict(seen.paths) == {standing: standings.count(standing) for standing in standings}


def test_a_record_tells_its_cost_and_its_share_of_the_usage() -> None:
    seen = case_event(message(RECORD_COMPLETED, encode(RECORD)))
    assert (seen.index, seen.of, seen.difficulty) == (RECORD.index, RECORD.of, RECORD.difficulty)
    assert seen.cost is not None
    assert seen.cost.alias == RECORD.alias
    assert seen.cost.usd == pytest.approx(sum(RECORD.cost.values()))
    assert seen.cost.prompt == sum(usage.prompt for usage in RECORD.usage.values()) // RECORD.of
    assert seen.cost.completion == sum(usage.completion for usage in RECORD.usage.values()) // RECORD.of


def test_ends_have_a_reason_and_a_dead_record_is_not_an_end() -> None:
    rejected = case_event(message(CASE_REJECTED, encode(CASE.with_(rejected="no way"))))
    assert (rejected.end, rejected.why) == ("rejected", "no way")
    refused = case_event(message(QUESTION_REFUSED, encode(REFUSED)))
    assert (refused.end, refused.work_id) == ("refused", "")
    assert refused.why.startswith("evaluation_set: exam_test.jsonl 0017")
    of_case = case_event(dead("verifier", "paths-generated", encode(CASE)))
    assert (of_case.end, of_case.work_id, of_case.why) == ("dead", CASE.work_id, "defect: broke")
    question = case_event(dead("router", QUESTION_SUBMITTED, encode(examples()["submission"])))
    assert (question.end, question.work_id) == ("dead", "")
    of_record = case_event(dead("exporter", RECORD_COMPLETED, encode(RECORD)))
    assert (of_record.end, of_record.of, of_record.cost) == (None, 0, None)


@pytest.mark.parametrize(
    "bad",
    [
        ConsumedRecord(PATHS_VERIFIED, 0, 0, b"k", b"not JSON", {}),
        ConsumedRecord(PATHS_VERIFIED, 0, 0, b"k", None, {}),
        ConsumedRecord(PATHS_VERIFIED, 0, 0, b"k", b"[]", {}),
        ConsumedRecord(PATHS_VERIFIED, 0, 0, None, encode(CASE), {}),
        message(PATHS_VERIFIED, encode(CASE.with_(version="2.0"))),
        message(PATHS_VERIFIED, encode(examples()["submission"])),
        message("router-dead", encode(CASE)),
    ],
    ids=["no JSON", "nothing", "no object", "no key", "newer", "another kind", "no reason"],
)
async def test_records_without_an_event_are_skipped_and_counted(bad: ConsumedRecord) -> None:
    with pytest.raises(Unreadable):
        case_event(bad)
    noting = CaseRecorder(MemoryStatusStore(), Settled())
    assert await noting(bad) == []
    assert (noting.seen.messages, noting.seen.unreadable) == (1, 1)


def test_every_topic_of_cases_is_followed_but_its_own_dead_letters() -> None:
    assert "generator-dead" in FOLLOWED
    assert "monitor-dead" not in FOLLOWED
    assert "recipes" not in FOLLOWED


class Settled:
    def __init__(self) -> None:
        self.ended: list[tuple[str, int]] = []

    async def __call__(self, work_id: str, life: int) -> None:
        self.ended.append((work_id, life))


async def test_a_work_is_settled_at_its_end_and_with_the_last_of_its_records() -> None:
    settled = Settled()
    noting = CaseRecorder(MemoryStatusStore(), settled, clock=lambda: NOW_MS / 1000 + 3)
    first, second = (RECORD.with_(index=index, of=2) for index in range(2))
    await noting(message(CASE_ACCEPTED, encode(CASE)))
    await noting(message(RECORD_COMPLETED, encode(second)))
    assert settled.ended == []
    await noting(message(RECORD_COMPLETED, encode(first), offset=1))
    assert settled.ended == [(RECORD.work_id, RECORD.life)]
    await noting(dead("verifier", "paths-generated", encode(CASE.with_(life=4))))
    assert settled.ended[1:] == [(CASE.work_id, 4)]
    assert noting.seen.behind_s == 3


async def test_figures_are_published_and_go_on_while_the_ledger_and_kafka_are_away() -> None:
    statuses, server, at = MemoryStatusStore(lambda: NOW_MS / 1000), MemoryServer(), [NOW_MS / 1000]
    ledger = memory_ledger(server)
    noting = CaseRecorder(statuses, Settled(), clock=lambda: at[0])
    looking = FiguresPublisher(
        statuses,
        circuits=ledger.circuits,
        budgets=ledger.budgets,
        books=ledger.books,
        reports=ledger.reports,
        lags=LagWatch(KafkaClient(bootstrap="127.0.0.1:1")),
        own=OwnInputs(seen=noting.seen, recipe=lambda: None),
        clock=lambda: at[0],
    )
    await ledger.circuits.set("router", "a burst")
    await noting(message(CASE_ACCEPTED, encode(CASE)))
    await looking.once()
    server.away = "gone"
    at[0] += 5
    await noting(message(RECORD_COMPLETED, encode(RECORD.with_(index=0, of=1))))
    await looking.once()
    said = Figures.model_validate_json(await statuses.published() or b"")
    assert said == looking.figures
    assert (said.at, said.open, said.ends.accepted) == (at[0], 0, 1)
    assert said.circuits == {"router": "a burst"}
    assert {each.topic: each.seen for each in said.topics if each.seen} == {CASE_ACCEPTED: 1, RECORD_COMPLETED: 1}
    exported = registry(FiguresMetrics(noting.seen, lambda: looking.figures))
    assert exported.get_sample_value("reasonmed_stream_cases_ended", {"end": "accepted"}) == 1
    kind = {"difficulty": RECORD.difficulty, "alias": RECORD.alias}
    assert exported.get_sample_value("reasonmed_stream_records_total", kind) == 1
    statuses.away = "gone"
    await looking.once()


async def test_a_case_that_has_ended_says_what_it_did_not_need_and_how_judge_and_answer_agree() -> None:
    first, second, *rest = (path for path in CASE.paths if path.alias == "qwen")
    gold, other = CASE.question.answer, "A"
    wrong = Verdict(outcome="error", reason="No.", by="stated_answer", judged="correct", stated=other)
    right = Verdict(outcome="correct", reason="Yes.", by="judge", judged="correct", stated=gold)
    unread = Verdict(outcome="unjudged", reason="", by="failure", stated=gold)
    paths = (first.with_(verdict=wrong), second.with_(verdict=right), *(each.with_(verdict=unread) for each in rest))
    spared = (Spared(by="sampling", stage="generate", calls=3, usd=0.5),)
    statuses = MemoryStatusStore(lambda: NOW_MS / 1000)
    recorder = CaseRecorder(statuses, Settled())
    await recorder(message(PATHS_VERIFIED, encode(CASE.with_(paths=paths, spared=spared))))
    await recorder(message(CASE_ACCEPTED, encode(CASE.with_(paths=paths, spared=spared)), offset=1))
    remembered = [Spending(alias, "verify", 2, Usage(), 250_000_000) for alias in ("qwen", "other")]
    inputs, tally = FiguresInputs(remembered=remembered), await statuses.tally(NOW_MS)
    said = build_figures(NOW_MS / 1000, behind_s=0, tally=tally, inputs=inputs, tokens_per_s=0)
    assert [each.model_dump() for each in said.spared] == [
        {"by": "sampling", "stage": "generate", "calls": 3, "usd": 0.5},
        {"by": "remembered", "stage": "verify", "calls": 4, "usd": 0.5},
    ]
    (agreement,) = said.agreement
    assert agreement.model_dump() == {"alias": "qwen", "gold": 1, "gold_in_error": 0, "other": 1, "other_correct": 1}
    exported = registry(FiguresMetrics(recorder.seen, lambda: said))
    names = {"alias": "qwen", "stated": "other", "judged": "correct"}
    assert exported.get_sample_value("reasonmed_stream_judged_paths_total", names) == 1
    assert (
        exported.get_sample_value("reasonmed_stream_spared_calls_total", {"by": "remembered", "stage": "verify"}) == 4
    )


async def test_an_open_topic_says_how_long_its_oldest_is_there() -> None:
    statuses = MemoryStatusStore(lambda: NOW_MS / 1000)
    await CaseRecorder(statuses, Settled())(message(CASE_ACCEPTED, encode(CASE)))
    tally = await statuses.tally(NOW_MS)
    looked = FiguresInputs(lag={CASE_ACCEPTED: {"summarizer": 4}}, messages={"router-dead": 2, CASE_ACCEPTED: 1})
    said = build_figures(NOW_MS / 1000 + 9, behind_s=0.5, tally=tally, inputs=looked, tokens_per_s=1)
    (topic,) = (each for each in said.topics if each.topic == CASE_ACCEPTED)
    assert (topic.open, topic.oldest_s, topic.per_minute, topic.lag) == (1, 9.0, 1, {"summarizer": 4})
    assert said.dead_letters == {"router-dead": 2}
    assert said.budget is None


def test_tokens_a_second_are_those_of_the_last_minute() -> None:
    rate = TokenRate()
    looks = [(0.0, 100), (10.0, 300), (100.0, 300), (110.0, 500)]
    said = [rate.per_s(at, [Spending("a", "generate", 1, Usage(completion=count), 0)]) for at, count in looks]
    assert said == [0.0, 20.0, 0.0, 20.0]


def test_leases_are_put_down_to_services() -> None:
    owners = {"pod-a-generator-12-abcd": 2, "host-generator-3-ef01": 1, "x-refiner-1-00": 4, "odd": 1}
    assert by_service(owners) == {"generator": 3, "odd": 1, "refiner": 4}
