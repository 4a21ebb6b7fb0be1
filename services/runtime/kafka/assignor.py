"""A sticky assignor of one consumer's own, which spreads each topic by itself."""

from collections.abc import Callable, Mapping
from typing import Any

from aiokafka.coordinator.assignors.sticky.sticky_assignor import (
    StickyAssignmentExecutor,
    StickyAssignorMemberMetadataV1,
    StickyPartitionAssignor,
)
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment


def sticky(generation: Callable[[], int]) -> type:
    """An assignor class. aiokafka's own keeps its state in the class, where two consumers mix their claims, and never
    learns generations, without which a returning member's old claims weigh as much as new ones.

    It also counts the partitions of all topics together, so one member may get all of a busy topic and another all of
    an idle one: here each topic is spread over all members that subscribe to it.

    One assignor only, under aiokafka's name: with two, aiokafka 0.14 sends a JoinGroup for each, and the members of a
    group interrupt each other for ever.
    """

    class Sticky(StickyPartitionAssignor):  # type: ignore[misc]
        @classmethod
        def on_assignment(cls, assignment: Any) -> None:
            super().on_assignment(assignment)
            cls.generation = generation()

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

    return Sticky


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
