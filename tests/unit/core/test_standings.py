"""Standings: what was seen of a case comes to the same, however it was read."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.base import CaseId, WorkId
from services.contracts.topics import (
    CASE_ACCEPTED,
    CASE_MEDIUM,
    PATHS_GENERATED,
    PATHS_VERIFIED,
    QUESTION_ADMITTED,
    QUESTION_REFUSED,
    QUESTION_SUBMITTED,
    RECORD_COMPLETED,
)
from services.core.status.case_status import CaseEvent, CaseHistory, CaseStatus, Delta
from services.ledger.encoding import case_status as seen
from tests.sightings import BEGUN_MS, case_event, record, sightings

CASE_1 = CaseId("case-1")


def whole(*found: CaseEvent) -> CaseStatus:
    """The one standing that these come to."""
    (standing,) = CaseHistory(CASE_1).with_(found)[0].statuses()
    return standing


def one_by_one(batches: list[list[CaseEvent]]) -> tuple[CaseHistory, Counter[seen.Count]]:
    case, sums = CaseHistory(CASE_1), Counter[seen.Count]()
    for batch in batches:
        case, delta = case.with_(batch)
        sums.update(seen.counts(delta, BEGUN_MS))
    return case, Counter({count: n for count, n in sums.items() if n})


@given(st.lists(sightings(), max_size=12), st.data())
def test_any_order_any_repetition_and_any_split_come_to_the_same(found: list[CaseEvent], data: st.DataObject) -> None:
    # A position holds one message: it never has two different ones.
    found = list({each.position: each for each in found}.values())
    again = data.draw(st.permutations(found + (data.draw(st.lists(st.sampled_from(found))) if found else [])))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(again)), max_size=4)))
    batches = [again[a:b] for a, b in zip([0, *cuts], [*cuts, len(again)], strict=True)]
    case, sums = one_by_one(batches)
    at_once, sums_at_once = one_by_one([found])
    assert case.events == at_once.events
    assert case.statuses() == at_once.statuses()
    assert sums == sums_at_once
    assert all(n > 0 for n in sums.values())
    assert sum(n for (kind, *_), n in sums.items() if kind == "standing") == len(case.statuses())
    assert sum(n for (kind, *_), n in sums.items() if kind == "seen") == len(case.events)


@given(st.lists(sightings(), max_size=8))
def test_known_events_change_nothing_and_are_read_back(found: list[CaseEvent]) -> None:
    case, _ = CaseHistory(CASE_1).with_(found)
    again, delta = case.with_(found)
    assert again == case
    assert seen.counts(delta, BEGUN_MS) == {}
    assert seen.decode(CASE_1, seen.encode(case)) == case


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_case_is_accepted_with_the_last_of_its_records_in_any_order(order: tuple[int, int]) -> None:
    refined = case_event(CASE_ACCEPTED, round=1, difficulty="medium")
    first, last = (record(index) for index in order)
    assert whole(refined).end is None
    half = whole(refined, first)
    assert (half.topic, half.end, half.records) == (RECORD_COMPLETED, None, 1)
    assert (whole(refined, first, last).end, whole(refined, first, last).records) == ("accepted", 2)
    assert whole(last, first, refined) == whole(refined, first, last)


def test_a_record_that_the_exporter_gave_up_ends_nothing() -> None:
    aside = case_event("exporter-dead", index=0, life=0)
    assert whole(record(0), record(1), aside).end == "accepted"
    assert whole(record(0), aside).topic == RECORD_COMPLETED
    assert whole(aside).topic == "exporter-dead"


def test_a_redriven_case_is_open_again_and_its_new_life_counts_alone() -> None:
    dead = case_event("generator-dead")
    assert whole(case_event(QUESTION_ADMITTED), dead).end == "dead"
    reopened = whole(dead, case_event(QUESTION_ADMITTED, life=1))
    assert (reopened.end, reopened.life, reopened.topic) == (None, 1, QUESTION_ADMITTED)
    assert whole(record(0), record(0, life=1)).records == 1


def test_a_round_s_verified_paths_come_after_the_round_s_generated_ones_and_after_all_earlier_rounds() -> None:
    way = [
        case_event(PATHS_GENERATED),
        case_event(PATHS_VERIFIED),
        case_event(CASE_MEDIUM, difficulty="medium"),
        case_event(PATHS_GENERATED, round=1, difficulty="medium"),
        case_event(PATHS_VERIFIED, round=1, difficulty="medium"),
    ]
    for count in range(1, len(way) + 1):
        case, _ = CaseHistory(CASE_1).with_(reversed(way[:count]))
        assert (case.statuses()[0].topic, case.statuses()[0].round) == (way[count - 1].topic, way[count - 1].round)
        assert case.timeline(WorkId("work-1")) == way[:count]


def test_a_question_is_its_own_standing_until_there_is_a_case_whenever_it_is_seen() -> None:
    question = case_event(QUESTION_SUBMITTED, "", written_ms=BEGUN_MS - 5_000)
    assert whole(question).work_id == ""
    assert whole(question, case_event(QUESTION_REFUSED, "")).end == "refused"
    case = whole(case_event(QUESTION_ADMITTED), question)
    assert (case.work_id, case.begun_ms) == ("work-1", BEGUN_MS - 5_000)


def test_a_case_moves_from_bucket_to_bucket_and_is_in_one() -> None:
    case, _ = CaseHistory(CASE_1).with_([case_event(QUESTION_SUBMITTED, "")])
    case, delta = case.with_([case_event(QUESTION_ADMITTED)])
    assert +delta.standing == Counter({(QUESTION_ADMITTED, ""): 1})
    assert -delta.standing == Counter({(QUESTION_SUBMITTED, ""): 1})
    _, delta = case.with_([case_event(QUESTION_ADMITTED, "work-2")])
    assert +delta.standing == Counter({(QUESTION_ADMITTED, ""): 1})


def test_a_record_that_was_written_twice_is_paid_and_counted_once() -> None:
    case, first = CaseHistory(CASE_1).with_([record(0, offset=7)])
    assert first.records == {
        ("easy", "qwen", "n"): 1,
        ("easy", "qwen", "nano_usd"): 250_000_000,
        ("easy", "qwen", "prompt"): 100,
        ("easy", "qwen", "completion"): 10,
    }
    _, again = case.with_([replace(record(0, offset=9), written_ms=BEGUN_MS + 60_000)])
    assert seen.counts(again, BEGUN_MS) == seen.counts(Delta(), BEGUN_MS) == {}


def test_a_case_is_forgotten_only_when_all_its_works_ended_long_ago() -> None:
    ended, _ = CaseHistory(CASE_1).with_([record(0, of=1)])
    assert ended.ended_before(BEGUN_MS + 1)
    assert not ended.ended_before(BEGUN_MS)
    more, _ = ended.with_([case_event(QUESTION_ADMITTED, "work-2")])
    assert not more.ended_before(BEGUN_MS + 1)
