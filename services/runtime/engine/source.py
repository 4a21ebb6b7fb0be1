"""Where records come from: the port. `KafkaSource` and `FaustSource` are the real ones, `MemorySource` is the fake; one
suite of laws holds for all three (tests/laws/test_source_laws.py)."""

from collections.abc import Collection, Mapping
from typing import Protocol

from services.core.messages import ConsumedRecord, TopicPartition
from services.runtime.engine.commit_rule import Committed


class Listener(Protocol):
    """Receives assignments. Rebalances are eager: each revokes every partition, then assigns a new set."""

    def assigned(self, partitions: Mapping[TopicPartition, Committed | None]) -> None:
        """These partitions belong to this member, each with the group's commit if there is one. Called before `poll`
        returns any of their records."""
        ...

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """These partitions are being revoked: the last moment to commit for them. The whole group waits for the
        return."""
        ...


class Source(Protocol):
    """A member of a consumer group. Only its user commits; a partition without a commit begins at the earliest
    record."""

    async def start(self, listener: Listener) -> None:
        """Connect and ask to join the group; an assignment comes with a later `poll`. Raises BrokerAway: nothing has
        been started then, and start may be called again."""
        ...

    async def poll(self, wanted: Collection[TopicPartition], *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        """Up to `limit` records of the wanted partitions, in order by partition; none after `timeout_s` seconds. No
        partition's backlog delays the others.

        A partition that is not wanted is paused; so no pause can be forgotten at a rebalance (rule 4). Call it again
        and again, also with nothing wanted: a member that does not poll is removed from the group. May wait as long as
        a rebalance takes; may be cancelled, and loses nothing by it. Raises BrokerAway; Stalled where no record will
        ever come again."""
        ...

    async def commit(self, commits: Mapping[TopicPartition, Committed]) -> bool:
        """Send one commit, under the generation in which the partitions were assigned; it is never retried here.
        False: the generation has ended, and nothing was committed. Raises BrokerAway: the effect is unknown."""
        ...

    async def lag(self) -> Mapping[TopicPartition, int]:
        """Offsets between our position and the end, by assigned partition. Asks the broker each time, so it also says
        whether the broker is reachable. Raises BrokerAway, also before `start`; Stalled where the client will never
        fetch, or belong to its group, again."""
        ...

    async def reachable(self) -> bool:
        """Whether a new connection reaches a broker now."""
        ...

    async def stop(self) -> None:
        """Leave the group and disconnect, within some seconds. Commits nothing. Harmless before start, and twice."""
        ...
