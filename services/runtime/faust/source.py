"""A Faust app for what is quick and in order: built and run so that it loses nothing.

No tables (their recovery loses messages), one message at a time and topic, acknowledged by hand once its outputs are
confirmed by the system's own producer, small buffers, quick commits, no exception ever leaves an agent, no offset left
out. A message's way is the engine's: `RecordProcessor`, with its attempts, dead letters and circuit.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import faust
import structlog

from services.contracts.dead import DeadKind
from services.core.errors import BrokerAway, Draining
from services.core.holds import Holds
from services.core.ledger.ports import Attempts
from services.core.messages import ConsumedRecord, Sink
from services.runtime.engine.circuit import Circuit, CircuitPolicy
from services.runtime.engine.gate import Gate
from services.runtime.engine.limits import Limits
from services.runtime.engine.processor import Handle, RecordProcessor
from services.runtime.engine.retry import RetryPolicy
from services.runtime.engine.source import TopicPartition
from services.runtime.engine.stall import Stalled
from services.runtime.engine.stats import EngineStats
from services.runtime.engine.watchdog import Health
from services.runtime.faust.in_order import Places
from services.runtime.faust.watch import FaustWatch
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.reachable import reachable
from services.runtime.kafka.skipped import between

log = structlog.get_logger(__name__)

LOOK_S = 1.0
"""Between two looks of the watch, in seconds."""
ASK_S = 65.0
"""That aiokafka itself tries for an answer, and a little more."""
LEAVE_S = 15.0
"""For the last commit and the group, in seconds: a broker that is away doesn't keep the process."""


