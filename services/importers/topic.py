"""Submits a topic of the user: each message is a row of JSON."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from services.core.errors import BrokerAway
from services.core.messages import ConsumedRecord, OutgoingRecord, Sink, TopicPartition
from services.importers import quality
from services.importers.files import Observer, Result
from services.importers.formats import Asked, of_stream
from services.importers.readers.shape import Shape
from services.importers.rejects import Rejects
from services.importers.rows import Flag, Parse, Refused, Rejected, Row, message
from services.importers.submit import BATCH, Counts, Stop, retry_while_away, submit
from services.runtime.engine.commit_rule import Committed
from services.runtime.engine.source import Source

POLL_S = 0.5
"""Seconds that a poll waits for messages, the longest delay of Ctrl-C."""


def group(topic: str) -> str:
    """The consumer group whose offsets are the position in the topic."""
    return f"reasonmed-submit-{topic}"


async def take_topic(  # noqa: C901 -- its nested steps share the member and the counts
    topic: str,
    source: Source,
    asked: Asked,
    sink: Sink,
    rejects: Rejects,
    *,
    observer: Observer,
    stop: Stop,
    follow: bool,
) -> Result:
    """Submit the messages after the group's offsets: up to the end, or, with `follow`, until `stop`. Offsets of a batch
    are committed when Kafka has confirmed all its records. After a crash or rebalance a batch may be repeated:
    questions keep their ids, rejected rows are listed again. With `follow`, retries while a broker is away. Raises
    BrokerAway."""
    member = _Member()
    counts, parse, name = Counts(), None, None

    def flagged(flag: Flag) -> None:
        counts.flagged += 1
        observer.flagged(flag)

    async def fetched() -> Sequence[ConsumedRecord] | None:
        """None at the end."""
        messages = await source.poll(member.ours, limit=BATCH, timeout_s=POLL_S)
        if messages or follow or not member.settled:
            return messages
        return messages if any((await source.lag()).values()) else None

    async def committed(messages: Sequence[ConsumedRecord]) -> None:
        try:
            await source.commit(_ends(messages))
        except BrokerAway as away:  # the next commit covers this one
            if not follow:
                raise
            observer.warned(str(away))

    try:
        await source.start(member)
        while not stop:
            messages = await (retry_while_away(fetched, stop, observer.warned) if follow else fetched())
            if messages is None:
                break
            if not messages:
                continue
            term = member.term
            if parse is None:
                how = of_stream(topic, asked, Shape("jsonl"), list(_rows(messages)))
                parse, name = how.parse, how.name
                observer.opened(topic, name, 0)
            rows = _submissions(messages, parse, asked, flagged)
            got = await submit(rows, sink, on_rejected=rejects.take)
            rejects.flush()
            counts.submitted += got.submitted
            counts.rejected += got.rejected
            observer.progress(None, counts)
            if term == member.term:  # else another member has the partitions, or they are read again
                await committed(messages)
    except Refused as refused:
        observer.warned(f"{topic}: {refused}")
        return Result(topic, "refused", why=str(refused))
    finally:
        await source.stop()
    return Result(
        topic,
        "stopped" if stop and not follow else "done",
        format=name,
        submitted=counts.submitted,
        rejected=counts.rejected,
        flagged=counts.flagged,
        rejected_file=str(rejects.path) if counts.rejected else None,
    )


class _Member:
    """Whether this member has partitions, and since which rebalance."""

    def __init__(self) -> None:
        self.ours: frozenset[TopicPartition] = frozenset()
        self.term = 0
        self.settled = False

    def assigned(self, partitions: Mapping[TopicPartition, Committed | None]) -> None:
        self.ours, self.settled = frozenset(partitions), True
        self.term += 1

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        self.ours, self.settled = frozenset(), False
        self.term += 1


def _rows(messages: Sequence[ConsumedRecord]) -> Iterator[Row]:
    for one in messages:
        if value := (one.value or b"").strip():
            yield Row(f"{one.partition}/{one.offset}", value)


def _submissions(
    messages: Sequence[ConsumedRecord], parse: Parse, asked: Asked, flagged: Callable[[Flag], None]
) -> Iterator[OutgoingRecord | Rejected]:
    return (
        message(row, parse, asked.recipe_id, lane=asked.lane, check=quality.check, flagged=flagged)
        for row in _rows(messages)
    )


def _ends(messages: Sequence[ConsumedRecord]) -> dict[TopicPartition, Committed]:
    return {TopicPartition(one.topic, one.partition): Committed(one.offset + 1) for one in messages}
