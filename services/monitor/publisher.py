"""Once a second: read status store, ledger and Kafka, and publish the figures. While a dependency is away, its last
known figures are kept."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from services.contracts.recipe import Recipe
from services.core.errors import Away
from services.core.ledger.ports import Books, Budgets, Circuits
from services.core.ledger.reports import ModelReports
from services.core.status.figures import Figures
from services.core.status.history import MINUTE_S, snapshot
from services.core.status.store import StatusStore
from services.monitor.figures import FiguresInputs, TokenRate, build_figures
from services.monitor.groups import GroupWatch
from services.monitor.handler import Seen
from services.runtime.kafka.admin import LagWatch, readers

log = structlog.get_logger(__name__)

EVERY_S = 1.0
KAFKA_EVERY = 2
"""Rounds between two looks at Kafka: each takes a dozen small requests."""
SCALE_S = 60.0
"""Seconds after which signals for autoscaling are too old."""
BOOKS_EVERY = 5
"""Rounds between two counts of the admissions: the ledger reads all of them."""


@dataclass(frozen=True)
class OwnInputs:
    """What this process knows without asking."""

    seen: Seen
    recipe: Callable[[], Recipe | None]
    """The current one, if it is known."""
    disk_free: Callable[[], int | None] = lambda: None
    """Bytes free on the ledger's disk, where it is a file."""


class Minute:
    """The minute that is running: its snapshot is due with the first figures of the next."""

    def __init__(self) -> None:
        self._at: int | None = None
        self._in_flight: list[int] = []

    def add(self, figures: Figures) -> tuple[int, bytes] | None:
        """Add figures; at the begin of a minute: the minute, and the totals at its begin as JSON."""
        self._in_flight.append(sum(figures.calls_under_way.values()))
        minute = int(figures.at // MINUTE_S)
        if minute == self._at:
            return None
        self._at, counts, self._in_flight = minute, self._in_flight, []
        return minute, snapshot(figures, sum(counts) / len(counts)).model_dump_json().encode()


class FiguresPublisher:
    """Builds the figures, and keeps the latest."""

    def __init__(
        self,
        statuses: StatusStore,
        *,
        circuits: Circuits,
        budgets: Budgets,
        books: Books,
        reports: ModelReports,
        lags: LagWatch,
        own: OwnInputs,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.figures: Figures | None = None
        self._statuses = statuses
        self._circuits = circuits
        self._budgets = budgets
        self._books = books
        self._reports = reports
        self._lags = lags
        self._own = own
        self._clock = clock
        self._inputs = FiguresInputs()
        self._rate = TokenRate()
        self._groups = GroupWatch()
        self._minute = Minute()
        self._away: dict[str, str] = {}
        self._round = 0

    def scale(self) -> bytes | None:
        """/scale: the signals for autoscaling as JSON. None before Kafka was asked, and once it has been away for
        SCALE_S: KEDA's fallback keeps the pods there are."""
        scale = self.figures.scale if self.figures is not None else None
        fresh = scale is not None and self._clock() - scale.at < SCALE_S
        return scale.model_dump_json().encode() if scale is not None and fresh else None

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                await self.once()
                await asyncio.sleep(EVERY_S)
        finally:
            await self._lags.aclose()

    async def once(self) -> None:
        """One round: look at everything, and publish."""
        await self._try("ledger", self._look_at_ledger)
        if self._round % BOOKS_EVERY == 0:
            await self._try("admissions", self._look_at_books)
        if self._round % KAFKA_EVERY == 0:
            await self._try("Kafka", self._look_at_kafka)
        await self._try("statuses", self._publish)
        self._round += 1

    async def _try(self, what: str, look: Callable[[], Awaitable[None]]) -> None:
        """Log once that it is away, and once that it is back."""
        try:
            await look()
        except Away as away:
            if what not in self._away:
                log.warning("away: its figures are not updated", what=what, error=str(away))
            self._away[what] = str(away)
        else:
            if self._away.pop(what, None) is not None:
                log.info("back", what=what)

    async def _look_at_ledger(self) -> None:
        groups = sorted({group for groups in readers().values() for group in groups} - {"exporter"})
        whys = {group: await self._circuits.why(group) for group in groups}
        self._inputs.circuits = {group: why for group, why in whys.items() if why is not None}
        self._inputs.models = await self._reports.reported()
        self._inputs.spendings = await self._budgets.spendings()
        self._inputs.remembered = await self._budgets.remembered()
        self._inputs.budget = await self._budgets.state()

    async def _look_at_books(self) -> None:
        self._inputs.duplicates = (await self._books.admitted())["duplicate"]
        self._inputs.under_way = await self._books.under_way()  # reads every lease

    async def _look_at_kafka(self) -> None:
        lags = await self._lags.look()
        self._inputs.lag, self._inputs.left, self._inputs.messages = lags.lag, lags.left, lags.messages
        self._inputs.kafka_at = self._clock()
        waits: Counter[str] = Counter()
        for by_group in lags.left.values():
            waits.update(by_group)
        self._inputs.groups = self._groups.note(self._clock(), lags.groups, waits)

    def _dependencies_away(self) -> dict[str, str]:
        return {what: why for what, why in self._away.items() if what in ("ledger", "Kafka")}

    async def _publish(self) -> None:
        at = self._clock()
        self._inputs.recipe = self._own.recipe()
        self._inputs.disk_free, self._inputs.away = self._own.disk_free(), self._dependencies_away()
        tally = await self._statuses.tally(int(at * 1000))
        rate = self._rate.per_s(at, self._inputs.spendings)
        figures = build_figures(
            at, behind_s=self._own.seen.behind_s, tally=tally, inputs=self._inputs, tokens_per_s=rate
        )
        self.figures = figures
        await self._statuses.publish(figures.model_dump_json().encode())
        if (ended := self._minute.add(figures)) is not None:
            await self._statuses.keep_minute(*ended)
