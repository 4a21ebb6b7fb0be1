"""`Engine`: carries the messages of a consumer group's topics through a handler that waits for models.

ARCHITECTURE.md names the thirteen rules. Where each is kept:
  1 window.py, finished.py, committer.py      8 topics.py
  2 taker.py, window.py                       9 `Engine.run`
  3 carrier.py, patience.py                  10 watch.py, standstill.py, core/holds.py
  4 taker.py                                 11 `Engine.health`
  5 `Engine.revoked`, kafka_source.py        12 carrier.py, gate.py
  7 sink.py                                  13 circuit.py
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from functools import partial

import structlog

from services.contracts.dead import DeadKind
from services.core.errors import Draining
from services.core.holds import Holds
from services.core.ledger.ports import Attempts
from services.core.messages import ConsumedRecord, Sink
from services.runtime.engine.circuit import Circuit, CircuitPolicy
from services.runtime.engine.committer import Committer
from services.runtime.engine.gate import Gate
from services.runtime.engine.limits import Limits
from services.runtime.engine.poller import Capacity, Poller
from services.runtime.engine.processor import Handle, RecordProcessor
from services.runtime.engine.retry import RetryPolicy
from services.runtime.engine.source import Source, TopicPartition
from services.runtime.engine.stats import EngineStats
from services.runtime.engine.watchdog import Health, Watchdog
from services.runtime.engine.window import Committed, Window

log = structlog.get_logger(__name__)

_Place = tuple[TopicPartition, int]


class Engine:
    """One worker of one service. Every message ends in its outputs, a dead letter, or no acknowledgement.

    `stats` may be read at any time.
    """

    def __init__(
        self,
        *,
        service: str,
        owner: str,
        source: Source,
        sink: Sink,
        handle: Handle,
        attempts: Attempts,
        holds: Holds,
        dead_topic: str,
        limits: Limits | None = None,
        policy: CircuitPolicy | None = None,
        on_drain: Callable[[], None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`owner` names this process as none other ever was. `on_drain` is called once, when the process is to start
        no new model call. `source` and `sink` are the engine's to use; the source is stopped by `run`, the sink is
        not closed."""
        self.stats = EngineStats()
        self._limits = limits or Limits()
        self._source = source
        self._holds = holds
        self._on_drain = on_drain
        self._windows: dict[TopicPartition, Window] = {}
        self._tasks: dict[_Place, set[asyncio.Task[None]]] = defaultdict(set)
        self._all: set[asyncio.Task[None]] = set()
        self._probe: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._patience = RetryPolicy(holds=holds, stats=self.stats, longest_s=self._limits.away_s)
        self._gate = Gate()
        self._circuit = Circuit(service, attempts=attempts, policy=policy or CircuitPolicy(), clock=clock)
        self._carrier = RecordProcessor(
            service=service,
            owner=owner,
            handle=handle,
            sink=sink,
            attempts=attempts,
            holds=holds,
            dead_topic=dead_topic,
            limits=self._limits,
            stats=self.stats,
            gate=self._gate,
            patience=self._patience,
        )
        self._committer = Committer(source=source, windows=self._windows, limits=self._limits, stats=self.stats)
        self._taker = Poller(
            source=source,
            windows=self._windows,
            appetite=self._appetite,
            begin=self._begin,
            limits=self._limits,
            stats=self.stats,
        )
        self._watch = Watchdog(
            source=source,
            watched=self._taker,
            trouble=lambda: self._taker.trouble or self._committer.trouble,
            limits=self._limits,
            stats=self.stats,
            clock=clock,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Carry messages until `stop` is set, then drain: take nothing new, let what is under way end within
        `drain_s` seconds, cancel the rest, commit, leave the group (rule 9).

        Waits for a broker or ledger that is away, at the start too. Raises an ExceptionGroup with Stalled where
        the client stands still, or with what should never happen: end the process with an error then.
        """
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                loops = [
                    group.create_task(loop)
                    for loop in (self._take(), self._committer.run(), self._mind_circuit(), self._watch.run())
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

    def health(self) -> Health:
        """Live: nothing held is past its deadline. Ready: as well an assignment (an empty one, where the group has more
        members than partitions), a broker that answers, a closed circuit, and no drain (rules 10 and 11)."""
        overdue = [f"{held.what}: {held.state} for too long" for held in self._holds.overdue()]
        return Health(live=not overdue, ready=not (unready := self._unready()) and not overdue, why=overdue + unready)

    def assigned(self, partitions: Mapping[TopicPartition, Committed | None]) -> None:
        """A `Listener`'s: begin where the group stands."""
        self._windows.update({partition: Window(committed) for partition, committed in partitions.items()})
        self._taker.joined = True
        self._taker.changed()

    async def revoked(self, partitions: Collection[TopicPartition]) -> None:
        """A `Listener`'s: let go at once. Model calls under way go on into the ledger, elsewhere (rule 5)."""
        self.stats.rebalances += 1
        self._taker.joined = False
        for partition in partitions:
            self._cancel(partition)
        try:
            await self._committer.last()
        finally:
            for partition in partitions:
                self._windows.pop(partition, None)

    async def _take(self) -> None:
        await self._patience.retry_while_away("joining the group", lambda: self._source.start(self))
        await self._taker.run()

    async def _mind_circuit(self) -> None:
        while True:
            await self._patience.retry_while_away("the circuit", self._circuit.look)
            self.stats.circuit_open = self._circuit.why is not None
            self._taker.changed()
            await self._circuit.time_to_look()

    def _appetite(self) -> Capacity:
        free = self._limits.cases - len(self._all)
        if self.stats.draining or self._gate.someone_alone or not self._circuit.known:
            return Capacity(0)
        if self._circuit.why is None:
            return Capacity(free)
        return Capacity(min(free, 1), probe=True) if self._circuit.probe_due() and not self._probe else Capacity(0)

    def _begin(self, message: ConsumedRecord, probe: bool) -> None:
        """Take a message under way, unless it was finished before a restart."""
        partition = TopicPartition(message.topic, message.partition)
        window = self._windows.get(partition)
        if window is None or self.stats.draining:
            return  # Not acknowledged: it comes again, to whom the partition belongs then.
        if window.goes_back(message.offset):
            window = self._begin_anew(partition, message.offset)
        if absent := window.absent(message.offset):
            self.stats.absent += absent
            log.warning(
                "offsets were never delivered",
                topic=partition.topic,
                partition=partition.partition,
                before=message.offset,
                absent=absent,
            )
        if not window.read(message.offset):
            self.stats.skipped += 1
            return
        self.stats.taken += 1
        self._start(message, partition, window, probe)

    def _start(self, message: ConsumedRecord, partition: TopicPartition, window: Window, probe: bool) -> None:
        assert self._group is not None
        place = (partition, message.offset)
        finish = partial(self._finish, window, message.offset, probe)
        task = self._group.create_task(self._carry(message, finish, frozenset(self._tasks[place])))
        self._tasks[place].add(task)
        self._all.add(task)
        self.stats.under_way = len(self._all)
        task.add_done_callback(partial(self._ended, place))
        if probe:
            self._circuit.probe_begins()
            self._probe = task

    async def _carry(
        self,
        message: ConsumedRecord,
        finish: Callable[[DeadKind | None], None],
        earlier: Collection[asyncio.Task[None]],
    ) -> None:
        if earlier:
            # The same message, cancelled when its partition was taken: its attempt is being closed, and a new one may
            # not be opened before that. All of them: one that is cancelled while it waits ends before those it awaits.
            await asyncio.wait(earlier)
        try:
            await self._carrier.carry(message, finish)
        except Draining:
            log.info("left for another worker", topic=message.topic, offset=message.offset)

    def _finish(self, window: Window, offset: int, probe: bool, kind: DeadKind | None) -> None:
        """The broker has confirmed the message's end. A window that was taken from us is committed by nobody here."""
        window.finish(offset)
        self.stats.finished += 1
        if kind is not None:
            self.stats.dead[kind] += 1
            self._circuit.dead()
        elif probe:
            self._circuit.probe_succeeded()
        self.stats.circuit_open = self._circuit.why is not None

    def _ended(self, place: _Place, task: asyncio.Task[None]) -> None:
        self._all.discard(task)
        self.stats.under_way = len(self._all)
        self._tasks[place].discard(task)
        if not self._tasks[place]:
            del self._tasks[place]
        if self._probe is task:
            self._probe = None
        self._taker.changed()

    def _begin_anew(self, partition: TopicPartition, offset: int) -> Window:
        log.error("offsets went back: the topic was cut or made anew", topic=partition.topic, to=offset)
        self._cancel(partition)
        window = self._windows[partition] = Window(Committed(offset))
        return window

    def _cancel(self, partition: TopicPartition) -> None:
        of_it = (task for (theirs, _), tasks in self._tasks.items() if theirs == partition for task in tasks)
        for task in of_it:
            if not task.cancelling():  # A second time would stop it from closing its attempt.
                task.cancel()

    async def _drain(self) -> None:
        self.stats.draining = True
        self._on_drain()
        if self._all:
            await asyncio.wait(self._all, timeout=self._limits.drain_s)
        for task in self._all:
            task.cancel()
        if self._all:
            log.warning("drain's deadline: cancelled", messages=len(self._all))
            await asyncio.wait(self._all, timeout=2 * self._limits.let_go_s)

    def _unready(self) -> list[str]:
        reasons = {
            "draining": self.stats.draining,
            "no assignment": not self._taker.joined,
            "the broker doesn't answer": not self._watch.reachable,
            "the ledger has not been asked for the circuit yet": not self._circuit.known,
            f"the circuit is open: {self._circuit.why}": self._circuit.why is not None,
        }
        return [reason for reason, holds in reasons.items() if holds]
