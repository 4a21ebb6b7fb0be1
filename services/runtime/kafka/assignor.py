"""How a group's partitions are shared: sticky, and each topic by itself."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyAssignmentExecutor,
    StickyAssignorMemberMetadataV1,
    StickyPartitionAssignor,
)
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment

from services.contracts.topics import CASE_UNDECIDED

ADDED = frozenset((CASE_UNDECIDED,))
"""Topics of groups whose members of version 1.1 do not read them."""


def sticky(generation: Callable[[], int]) -> tuple[type, type]:
    """The assignors of one consumer, the preferred one first; a group uses the first that all its members know.

    aiokafka's own keeps its state in the class, where two consumers mix their claims, and never learns generations,
    without which a returning member's old claims weigh as much as new ones. It also counts the partitions of all topics
    together, so one member may get all of a busy topic and another all of an idle one. `ByTopic` spreads each topic
    over all members. While a member of version 1.1 is in the group, which counts together, the newer ones claim only
    the topics that it reads; the others wait until it is gone.
    """

    class Sticky(StickyPartitionAssignor):  # type: ignore[misc]
        @classmethod
        def on_assignment(cls, assignment: Any) -> None:
            Sticky.member_assignment = assignment.partitions()  # of both assignors
            Sticky.generation = generation()

    class ByTopic(Sticky):
        name = "sticky-by-topic"

        @classmethod
        def assign(cls, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
            claims = {member: cls.parse_member_metadata(metadata) for member, metadata in members.items()}
            found: dict[str, list[tuple[str, list[int]]]] = {member: [] for member in members}
            for topic in sorted({topic for claim in claims.values() for topic in claim.subscription}):
                executor = StickyAssignmentExecutor(cluster, _of_topic(claims, topic))
                executor.perform_initial_assignment()
                executor.balance()
                for member in members:
                    if topic in claims[member].subscription:
                        found[member] += executor.get_final_assignment(member)
            return {
                member: ConsumerProtocolMemberAssignment(cls.version, sorted(assigned), b"")
                for member, assigned in found.items()
            }

    class Together(Sticky):
        @classmethod
        def metadata(cls, topics: Iterable[str]) -> Any:
            return super().metadata([topic for topic in topics if topic not in ADDED])

    return ByTopic, Together


def _of_topic(claims: Mapping[str, Any], topic: str) -> dict[str, Any]:
    return {
        member: StickyAssignorMemberMetadataV1(
            partitions=[partition for partition in claim.partitions if partition.topic == topic],
            generation=claim.generation,
            subscription=[topic],
        )
        for member, claim in claims.items()
        if topic in claim.subscription
    }
