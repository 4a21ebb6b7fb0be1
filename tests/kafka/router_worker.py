"""The router as it is, in a group that soon notices a death; and, on request,

    raise_on        with a handler that has a defect: for the message with this key
    recovery_s      with a Faust that takes so long from an assignment to its first message, and drops what is fetched
                    in the meantime
    faust_seeks     with Faust's own seeking after an assignment: what was dropped is only found missing

    python router_worker.py '{"session_s": 2.0, "raise_on": "case-…"}'

All else comes from its settings, REASONMED_*.
"""

import asyncio
import json
import sys
from typing import Any

import faust
from faust.transport.drivers import aiokafka

from services.core.messages import ConsumedRecord, OutgoingRecord
from services.router.__main__ import SERVICE, handlers
from services.router.checks import checks
from services.router.settings import RouterSettings
from services.runtime.engine.handler import Handle
from services.runtime.faust.client import Consumer, build
from services.runtime.faust.source import FaustSource
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.membership import GroupTimes
from services.runtime.process.running import run
from services.worker.context import process_context
from services.worker.handling import by_topic

TOLD = json.loads(sys.argv[1])


def with_defect(handle: Handle) -> Handle:
    async def handled(received: ConsumedRecord) -> list[OutgoingRecord]:
        if received.key == TOLD.get("raise_on", "").encode():
            raise ZeroDivisionError("requested")
        return list(await handle(received))

    return handled


class Lingering(Consumer):
    """With a poll under way whenever a rebalance begins: what it fetches while the rebalance ends, Faust drops. Else it
    depends on the second in which the rebalance falls."""

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        while not (records := await super()._getmany(active_partitions, timeout)) and not self.should_stop:
            pass
        return records


class FaustSeeks(Lingering):
    seek_to_committed = aiokafka.Consumer.seek_to_committed


def app(client: KafkaClient) -> faust.App:
    built = build(SERVICE, client, GroupTimes(session_s=TOLD["session_s"], rebalance_s=10.0))
    built.conf.stream_recovery_delay = TOLD.get("recovery_s", 0.0)
    if "recovery_s" in TOLD:
        built.transport.Consumer = FaustSeeks if TOLD["faust_seeks"] else Lingering  # type: ignore[misc]
    return built


async def work(stop: asyncio.Event) -> None:
    settings = RouterSettings()
    async with process_context(SERVICE, settings) as context:
        handle = {topic: with_defect(handle) for topic, handle in handlers(context, checks(settings.admission)).items()}
        source = FaustSource(app(context.client), client=context.client, topics=list(handle))
        await context.run(context.engine(source=source, handle=by_topic(handle)), stop)


if __name__ == "__main__":
    run(work)