class InOrder:
    """Runs a Faust app whose topics are carried one message at a time each. `stats` may be read at any time.

    Faust's word for what comes next is not taken: a partition's messages are carried offset by offset from its commit
    on, and what Faust skips is read once more (in_order.py). So an acknowledgement never covers what was not carried.
    """

    def __init__(
        self,
        app: faust.App,
        *,
        client: KafkaClient,
        service: str,
        owner: str,
        handlers: Mapping[str, Handle],
        sink: Sink,
        attempts: Attempts,
        holds: Holds,
        dead_topic: str,
        limits: Limits | None = None,
        policy: CircuitPolicy | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`app`: faust_client.build's. `handlers` by topic."""
        self.stats = EngineStats()
        self._app = app
        self._client = client
        self._holds = holds
        self._limits = limits or Limits()
        self._patience = RetryPolicy(holds=holds, stats=self.stats, longest_s=self._limits.away_s)
        self._circuit = Circuit(service, attempts=attempts, policy=policy or CircuitPolicy(look_s=LOOK_S), clock=clock)
        self._places = Places()
        self._watched = FaustWatch(
            app, client=client, topics=list(handlers), places=self._places, limits=self._limits, clock=clock
        )
        self._idle = asyncio.Event()
        self._idle.set()
        self._looked = asyncio.Condition()
        self._started = asyncio.Event()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gate = Gate()
        for topic, handle in handlers.items():
            carrier = RecordProcessor(
                service=service,
                owner=owner,
                handle=handle,
                sink=sink,
                attempts=attempts,
                holds=holds,
                dead_topic=dead_topic,
                limits=self._limits,
                stats=self.stats,
                gate=gate,
                patience=self._patience,
            )
            raw = app.topic(topic, key_serializer="raw", value_serializer="raw")
            app.agent(raw, name=topic, concurrency=1)(self._agent(carrier))

    def health(self) -> Health:
        """As the engine's (rules 10 and 11)."""
        overdue = [f"{held.what}: {held.state} for too long" for held in self._holds.overdue()]
        reasons = {
            "draining": self.stats.draining,
            "no assignment": not self._watched.joined,
            "the broker doesn't answer": not self._watched.reachable,
            "the ledger has not been asked for the circuit yet": not self._circuit.known,
            f"the circuit is open: {self._circuit.why}": self._circuit.why is not None,
        }
        unready = [reason for reason, holds in reasons.items() if holds]
        return Health(live=not overdue, ready=not (overdue or unready), why=overdue + unready)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop`; then finish the messages at hand, commit, leave the group. Waits for a broker or ledger
        that is away, at the start too. Raises Stalled."""
        crashed = asyncio.create_task(self._live())
        stopping = asyncio.create_task(stop.wait())
        watching = asyncio.create_task(self._watch())
        tasks: list[asyncio.Future[Any]] = [crashed, stopping, watching, self._failed]
        try:
            ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            self.stats.draining = True
            if stopping in ended:
                await self._at_rest()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._watched.aclose()
            await self._leave()
        for task in ended:
            if task is not stopping:
                task.result()
                raise Stalled("the Faust app ended by itself")

    async def _live(self) -> None:
        """Join the group once the broker is there; until the app ends by itself."""
        await self._patience.retry_while_away("joining the group", self._there)
        with self._holds.hold("joining the group", "away", for_s=ASK_S):
            await self._app.start()
        self._started.set()
        await self._app.wait_until_stopped()

    async def _there(self) -> None:
        if not await reachable(self._client):  # Faust would crash, and aiokafka would log each try
            raise BrokerAway("Kafka: no answer")

    async def _at_rest(self) -> None:
        """Wait for the messages at hand, up to the deadline: one that waits for the ledger is left unacknowledged."""
        try:
            async with asyncio.timeout(self._limits.drain_s):
                await self._idle.wait()
        except TimeoutError:
            log.warning("left unfinished at the deadline", messages=self.stats.under_way)

    async def _leave(self) -> None:
        try:
            async with asyncio.timeout(LEAVE_S):
                await self._app.stop()
        except TimeoutError:
            log.warning("left without a word: the broker did not answer")

    def _agent(self, carrier: RecordProcessor) -> Callable[[Any], Any]:
        async def agent(stream: Any) -> None:
            try:
                async for event in stream.noack().events():
                    await self._take(carrier, event)
            except Exception as error:  # it must not leave the agent: Faust would acknowledge the message
                log.exception("agent failed")
                if not self._failed.done():
                    self._failed.set_exception(error)
                await asyncio.Event().wait()

        return agent

    async def _take(self, carrier: RecordProcessor, event: Any) -> None:
        """Carry a message, and before it what Faust has skipped."""
        message, generation = _received(event.message), event.message.generation_id
        while skipped := await self._skipped(message, generation):
            for each in skipped:
                await self._carry(carrier, each, generation, lambda: None)
        await self._carry(carrier, message, generation, event.ack)

    async def _skipped(self, message: ConsumedRecord, generation: int) -> list[ConsumedRecord]:
        """The next of what lies between the partition's place and the message; none where that is all or another's."""
        if generation != self._app.consumer_generation_id:
            return []
        partition = TopicPartition(message.topic, message.partition)
        place = self._places.of(partition, generation)
        if place is None:
            begin = await self._patience.retry_while_away("first offset", lambda: self._first(partition, message))
            place = self._places.begin(partition, generation, begin)
        begin = place.next
        if message.offset <= begin:
            return []
        what = f"{partition.topic}/{partition.partition} from {begin}"
        log.warning("offsets were skipped: reading them again", what=what, to=message.offset)
        return await self._patience.retry_while_away(
            what, lambda: between(self._client, partition, begin, message.offset)
        )

    async def _first(self, partition: TopicPartition, message: ConsumedRecord) -> int:
        """Where a partition that has just been assigned begins: at its commit, else at its earliest message."""
        consumer: Any = self._app.consumer
        if committed := consumer._committed_offset.get(partition):
            return int(committed)
        if message.offset == 0:
            return 0
        try:
            with self._holds.hold(f"the first offset of {partition}", "away", for_s=ASK_S):
                return int((await consumer.earliest_offsets(partition))[partition])
        except Exception as error:  # aiokafka's, through Faust's thread
            raise BrokerAway(f"Kafka: {type(error).__name__}: {error}") from error

    async def _carry(
        self, carrier: RecordProcessor, message: ConsumedRecord, generation: int, ack: Callable[[], object]
    ) -> None:
        probe = await self._admitted()
        partition = TopicPartition(message.topic, message.partition)
        if generation != self._app.consumer_generation_id:  # handed out anew while it waited: it comes again
            return
        place = self._places.of(partition, generation)
        if place is not None and message.offset < place.next:
            return

        def finish(kind: DeadKind | None) -> None:
            if generation == self._app.consumer_generation_id and self._places.finished(
                partition, generation, message.offset
            ):
                ack()
            self._count(kind, probe)

        self._idle.clear()
        self.stats.under_way += 1
        left = False
        try:
            await carrier.carry(message, finish)
        except Draining:
            left = True
        finally:
            self.stats.under_way -= 1
            if not self.stats.under_way:
                self._idle.set()
        if left:  # returning would take the next one, and leaving the agent acknowledge this one
            await asyncio.Event().wait()

    async def _admitted(self) -> bool:
        """Wait until a message may be taken; whether it is the open circuit's probe."""
        async with self._looked:
            await self._looked.wait_for(self._may_take)
        self.stats.taken += 1
        if self._circuit.why is None:
            return False
        self._circuit.probe_begins()
        return True

    def _may_take(self) -> bool:
        if self.stats.draining or not self._circuit.known:
            return False
        return self._circuit.why is None or self._circuit.probe_due()

    def _count(self, kind: DeadKind | None, probe: bool) -> None:
        self.stats.finished += 1
        if kind is not None:
            self.stats.dead[kind] += 1
            self._circuit.dead()
        elif probe:
            self._circuit.probe_succeeded()

    async def _watch(self) -> None:
        """Ask the ledger for the circuit; notice a client that stands still (rule 10). Raises Stalled."""
        await self._started.wait()
        while True:
            await self._patience.retry_while_away("circuit", self._circuit.look)
            self.stats.circuit_open = self._circuit.why is not None
            async with self._looked:
                self._looked.notify_all()
            waiting = self.stats.under_way > 0 or self._circuit.why is not None
            await self._watched.look(waiting=waiting, moved=self.stats.finished)
            await self._circuit.time_to_look()


def _received(message: Any) -> ConsumedRecord:
    headers = message.headers or {}
    pairs = headers.items() if isinstance(headers, dict) else headers
    return ConsumedRecord(
        topic=message.topic,
        partition=message.partition,
        offset=message.offset,
        key=message.key,
        value=message.value,
        headers={name: value or b"" for name, value in pairs},
        timestamp_ms=int(message.timestamp * 1000),
    )
