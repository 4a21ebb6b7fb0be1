"""Lanes: which topic belongs to which, and whose turn it is."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.topics import LANES, Lane, both_lanes, in_lane, lane_of, stage_topic, topics
from services.core.lanes import Turns

SHARES = st.sampled_from([0.5, 0.25, 0.2, 0.1, 0.05])


@given(st.sampled_from(sorted(topics())), st.sampled_from(LANES))
def test_every_topic_has_one_lane_and_one_stage(topic: str, lane: Lane) -> None:
    stage = stage_topic(topic)
    assert in_lane(stage, lane_of(topic)) == topic
    assert in_lane(in_lane(stage, lane), lane) == in_lane(stage, lane) in topics()
    assert in_lane(stage, "live") == stage
    assert set(both_lanes(stage)) >= {stage, topic}


def test_a_backfill_topic_is_like_the_live_one() -> None:
    for name, topic in topics().items():
        other = topics()[stage_topic(name)]
        same = {"name": name, "description": topic.description, "lanes": topic.lanes}
        assert topic == other.model_copy(update=same)


def test_what_a_queue_of_questions_holds_has_lanes() -> None:
    """What services read and answer one by one; what only taps and the exporter read has one topic."""
    queues = {name for name, topic in topics().items() if topic.message in ("submission", "case")}
    assert {stage_topic(name) for name in topics() if lane_of(name) == "backfill"} == {
        name for name in queues if lane_of(name) == "live" and set(topics()[name].read_by) != {"taps"}
    }


@given(share=SHARES, asked=st.lists(st.sets(st.sampled_from(LANES), min_size=1), max_size=200))
def test_a_lane_that_waits_alone_has_every_turn_and_both_have_their_share(share: float, asked: list[set[Lane]]) -> None:
    turns, every = Turns(share), round(1 / share)
    since = {"live": 0, "backfill": 0}
    for waiting in asked:
        lane = next(each for each in (turns.first(), *LANES) if each in waiting)
        turns.took(lane)
        for each in LANES:
            since[each] = 0 if each == lane or each not in waiting else since[each] + 1
        assert since["backfill"] < every, "backfill starves"
        assert since["live"] <= 1, "live waits for more than one turn of backfill's"


@given(share=SHARES, lives=st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_backfill_has_its_share_however_often_a_process_begins_again(share: float, lives: list[int]) -> None:
    taken: list[Lane] = []
    for turns_of_a_process in lives:
        turns = Turns(share)
        for _ in range(turns_of_a_process):
            taken.append(turns.first())
            turns.took(taken[-1])
    assert taken.count("backfill") >= int(len(taken) * share)
