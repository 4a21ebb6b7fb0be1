"""A service's handler, as the engine runs it: bytes in, bytes out."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from services.contracts.base import VERSION, newer
from services.contracts.case import Case
from services.contracts.codec import Malformed, UnknownVersion, decode, encode
from services.contracts.recipe import Recipe
from services.contracts.topics import Lane, in_lane, lane_of, stage_topic
from services.core.errors import Dead
from services.core.messages import ConsumedRecord, Emit, OutgoingRecord
from services.core.models import Models
from services.runtime.engine.handler import Handle
from services.worker.recipes import Recipes

CaseHandler = Callable[[Case, Recipe, Models], Awaitable[list[Emit]]]
"""What a service is: a case and its recipe in, messages out."""


def stage(handler: CaseHandler, recipes: Recipes, models: Callable[[Lane], Models]) -> Handle:
    """The handler, for cases with their recipes; `models`: those for the calls of a lane. Raises Dead for what can't be
    read, and what the handler raises."""

    async def handle(record: ConsumedRecord) -> list[OutgoingRecord]:
        case = read_case(record)
        recipe = await recipes.get(case.recipe_id)
        lane = lane_of(record.topic)
        return [outgoing(emit, lane) for emit in await handler(case, recipe, models(lane))]

    return handle


def by_topic(handlers: Mapping[str, Handle]) -> Handle:
    """One handler for several topics, in both lanes."""

    async def handle(record: ConsumedRecord) -> Sequence[OutgoingRecord]:
        return await handlers[stage_topic(record.topic)](record)

    return handle


def read_case(record: ConsumedRecord) -> Case:
    """The case that a record holds, under the newer of its writer's version and ours.

    Raises Dead: `poison`, or `not_yet` for another major version.
    """
    try:
        case = decode(Case, record.value or b"")
    except UnknownVersion as error:
        raise Dead("not_yet", str(error)) from error
    except Malformed as error:
        raise Dead("poison", f"no case: {error}") from error
    check_key(record, case.case_id)
    return case.with_(version=newer(case.version, VERSION))


def check_key(record: ConsumedRecord, case_id: str) -> None:
    """Messages of a case must share a key, or their order is lost. Raises Dead('poison')."""
    if record.key != case_id.encode():
        raise Dead("poison", "the key is not the case id of the message")


def outgoing(emit: Emit, lane: Lane = "live") -> OutgoingRecord:
    """A handler's message as bytes, in the topic of this lane."""
    value = encode(emit.message)
    return OutgoingRecord(topic=in_lane(emit.topic, lane), key=emit.key.encode(), value=value, headers={})
