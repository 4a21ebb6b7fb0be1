"""The schedule of faults is a function of its seed, and gives each kind its share."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.controller import injector
from tests.chaos.questions import questions
from tests.chaos.schedule import THREE_BROKERS, Kind, schedule

SEEDS = st.integers(min_value=0, max_value=2**32)
FAULTS = st.integers(min_value=0, max_value=300)


@given(seed=SEEDS, faults=FAULTS, brokers=st.sampled_from((1, 3)))
def test_the_same_seed_gives_the_same_faults(seed: int, faults: int, brokers: int) -> None:
    assert schedule(seed, faults, brokers=brokers) == schedule(seed, faults, brokers=brokers)


@given(seed=SEEDS, faults=FAULTS, brokers=st.sampled_from((1, 3)))
def test_each_kind_comes_as_often_as_any_other_give_or_take_one(seed: int, faults: int, brokers: int) -> None:
    counts = Counter(planned.kind for planned in schedule(seed, faults, brokers=brokers))
    possible = [kind for kind in Kind if brokers == 3 or kind not in THREE_BROKERS]
    assert sum(counts.values()) == faults
    assert max(counts[kind] for kind in possible) - min(counts[kind] for kind in possible) <= 1


def test_one_broker_never_loses_two() -> None:
    assert not THREE_BROKERS & {planned.kind for planned in schedule(1, 100, brokers=1)}


def test_the_seed_of_ci_hits_router_worker_ledger_model_one_broker_and_two() -> None:
    kinds = {planned.kind for planned in schedule(287209, 8, brokers=3)}
    assert kinds >= {Kind.KILL_ROUTER, Kind.PAUSE_WORKER, Kind.LEDGER_AWAY, Kind.LEADER_KILLED, Kind.TWO_KILLED}


def test_two_seeds_differ() -> None:
    assert schedule(1, 40, brokers=3) != schedule(2, 40, brokers=3)


def test_every_kind_can_be_brought_about() -> None:
    assert all(injector(kind).__doc__ for kind in Kind)


def test_questions_differ() -> None:
    asked = list(questions(6_000))
    assert len({question.question for question in asked}) == len(asked)
