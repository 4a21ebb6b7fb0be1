"""The router as it is, in a group that soon notices a death; and, where told so,

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

import faust
from faust.transport.drivers import aiokafka

from services.contracts.topics import dead_topic
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.router.__main__ import SERVICE, handlers
from services.router.checks import checks
from services.router.settings import RouterSettings
from services.runtime.engine.limits import Limits
from services.runtime.engine.processor import Handle
from services.runtime.faust.client import Consumer, build
from services.runtime.faust.source import InOrder
from services.runtime.kafka.client import KafkaClient
from services.runtime.kafka.source import GroupTimes
from services.runtime.process.health import HealthServer
from services.worker.context import parts, run

TOLD = json.loads(sys.argv[1])


def with_defect(handle: Handle) -> Handle:
    async def handled(received: ConsumedRecord) -> list[OutgoingRecord]:
        if received.key == TOLD.get("raise_on", "").encode():
            raise ZeroDivisionError("told so")
        return list(await handle(received))

    return handled


class FaustSeeks(Consumer):
    seek_to_committed = aiokafka.Consumer.seek_to_committed


def app(client: KafkaClient) -> faust.App:
    built = build(SERVICE, client, GroupTimes(session_s=TOLD["session_s"], rebalance_s=10.0))
    built.conf.stream_recovery_delay = TOLD.get("recovery_s", 0.0)
    if TOLD.get("faust_seeks"):
        built.transport.Consumer = FaustSeeks  # type: ignore[misc]
    return built


async def work(stop: asyncio.Event) -> None:
    settings = RouterSettings()
    async with parts(SERVICE, settings) as its:
        worker = InOrder(
            app(its.client),
            client=its.client,
            service=SERVICE,
            owner=its.owner,
            handlers={
                topic: with_defect(handle) for topic, handle in handlers(its, checks(settings.admission)).items()
            },
            sink=its.sink,
            attempts=its.ledger.attempts,
            holds=its.holds,
            dead_topic=dead_topic(SERVICE),
            limits=Limits(drain_s=settings.drain_s),
        )
        async with HealthServer(host=settings.host, port=settings.port or 0, health=worker.health):
            await worker.run(stop)


if __name__ == "__main__":
    run(work)
