"""`python -m services.router`: one worker, on Faust. Settings: REASONMED_*."""

import asyncio

from prometheus_client import Counter

from services.contracts.refused import Refused
from services.contracts.topics import PATHS_VERIFIED, QUESTION_SUBMITTED, dead_topic
from services.core.messages import ConsumedRecord, OutgoingRecord
from services.router.admission import admit
from services.router.checks import NONE, Checks, checks
from services.router.metrics import refusals
from services.router.rules import route
from services.router.settings import RouterSettings
from services.runtime.engine.limits import Limits
from services.runtime.engine.metrics import EngineMetrics, registry
from services.runtime.engine.processor import Handle
from services.runtime.faust.client import build
from services.runtime.faust.source import InOrder
from services.runtime.kafka.source import GroupTimes
from services.runtime.process.health import HealthServer
from services.runtime.process.settings_help import told
from services.worker.context import ProcessContext, parts, run
from services.worker.handling import outgoing, read_case

SERVICE = "router"


def main() -> None:
    """Work until SIGTERM."""
    told(SERVICE, RouterSettings)
    run(work)


async def work(stop: asyncio.Event) -> None:
    """Admit and route until `stop`."""
    settings = RouterSettings()
    held_against, refused = checks(settings.admission), refusals()
    async with parts(SERVICE, settings) as its:
        worker = InOrder(
            build(SERVICE, its.client, GroupTimes(session_s=settings.session_s)),
            client=its.client,
            service=SERVICE,
            owner=its.owner,
            handlers=handlers(its, held_against, refused),
            sink=its.sink,
            attempts=its.ledger.attempts,
            holds=its.holds,
            dead_topic=dead_topic(SERVICE),
            limits=Limits(drain_s=settings.drain_s),
        )
        exported = registry(EngineMetrics(SERVICE, worker.stats, its.holds), refused)
        async with HealthServer(host=settings.host, port=settings.port or 0, health=worker.health, registry=exported):
            await worker.run(stop)


def handlers(its: ProcessContext, held_against: Checks = NONE, refused: Counter | None = None) -> dict[str, Handle]:
    """What is done with a message, by topic: a question is admitted, a verified case routed."""

    async def admission(received: ConsumedRecord) -> list[OutgoingRecord]:
        emits = await admit(received, its.recipes, its.ledger.admissions, its.ledger.budgets, held_against)
        for emit in emits:
            if isinstance(emit.message, Refused) and refused is not None:
                refused.labels(emit.message.reason).inc()
        return [outgoing(emit) for emit in emits]

    async def routing(received: ConsumedRecord) -> list[OutgoingRecord]:
        case = read_case(received)
        recipe = await its.recipes.get(case.recipe_id)
        return [outgoing(route(case, recipe.routing))]

    return {QUESTION_SUBMITTED: admission, PATHS_VERIFIED: routing}


if __name__ == "__main__":
    main()
