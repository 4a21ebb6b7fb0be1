"""GET /figures/history: rates, cost and latencies of the last hour or day."""

import time
from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter

from services.core.errors import LedgerAway
from services.core.status.history import KEPT_S, MINUTE_S, History, Snapshot, history
from services.gateway.http.cache import TtlCache
from services.gateway.http.openapi import AWAY
from services.gateway.read.reading import Lookup, store_away

Span = Literal["1h", "24h"]
SPANS: dict[Span, int] = {"1h": 3_600, "24h": KEPT_S}
READ_S = 10.0
"""Seconds that a history is cached: it changes once a minute."""


def routes(lookup: Lookup, clock: Callable[[], float] = time.time) -> APIRouter:
    """The route."""
    router = APIRouter(tags=["figures"])

    def cached(span_s: int) -> TtlCache[History | LedgerAway]:
        async def look() -> History | LedgerAway:
            try:
                kept = await lookup.minutes(int(clock() - span_s) // MINUTE_S - 1)
            except LedgerAway as error:
                return error  # cached like a result, so that not every reader retries
            return history([Snapshot.model_validate_json(each) for each in kept], span_s)

        return TtlCache(look, READ_S)

    spans = {span: cached(seconds) for span, seconds in SPANS.items()}

    @router.get("/figures/history", summary="Rates, cost and latencies over time", responses=AWAY)
    async def figures_history(span: Span = "1h") -> History:
        """Messages a minute by topic, USD an hour, tokens, mean seconds of calls and cases; by the minute for an hour,
        by the quarter for a day. Kept by the monitor."""
        found = await spans[span]()
        if isinstance(found, LedgerAway):
            raise store_away() from found
        return found

    return router
