"""`Engine`: processes the records of a consumer group's topics. The steps of a record:

    poll      poller.py      takes no more than can be processed
    open      attempt.py     an attempt in the ledger; gate.py: many at once, or one alone
    handle    handler.py     the service's own function; retry.py waits while a dependency is away
    publish   publisher.py   its outputs, or its dead letter, confirmed by the broker
    close     processor.py   the offset is finished, the attempt closed; committer.py commits what commit_rule.py allows

The thirteen rules of ARCHITECTURE.md, and where each is implemented:

    1 commit_rule.py, offset_ranges.py, committer.py    8 kafka/declare.py
    2 poller.py, limits.py                         9 `Engine.run`, in_flight.py
    3 handler.py, publisher.py, retry.py          10 watchdog.py, stall.py, core/holds.py
    4 poller.py                                   11 `Engine.health`
    5 `Engine.revoked`, kafka/membership.py       12 attempt.py, gate.py
    7 kafka/sink.py                               13 circuit.py
"""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping

import structlog

from services.core.holds import Holds
from services.core.ledger.ports import Attempts, Circuits
from services.core.messages import ConsumedRecord, Sink, TopicPartition
from services.runtime.engine.attempt import AttemptLog
from services.runtime.engine.circuit import Circuit, CircuitPolicy
from services.runtime.engine.commit_rule import Committed, Window
from services.runtime.engine.committer import Committer
from services.runtime.engine.counters import Counters
from services.runtime.engine.gate import Gate
from services.runtime.engine.handler import Handle, Handler
from services.runtime.engine.in_flight import InFlight
from services.runtime.engine.limits import Limits
from services.runtime.engine.poller import Intake, Poller
from services.runtime.engine.processor import Delivery, RecordProcessor
from services.runtime.engine.publisher import Publisher
from services.runtime.engine.retry import RetryPolicy
from services.runtime.engine.source import Source
from services.runtime.engine.state import EngineState
from services.runtime.engine.watchdog import Health, Watchdog

log = structlog.get_logger(__name__)


