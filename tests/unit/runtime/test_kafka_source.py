"""`KafkaSource` over aiokafka's own fetcher, without a broker: what was taken is never lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any

import aiokafka
import pytest
from aiokafka.consumer import fetcher as aiokafka_fetcher
from aiokafka.consumer.fetcher import Fetcher, FetchError, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import TopicAuthorizationFailedError
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy

from services.core.errors import BrokerAway
from services.core.messages import TopicPartition
from services.runtime.engine.commit_rule import Committed
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.membership import GroupTimes
from services.runtime.kafka.source import KafkaSource

ALL = [TopicPartition("in", number) for number in range(3)]
GZIP = 1
KEYS = [aiokafka.TopicPartition(*partition) for partition in ALL]


class Odd(str):
    """A header's name as no producer of ours writes it."""

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"\xff\xfez"


def batch(count: int, *, names: Mapping[int, str] = MappingProxyType({}), compression: int = 0) -> bytearray:
    """Records as they lie in a log, from offset 0 on; a header's name by offset."""
    builder = _DefaultRecordBatchBuilderPy(
        magic=2, compression_type=compression, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=0,
        batch_size=100_000,
    )  # fmt: skip
    for offset in range(count):
        builder.append(offset, 1, b"key", b"%d" % offset, [(names.get(offset, "name"), b"value")])
    return bytearray(builder.build())


def broken() -> bytearray:
    """A batch with a wrong checksum."""
    made = batch(2)
    made[-1] ^= 1
    return made


class Fetched:
    """aiokafka's consumer, from the fetcher's buffer on; a broker's answers are put into that by `arrives`."""

    def __init__(self) -> None:
        self.check_crcs = True
        self._subscription = SubscriptionState()
        self._subscription.subscribe({"in"})
        client: Any = SimpleNamespace(_loop=asyncio.get_running_loop(), _metadata_max_age_ms=1_000)
        self.fetcher = Fetcher(client, self._subscription, isolation_level="read_committed")
        self.fetcher._fetch_task.cancel()
        self._subscription.assign_from_subscribed(set(KEYS))
        for key in KEYS:
            self._subscription.seek(key, 0)

    async def getmany(self, *partitions: Any, timeout_ms: int, max_records: int) -> Any:
        return await self.fetcher.fetched_records(partitions, timeout_ms / 1_000, max_records=max_records)

    def arrives(self, **raw: bytearray | Exception) -> None:
        """One answer of the broker: a batch, or an error, by partition p0, p1, p2; from the position on."""
        assignment = self._subscription.subscription.assignment
        for name, content in raw.items():
            key = KEYS[int(name[1:])]
            if isinstance(content, Exception):
                self.fetcher._records[key] = FetchError(error=content, backoff=0)
                continue
            position = assignment.state_value(key).position
            records = PartitionRecords(
                key,
                aiokafka_fetcher.MemoryRecords(bytes(content)),
                [],
                position,
                None,
                None,
                self.check_crcs,
                self.fetcher._isolation_level,
            )
            self.fetcher._records[key] = FetchResult(key, assignment=assignment, partition_records=records, backoff=0)
        for waiter in self.fetcher._fetch_waiters:
            self.fetcher._notify(waiter)

    def position(self, number: int) -> int:
        return int(self._subscription.subscription.assignment.state_value(KEYS[number]).position)


@pytest.fixture
async def fetched() -> AsyncIterator[Fetched]:
    consumer = Fetched()
    yield consumer
    await asyncio.wait({consumer.fetcher._fetch_task})


def source_over(consumer: Any) -> KafkaSource:
    source = KafkaSource(KafkaClient(bootstrap="127.0.0.1:1"), topics=["in"], group="toys", times=GroupTimes())
    source._consumer = consumer
    return source


async def polls(source: KafkaSource, consumer: Fetched, contents: Callable[[], dict[str, Any]]) -> list[Any]:
    """What some polls bring, where the broker answers each time alike. Their error comes again and again."""
    taken, failed = [], 0
    for _ in range(6):
        buffered = consumer.fetcher._records
        consumer.arrives(**{name: it for name, it in contents().items() if KEYS[int(name[1:])] not in buffered})
        try:
            taken += await source.poll(ALL, limit=9, timeout_s=0)
        except BrokerAway:
            failed += 1
    assert failed, "it is not swallowed"
    return [(message.partition, message.offset) for message in taken]


