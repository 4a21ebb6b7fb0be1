"""The assignor: every topic is spread over the members that subscribe to it, and partitions stay where they are."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.runtime.kafka.assignor import sticky

Shares = Mapping[str, Mapping[str, Sequence[int]]]
"""By member and topic."""


class Cluster:
    """As much of aiokafka's cluster metadata as an assignor asks for."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self._partitions = partitions

    def topics(self) -> set[str]:
        return set(self._partitions)

    def partitions_for_topic(self, topic: str) -> set[int]:
        return set(range(self._partitions[topic]))


class Member:
    """A consumer of a group, with what it was assigned last."""

    def __init__(self, topics: Sequence[str]) -> None:
        self.topics = topics
        self.assignor: Any = sticky(lambda: self.generation)
        self.generation = 0


def rebalance(members: Mapping[str, Member], partitions: Mapping[str, int]) -> Shares:
    metadata = {name: member.assignor.metadata(member.topics) for name, member in members.items()}
    leader = next(iter(members.values()))
    assigned = leader.assignor.assign(Cluster(partitions), metadata)
    for name, member in members.items():
        member.generation += 1
        member.assignor.on_assignment(assigned[name])
    return {name: dict(each.assignment) for name, each in assigned.items()}


def owners(shares: Shares, topic: str) -> dict[int, str]:
    return {number: name for name, share in shares.items() for number in share.get(topic, ())}


PARTITIONS = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.integers(1, 12), min_size=1)


@given(partitions=PARTITIONS, count=st.integers(1, 6), data=st.data())
def test_each_topic_is_spread_over_its_subscribers(partitions: dict[str, int], count: int, data: st.DataObject) -> None:
    some = st.lists(st.sampled_from(sorted(partitions)), min_size=1, unique=True)
    members = {str(number): Member(data.draw(some)) for number in range(count)}
    for _ in range(2):
        shares = rebalance(members, partitions)
        for topic, size in partitions.items():
            subscribers = [name for name, member in members.items() if topic in member.topics]
            if subscribers:
                assert sorted(owners(shares, topic)) == list(range(size))
                counts = [len(shares[name].get(topic, ())) for name in subscribers]
                assert max(counts) - min(counts) <= 1


@given(partitions=PARTITIONS, count=st.integers(1, 5))
def test_a_member_that_joins_takes_no_more_than_its_share(partitions: dict[str, int], count: int) -> None:
    members = {str(number): Member(sorted(partitions)) for number in range(count)}
    before = rebalance(members, partitions)
    after = rebalance({**members, "new": Member(sorted(partitions))}, partitions)
    for topic in partitions:
        was, now = owners(before, topic), owners(after, topic)
        assert all(now[number] in (was[number], "new") for number in was)


def test_a_topic_that_some_do_not_read_takes_no_other_topic_from_those_who_do() -> None:
    """All partitions in one count would give `newer` every one of case-undecided, and no question."""
    members = {"older": Member(["question-admitted"]), "newer": Member(["case-undecided", "question-admitted"])}
    shares = rebalance(members, {"question-admitted": 4, "case-undecided": 4})
    assert [len(shares[name]["question-admitted"]) for name in members] == [2, 2]
