"""Where messages come from: the port. `KafkaSource` (kafka_source.py) is the real one, `MemorySource` (fake.py) its
fake."""

from collections.abc import Collection, Mapping
from typing import NamedTuple, Protocol

from services.core.messages import ConsumedRecord
from services.runtime.engine.window import Committed


class TopicPartition(NamedTuple):
    """One partition of a topic."""

    topic: str
    partition: int


class Listener(Protocol):
    """Who is told of assignments. Rebalances are eager: each takes every partition first, then hands out anew."""

    def assigned(self, partitions: Mapping[TopicPartition, Committed | None]) -> None:
        """These are ours from now on, each with the group's commit if there is one. Called before any message of
        theirs is returned by `poll`."""
        ...

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """These are being taken: the last moment to commit for them. The whole group waits for the return."""
        ...


class Source(Protocol):
    """A member of a consumer group. Commits are its user's alone; an assignment without a commit begins at the
    earliest message."""

    async def start(self, listener: Listener) -> None:
        """Connect and ask to join the group; an assignment comes with a later `poll`. Raises BrokerAway: nothing has
        been started then, and start may be called again."""
        ...

    async def poll(self, wanted: Collection[TopicPartition], *, limit: int, timeout_s: float) -> list[ConsumedRecord]:
        """Up to `limit` messages of the wanted partitions, in order by partition; none after `timeout_s` seconds. No
        partition's backlog keeps others waiting.

        To pause a partition is not to want it: so no pause can be forgotten at a rebalance (rule 4). To be called again
        and again, also with nothing wanted: who doesn't poll is put out of the group. May wait as long as a rebalance
        takes; may be cancelled, and loses nothing by it. Raises BrokerAway."""
        ...

    async def commit(self, commits: Mapping[TopicPartition, Committed]) -> bool:
        """Send one commit, under the generation in which the partitions were assigned; never again by itself. False:
        the generation has ended, and nothing was committed. Raises BrokerAway: nothing is known of the effect."""
        ...

    async def lag(self) -> Mapping[TopicPartition, int]:
        """How many offsets lie between our position and the end, by assigned partition. Asks the broker each time, so
        it says as well whether that is reachable. Raises BrokerAway, also before `start`; Stalled where the client
        will never fetch, or belong to its group, again."""
        ...

    async def reachable(self) -> bool:
        """Whether a new connection, not ours, reaches a broker now."""
        ...

    async def stop(self) -> None:
        """Leave the group and disconnect, within some seconds. Commits nothing. Harmless before start, and twice."""
        ...