@pytest.mark.parametrize("error", [broken, lambda: TopicAuthorizationFailedError("in")])
async def test_fetched_records_are_returned_before_an_error(fetched: Fetched, error: Callable[[], Any]) -> None:
    source = source_over(fetched)
    taken = await polls(source, fetched, lambda: {"p0": batch(4), "p1": error(), "p2": batch(4)})
    assert fetched.position(0) == fetched.position(2) == 4
    assert fetched.position(1) == 0
    assert sorted(taken) == [(partition, offset) for partition in (0, 2) for offset in range(4)]


async def test_records_that_arrive_during_a_poll_survive_an_error(fetched: Fetched) -> None:
    source = source_over(fetched)
    for _ in range(3):  # whichever partition's turn it is
        waiting = asyncio.create_task(source.poll(ALL, limit=9, timeout_s=5))
        await asyncio.sleep(0)
        before = [fetched.position(number) for number in range(3)]
        fetched.arrives(p0=batch(before[0] + 2), p1=broken(), p2=batch(before[2] + 2))
        taken = [(message.partition, message.offset) for message in await waiting]
        fetched.fetcher._records.clear()
        expected = [(number, offset) for number in (0, 2) for offset in range(before[number], fetched.position(number))]
        assert sorted(taken) == expected
        assert (0, before[0]) in taken


async def test_taking_never_waits_so_a_cancellation_loses_nothing(fetched: Fetched) -> None:
    """Also notices an aiokafka that would begin to wait in `getmany` without a time-out."""
    source = source_over(fetched)
    fetched.arrives(p0=batch(4), p1=batch(4), p2=batch(4))
    poll = source.poll(ALL, limit=9, timeout_s=5)
    with pytest.raises(StopIteration) as ended:
        poll.send(None)
    assert len(ended.value.value) == 9


async def test_one_poll_brings_what_arrives_while_it_waits(fetched: Fetched) -> None:
    source = source_over(fetched)
    waiting = asyncio.create_task(source.poll(ALL, limit=9, timeout_s=5))
    await asyncio.sleep(0)
    fetched.arrives(p0=batch(8), p1=batch(8), p2=batch(8))
    taken = await waiting
    assert len(taken) == 9
    for number in range(3):
        offsets = [message.offset for message in taken if message.partition == number]
        assert offsets == list(range(fetched.position(number)))


async def test_a_poll_without_messages_ends_in_time(fetched: Fetched) -> None:
    source, begun = source_over(fetched), time.monotonic()
    assert await source.poll(ALL, limit=9, timeout_s=0.02) == []
    assert await source.poll((), limit=1, timeout_s=0.02) == []
    assert time.monotonic() - begun > 0.03


@pytest.mark.parametrize("compression", [0, GZIP])
@pytest.mark.parametrize("odd", [0, 2])
async def test_a_header_name_that_is_no_utf_8_shows_its_odd_bytes(fetched: Fetched, odd: int, compression: int) -> None:
    source = source_over(fetched)
    fetched.arrives(p0=batch(4, names={odd: Odd()}, compression=compression))
    taken = await source.poll(ALL[:1], limit=1, timeout_s=0)
    taken += await source.poll(ALL[:1], limit=9, timeout_s=0)
    assert [(message.offset, message.value) for message in taken] == [(0, b"0"), (1, b"1"), (2, b"2"), (3, b"3")]
    names = [list(message.headers) for message in taken]
    assert names == [["\\xff\\xfez"] if offset == odd else ["name"] for offset in range(4)]
    assert all(list(message.headers.values()) == [b"value"] for message in taken)


# --- commits ---------------------------------------------------------------------------------------------------------


class Coordinator:
    """A broker whose coordinator has to be looked for first."""

    def __init__(self) -> None:
        self.generation = 1
        self.known = asyncio.Event()
        self.asked = asyncio.Event()
        self.committed: list[Any] = []

    async def ensure_coordinator_known(self) -> None:
        self.asked.set()
        await self.known.wait()

    async def _do_commit_offsets(self, assignment: Any, offsets: Any) -> None:
        self.committed.append((self.generation, offsets))


class Grouped:
    def __init__(self) -> None:
        self._coordinator = Coordinator()

    def pause(self, *partitions: Any) -> None:
        pass


async def test_a_commit_is_of_the_generation_in_which_it_was_asked_for() -> None:
    consumer = Grouped()
    source, coordinator = source_over(consumer), consumer._coordinator
    source._on_assigned(KEYS)
    sending = asyncio.create_task(source.commit({ALL[0]: Committed(5)}))
    await coordinator.asked.wait()
    await source._on_revoked()
    coordinator.generation = 2
    source._on_assigned(KEYS)
    coordinator.known.set()
    assert await sending is False
    assert not coordinator.committed
    assert await source.commit({ALL[0]: Committed(5)}) is True
    assert [generation for generation, _ in coordinator.committed] == [2]
