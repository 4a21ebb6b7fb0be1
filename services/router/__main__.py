"""`python -m services.router`: one worker, on Faust. Settings: REASONMED_*."""

import asyncio

from prometheus_client import Counter

from services.contracts.case import Case
from services.contracts.refused import Refused
from services.contracts.topics import LANE_HEADER, PATHS_VERIFIED, QUESTION_SUBMITTED, Lane, both_lanes, lane_of
from services.core.messages import ConsumedRecord, Emit, OutgoingRecord
from services.router.admission import admit
from services.router.checks import NONE, PERSONAL_DATA, Checks, checks
from services.router.metrics import flags, refusals
from services.router.routing_table import onward
from services.router.settings import RouterSettings
from services.runtime.engine.handler import Handle
from services.runtime.faust.client import build
from services.runtime.faust.source import FaustSource
from services.runtime.process.settings import loaded
from services.worker.context import ProcessContext, process_context, run_service
from services.worker.handling import by_topic, outgoing, read_case

SERVICE = "router"
PERSONAL = "personal_data"


def main() -> None:
    """Work until SIGTERM."""
    run_service(SERVICE, RouterSettings, work)


async def work(stop: asyncio.Event) -> None:
    """Admit and route until `stop`."""
    settings = loaded(RouterSettings)
    refused, flagged = refusals(), flags()
    checked = checks(settings.admission, flagged.labels(PERSONAL).inc)
    async with process_context(SERVICE, settings) as context:
        handle = handlers(context, checked, refused)
        app = build(SERVICE, context.client, context.times)
        source = FaustSource(app, client=context.client, topics=both_lanes(*handle))
        await context.run(context.engine(source=source, handle=by_topic(handle)), stop, refused, flagged)


def handlers(context: ProcessContext, checked: Checks = NONE, refused: Counter | None = None) -> dict[str, Handle]:
    """The handlers by topic: a question is admitted, a verified case routed."""

    async def admission(record: ConsumedRecord) -> list[OutgoingRecord]:
        emits = await admit(record, context.recipes, context.ledger.admissions, context.ledger.budgets, checked)
        for emit in emits:
            if refused is not None and (reason := _refused(emit)):
                refused.labels(reason).inc()
        return [outgoing(emit, _lane(record)) for emit in emits]

    async def routing(record: ConsumedRecord) -> list[OutgoingRecord]:
        case = read_case(record)
        recipe = await context.recipes.get(case.recipe_id)
        return [outgoing(onward(case, recipe), lane_of(record.topic))]

    return {QUESTION_SUBMITTED: admission, PATHS_VERIFIED: routing}


def _refused(emit: Emit) -> str | None:
    """The label of a refusal."""
    match emit.message:
        case Refused(reason=reason):
            return reason
        case Case(rejected=str(why)) if why.startswith(PERSONAL_DATA):
            return PERSONAL
        case _:
            return None


def _lane(submitted: ConsumedRecord) -> Lane:
    """A producer of submissions chooses their lane by topic or by header."""
    return "backfill" if submitted.headers.get(LANE_HEADER) == b"backfill" else lane_of(submitted.topic)


if __name__ == "__main__":
    main()
