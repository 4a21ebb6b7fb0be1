"""The law of limits, by properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.limit import FLOOR_SHARE, Limit

EVENTS = st.lists(st.tuples(st.sampled_from(["worked", "idle", "refused", "timed out"]), st.floats(0.01, 10)))


def flight(limit: Limit, now: float, *, refused: int = 0, timed_out: int = 0) -> Limit:
    """A whole flight with the limit used up."""
    size = limit.size
    for _ in range(refused):
        limit = limit.refuse(now, in_flight=limit.current)
    for _ in range(timed_out):
        limit = limit.time_out(now, sent_at=now - 1)
    for _ in range(size - refused - timed_out):
        limit = limit.worked(now, in_flight=limit.current)
    return limit


@given(st.integers(1, 300), EVENTS)
def test_a_limit_stays_between_one_and_its_maximum(maximum, events):
    limit, now = Limit.starting(maximum), 0.0
    for kind, passed in events:
        now += passed
        before = limit.current
        match kind:
            case "worked":
                limit = limit.worked(now, in_flight=before)
            case "idle":
                limit = limit.worked(now, in_flight=0)
                assert limit.current <= before or before < limit.good
            case "refused":
                limit = limit.refuse(now, in_flight=before)
            case "timed out":
                limit = limit.time_out(now, sent_at=now - passed)
        assert 1 <= limit.current <= maximum
        assert 1 <= limit.good <= maximum
        assert limit.ended < limit.size


@given(st.integers(1, 2_000), st.data())
def test_a_few_slow_calls_lower_nothing(maximum, data):
    few = data.draw(st.integers(0, maximum // 20))
    limit = flight(flight(Limit.starting(maximum), 1.0), 2.0, timed_out=few)
    assert limit.current == maximum


@given(st.integers(20, 2_000), st.floats(0.06, 1.0))
def test_a_spoilt_flight_lowers_it_by_the_share_that_timed_out(maximum, share):
    late = max(round(share * maximum), maximum // 20 + 1)
    limit = flight(Limit.starting(maximum), 1.0, timed_out=late)
    assert limit.current == max(maximum // FLOOR_SHARE, 1, round(maximum * (1 - late / maximum)))


@given(st.integers(1, 2_000), st.integers(1, 30), st.floats(0.06, 1.0))
def test_after_any_number_of_spoilt_flights_it_is_back_after_five(maximum, spoilt, share):
    limit = flight(Limit.starting(maximum), 0.0)
    for number in range(spoilt):
        refused = max(1, round(share * limit.size))
        limit = flight(limit, 1.0 + number, refused=refused)
    for number in range(5):
        limit = flight(limit, 100.0 + number)
    assert limit.current >= 0.9 * maximum


def test_a_refusal_lowers_it_to_what_is_in_flight_beside_it():
    assert Limit.starting(256).refuse(1.0, in_flight=78).current == 77


def test_a_level_that_fails_again_is_good_no_more():
    limit = flight(Limit.starting(256), 0.0)
    limit = flight(limit, 1.0, refused=200)
    low = limit.current
    limit = flight(limit, 2.0)
    assert limit.current == (low + 256 + 1) // 2
    limit = flight(limit, 3.0, refused=limit.size // 2)
    assert limit.good == low


def test_beyond_the_last_good_level_it_probes_in_growing_steps():
    limit, seen = Limit(maximum=100, current=20, good=20, size=20), []
    for number in range(7):
        limit = flight(limit, float(number))
        seen.append(limit.current)
    assert seen == [21, 23, 27, 35, 51, 83, 100]


def test_an_idle_server_teaches_nothing():
    limit = Limit(maximum=100, current=20, good=100, size=20)
    for _ in range(100):
        limit = limit.worked(1.0, in_flight=5)
    assert limit.current == 20


def test_time_outs_of_one_flight_count_once():
    limit = Limit.starting(64)
    for _ in range(200):
        limit = limit.time_out(10.0, sent_at=5.0)
    assert limit.current == 4
    assert limit.good == 64


def test_time_outs_at_the_floor_give_the_last_good_level_up():
    limit, now = Limit.starting(64), 0.0
    while limit.current > 1:
        now += 10
        limit = flight(limit, now, timed_out=limit.size)
    assert now < 100


def test_there_is_always_a_permit():
    with pytest.raises(ValueError, match="at least 1"):
        Limit.starting(0)
