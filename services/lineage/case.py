"""Reads a work's messages at the positions that the monitor noted, and lists its calls."""

from collections.abc import Awaitable, Callable, Sequence

from services.contracts.base import RecipeId, WorkId
from services.contracts.case import Case
from services.contracts.codec import Malformed, UnknownVersion, decode
from services.contracts.recipe import Recipe
from services.contracts.topics import topics
from services.core.messages import ConsumedRecord, Position
from services.core.status.case_status import CaseHistory
from services.lineage.calls import CaseCall, Finished, Read, calls_of

Bodies = Callable[[Sequence[Position]], Awaitable[list[ConsumedRecord]]]
"""Reads messages by position; those that retention has deleted are left out. Raises BrokerAway."""

RecipeOf = Callable[[RecipeId], Awaitable[Recipe | None]]
"""A published recipe; None where it is not published."""


async def case_calls(
    history: CaseHistory, bodies: Bodies, recipe_of: RecipeOf, books: Finished
) -> dict[WorkId, list[CaseCall]]:
    """The calls of each work of a case, as far as Kafka still has its messages. Raises BrokerAway, LedgerAway."""
    found: dict[WorkId, list[CaseCall]] = {}
    for status in history.statuses():
        recipe = await recipe_of(status.recipe_id) if status.recipe_id else None
        if recipe is None:
            continue
        positions = [
            event.position
            for event in history.timeline(status.work_id)
            if event.work_id and topics()[event.topic].message == "case"
        ]
        read = [_read(body) for body in await bodies(positions)] if positions else []
        found[status.work_id] = await calls_of([each for each in read if each is not None], recipe, books)
    return found


def _read(body: ConsumedRecord) -> Read | None:
    try:
        return Read(body.topic, decode(Case, body.value or b""))
    except (Malformed, UnknownVersion):
        return None
