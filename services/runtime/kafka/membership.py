"""What a consumer group's member asks of its AIOKafkaConsumer, in the consumer's own event loop. Both sources use it.

Uses these private parts of aiokafka 0.14.0 (pinned; tests/unit/runtime/test_edges.py and test_kafka_source.py notice a
change): the coordinator's `generation`, `fetch_committed_offsets` (the public `committed` drops the metadata) and
`_do_commit_offsets`: one request. The public `commit` retries for ever, and each retry goes out under the generation
of that moment, for partitions that may belong to another member by then (rule 5).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import aiokafka
import structlog
from aiokafka.errors import (
    IllegalGenerationError,
    OffsetMetadataTooLargeError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from services.core.messages import TopicPartition
from services.runtime.engine.commit_rule import Committed

log = structlog.get_logger(__name__)

NOTHING = aiokafka.TopicPartition("", 0)
"""A partition that no member has: polling for it takes nothing, and keeps the member in its group."""
ENDED = (UnknownMemberIdError, IllegalGenerationError, RebalanceInProgressError)
"""The broker's answers to a commit of a generation that has ended, or is ending."""


@dataclass(frozen=True, kw_only=True)
class GroupTimes:
    """A group's time-outs, in seconds. Heartbeats share the event loop, so a session must outlast its delays."""

    session_s: float = 30.0
    """Without a heartbeat for so long, a member is dead, and its partitions go to others."""
    rebalance_s: float = 30.0
    """How long a rebalance waits for a member: far longer than our callback, which commits once."""
    poll_s: float = 300.0
    """Without a poll for so long, a member leaves. The engine polls twice a second."""
    answer_s: float = 5.0
    """A request that the engine waits for: an offset commit, committed offsets, end offsets."""

    @property
    def heartbeat_s(self) -> float:
        """A tenth of the session, so that nine may be lost; also how soon a member learns of a rebalance."""
        return self.session_s / 10

    @property
    def request_s(self) -> float:
        """Any request: longer than a rebalance, at whose end only the broker answers a join; and than a session."""
        return max(self.rebalance_s, self.session_s) + 10


def keys(partitions: Collection[TopicPartition]) -> list[Any]:
    """aiokafka's own partitions."""
    return [aiokafka.TopicPartition(*partition) for partition in partitions]


async def committed(consumer: Any, partitions: Collection[TopicPartition]) -> dict[TopicPartition, Committed | None]:
    """The group's commit of each partition, with its metadata; None where there is none."""
    found = await consumer._coordinator.fetch_committed_offsets(keys(partitions))
    commits = {TopicPartition(*key): Committed(value.offset, value.metadata) for key, value in found.items()}
    return {partition: commits.get(partition) for partition in partitions}


async def commit(
    consumer: Any, commits: Mapping[TopicPartition, Committed], *, generation: int, current: Callable[[], int | None]
) -> bool:
    """Send one commit, if the group is still in this generation; `current` is the member's own view of it. False: the
    generation has ended, and nothing was committed."""
    try:
        return await _commit(consumer, commits, generation, current)
    except OffsetMetadataTooLargeError:
        log.warning("the broker accepts less metadata than 4,096 characters: a restart will repeat more")
        bare = {partition: Committed(due.offset) for partition, due in commits.items()}
        return await _commit(consumer, bare, generation, current)


async def _commit(
    consumer: Any, commits: Mapping[TopicPartition, Committed], generation: int, current: Callable[[], int | None]
) -> bool:
    coordinator = consumer._coordinator
    await coordinator.ensure_coordinator_known()
    # From this check to the request being built nothing is awaited: it goes out under this generation.
    if not generation == current() == int(coordinator.generation):
        return False
    offsets = {
        aiokafka.TopicPartition(*partition): aiokafka.OffsetAndMetadata(due.offset, due.metadata)
        for partition, due in commits.items()
    }
    try:
        await coordinator._do_commit_offsets(None, offsets)
    except ENDED:
        return False
    return True
