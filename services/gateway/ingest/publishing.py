"""Publishes questions to Kafka with a time limit for the confirmation."""

import asyncio
from collections.abc import Sequence

from services.core.errors import BrokerAway
from services.core.messages import OutgoingRecord, Sink
from services.gateway.http.metrics import Metrics
from services.gateway.http.refusals import away
from services.runtime.engine.spans import posting

PUBLISH_WITHIN_S = 10.0
"""Seconds that a client waits for Kafka's confirmation before it gets a 503."""


class Publisher:
    """Publishes with the gateway's time limit and refusals."""

    def __init__(self, sink: Sink, metrics: Metrics, within_s: float = PUBLISH_WITHIN_S) -> None:
        self._sink = sink
        self._metrics = metrics
        self._within_s = within_s

    async def publish(self, messages: Sequence[OutgoingRecord]) -> None:
        """Return once Kafka has confirmed all messages. Raises Refused (503): then it may hold some or none of them."""
        if not messages:
            return
        try:
            with self._metrics.publish_seconds.time(), posting(messages) as posted:
                async with asyncio.timeout(self._within_s):
                    await self._sink.publish(posted)
        except (BrokerAway, TimeoutError) as error:
            what = "the question" if len(messages) == 1 else "these questions"
            raise away("kafka_away", f"Kafka has not confirmed {what}: send again, that is always safe.") from error
        self._metrics.accepted.inc(len(messages))
