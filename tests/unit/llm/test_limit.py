"""The policies, by properties."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.llm.limit import BACKOFF_FIRST_S, BACKOFF_MOST_S, Circuit, Limit

EVENTS = st.lists(st.tuples(st.sampled_from(["worked", "idle", "strained"]), st.floats(0.01, 10), st.floats(0, 20)))


@given(st.integers(1, 300), EVENTS)
def test_a_limit_stays_between_one_and_its_maximum(maximum, events):
    limit, now = Limit.starting(maximum), 0.0
    for kind, passed, ago in events:
        now += passed
        before = limit.current
        if kind == "strained":
            limit = limit.strained(now, sent_at=now - ago, under_way=before)
            assert limit.current <= before
        else:
            limit = limit.worked(used_up=kind == "worked")
            assert limit.current - before in (0, 1)
        assert 1 <= limit.current <= maximum


def test_it_grows_by_one_a_window_of_successes_while_it_is_used_up():
    limit = Limit(maximum=10, current=4)
    for _ in range(3):
        limit = limit.worked(used_up=True)
    assert limit.current == 4
    assert limit.worked(used_up=False).current == 4
    limit = limit.worked(used_up=True)
    assert limit.current == 5
    for _ in range(5):
        limit = limit.worked(used_up=True)
    assert limit.current == 6


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_flight_of_failures_counts_once(maximum, flight):
    limit = Limit.starting(maximum)
    for number in range(flight):
        limit = limit.strained(10.0 + number, sent_at=5.0, under_way=maximum)
    assert limit.current == max(1, maximum // 2)


def test_the_cut_is_of_what_was_under_way():
    assert Limit.starting(256).strained(1.0, sent_at=0.0, under_way=24).current == 12


def test_there_is_always_a_permit():
    with pytest.raises(ValueError, match="at least 1"):
        Limit.starting(0)


def refused(circuit: Circuit, now: float, *, sent_at: float, retry_after=None, busy=False, jitter=1.0) -> Circuit:
    return circuit.refused(now, sent_at=sent_at, why="HTTP 503", retry_after=retry_after, busy=busy, jitter=jitter)


def test_the_back_off_doubles_up_to_five_seconds():
    circuit, now, waits = Circuit(), 100.0, []
    for _ in range(7):
        circuit = refused(circuit, now, sent_at=now)
        waits.append(circuit.until - now)
        now = circuit.until
        assert circuit.is_open(now), "until a probe has worked"
    assert waits == [0.5, 1, 2, 4, 5, 5, 5]
    assert circuit.since == 100.0
    assert circuit.worked(sent_at=now) == Circuit()


@given(st.floats(0, 1), st.integers(0, 30))
def test_jitter_keeps_the_back_off_between_half_of_it_and_all_of_it(jitter, failures):
    circuit = refused(Circuit(failures=failures), 0.0, sent_at=0.0, jitter=jitter)
    whole = min(BACKOFF_MOST_S, BACKOFF_FIRST_S * 2**failures)
    assert whole / 2 <= circuit.until <= whole


def test_what_was_sent_before_the_last_refusal_says_nothing_new():
    circuit = refused(Circuit(), 10.0, sent_at=1.0)
    assert refused(circuit, 10.1, sent_at=2.0) == circuit
    assert circuit.worked(sent_at=2.0) == circuit
    assert refused(circuit, 10.1, sent_at=2.0, retry_after=30.0).until == 40.1, "but a wish is obeyed"


def test_a_wish_longer_than_the_back_off_is_obeyed_and_a_shorter_one_changes_nothing():
    assert refused(Circuit(), 0.0, sent_at=0.0, retry_after=60.0).until == 60.0
    assert refused(Circuit(), 0.0, sent_at=0.0, retry_after=0.0).until == 0.5


def test_a_busy_server_needs_no_probe():
    circuit = refused(Circuit(), 0.0, sent_at=0.0, busy=True)
    assert circuit.is_open(0.4)
    assert not circuit.is_open(0.5)
    assert refused(circuit, 0.1, sent_at=0.0).probing, "unless it went away as well"