class Engine:
    """One worker of one service. Every record ends in its outputs, a dead letter, or no commit.

    `counters` and `state()` may be read at any time.
    """

    def __init__(  # noqa: PLR0913 -- the ports and policies of a worker, each by name
        self,
        *,
        service: str,
        owner: str,
        source: Source,
        sink: Sink,
        handle: Handle,
        attempts: Attempts,
        circuits: Circuits,
        holds: Holds,
        dead_topic: str,
        limits: Limits | None = None,
        policy: CircuitPolicy | None = None,
        on_drain: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`owner` is a name that is unique among all processes, also earlier ones. `on_drain` is called once, when the
        process must start no new model call. `run` stops the source; it does not close the sink."""
        self.service = service
        self.counters = Counters()
        self._limits = limits or Limits()
        self._source = source
        self._holds = holds
        self._on_drain = on_drain
        self._draining = asyncio.Event()
        self._windows: dict[TopicPartition, Window] = {}
        self._probe: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._gate = Gate()
        self._retry = RetryPolicy(holds=holds, counters=self.counters, longest_s=self._limits.away_s)
        self._circuit = Circuit(service, circuits=circuits, policy=policy or CircuitPolicy(), clock=clock)
        self._in_flight = InFlight(on_end=lambda: self._poller.changed())
        self._processor = RecordProcessor(
            service=service,
            attempts=AttemptLog(
                service, owner, attempts=attempts, gate=self._gate, retry=self._retry, limits=self._limits
            ),
            handler=Handler(
                handle, draining=self._draining, retry=self._retry, limits=self._limits, counters=self.counters
            ),
            publisher=Publisher(
                service, sink=sink, dead_topic=dead_topic, holds=holds, retry=self._retry, limits=self._limits
            ),
            circuit=self._circuit,
            counters=self.counters,
        )
        self._committer = Committer(source=source, windows=self._windows, limits=self._limits, counters=self.counters)
        self._poller = Poller(
            source=source,
            windows=self._windows,
            in_flight=self._in_flight,
            intake=self._intake,
            begin=self._begin,
            limits=self._limits,
            counters=self.counters,
        )
        self._watchdog = Watchdog(
            source=source,
            wanted=lambda: self._poller.wanted,
            trouble=lambda: self._poller.trouble or self._committer.trouble,
            limits=self._limits,
            counters=self.counters,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Process records until `stop` is set, then drain: take nothing new, let what is in flight end within
        `leave_s` seconds, cancel the rest, commit, leave the group (rule 9). Model calls continue after that.

        Waits for a broker or ledger that is away, at the start too. Raises an ExceptionGroup with Stalled where the
        client is stalled, or with an unexpected exception: end the process with an error then.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                loops = [
                    group.create_task(loop)
                    for loop in (self._poll(), self._committer.run(), self._watch_circuit(), self._watchdog.run())
                ]
                await stop.wait()
                await self._drain()
                for loop in loops:
                    loop.cancel()
        finally:
            try:
                await self._committer.last()
            finally:
                await self._source.stop()
                self._watchdog.lag = {}  # another member's from now on

    def health(self) -> Health:
        """Live: nothing held is past its deadline. Ready: also an assignment (an empty one, where the group has more
        members than partitions), a broker that answers, a closed circuit, and no drain (rules 10 and 11)."""
        overdue = [f"{held.what}: {held.state} for too long" for held in self._holds.overdue()]
        return Health(live=not overdue, ready=not (unready := self._unready()) and not overdue, why=overdue + unready)

    def state(self) -> EngineState:
        """The current state."""
        return EngineState(
            in_flight=len(self._in_flight),
            begun_written_ms=self._processor.begun_written_ms,
            windows={partition: window.size for partition, window in self._windows.items()},
            lag=self._watchdog.lag,
            circuit_open=self._circuit.why is not None,
            draining=self._draining.is_set(),
        )

    def assigned(self, partitions: Mapping[TopicPartition, Committed | None]) -> None:
        """As `Listener` says: begin at the group's commits."""
        self._windows.update({partition: Window(committed) for partition, committed in partitions.items()})
        self._poller.joined = True
        self._poller.changed()

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """As `Listener` says: commit and let go at once. Model calls in flight continue into the ledger (rule 5)."""
        self.counters.rebalances += 1
        self._poller.joined = False
        for partition in partitions:
            self._in_flight.cancel(partition)
        try:
            await self._committer.last()
        finally:
            for partition in partitions:
                self._windows.pop(partition, None)

    async def _poll(self) -> None:
        await self._retry.retry_while_away("joining the group", lambda: self._source.start(self))
        await self._poller.run()

    async def _watch_circuit(self) -> None:
        while True:
            await self._retry.retry_while_away("the circuit", self._circuit.look)
            self._poller.changed()
            await self._circuit.time_to_look()

    def _intake(self) -> Intake:
        if self._draining.is_set() or self._gate.someone_alone or not self._circuit.known:
            return "closed"
        if self._circuit.why is None:
            return "open"
        return "probe" if self._circuit.probe_due() and (self._probe is None or self._probe.done()) else "closed"

    def _begin(self, record: ConsumedRecord, probe: bool) -> None:
        """Start to process a record, unless it was finished before a restart."""
        partition = TopicPartition(record.topic, record.partition)
        window = self._windows.get(partition)
        if window is None or self._draining.is_set():
            return  # Not committed: the partition's next owner reads it again.
        if window.goes_back(record.offset):
            window = self._begin_again(partition, record.offset)
        if absent := window.absent(record.offset):
            self.counters.absent += absent
            log.warning("offsets were never delivered", before=str(record.position), absent=absent)
        if not window.read(record.offset):
            self.counters.skipped += 1
            return
        self.counters.taken += 1
        assert self._group is not None
        delivery = Delivery(record, window, probe)
        task = self._in_flight.begin(self._group, record, lambda: self._processor.process(delivery))
        if probe:
            self._circuit.probe_begins()
            self._probe = task

    def _begin_again(self, partition: TopicPartition, offset: int) -> Window:
        log.error("offsets went back: the topic was truncated or created again", topic=partition.topic, to=offset)
        self._in_flight.cancel(partition)
        window = self._windows[partition] = Window(Committed(offset))
        return window

    async def _drain(self) -> None:
        self._draining.set()
        self._on_drain()
        if cancelled := await self._in_flight.drain(self._limits.leave_s, close_s=2 * self._limits.close_s):
            log.info("leaving the group: calls in flight continue into the ledger", records=cancelled)

    def _unready(self) -> list[str]:
        reasons = {
            "draining": self._draining.is_set(),
            "no assignment": not self._poller.joined,
            "the broker doesn't answer": not self._watchdog.reachable,
            "the ledger has not been asked for the circuit yet": not self._circuit.known,
            f"the circuit is open: {self._circuit.why}": self._circuit.why is not None,
        }
        return [reason for reason, holds in reasons.items() if holds]
