"""The calls of a case. Prompts are stored nowhere: the stages' own handlers render them again, from the messages that
they read and the case's recipe, and the ledger answers. So what is shown is what was sent, by construction: another
prompt would have another call id, which the ledger does not know."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from services.contracts.base import CallId
from services.contracts.case import Case, Usage
from services.contracts.recipe import Recipe
from services.contracts.topics import topics
from services.core.errors import Dead
from services.core.ledger.calls import Answer, Failure, Outcome, Reply, Request
from services.core.ledger.ports import CallRow
from services.core.ledger.spending import NANO, price_of
from services.generator.handler import generate
from services.refiner.handler import reason_again, refine
from services.summarizer.handler import summarize
from services.verifier.handler import verify
from services.worker.handling import CaseHandler

HANDLERS: Mapping[str, CaseHandler] = {
    "generator": generate,
    "verifier": verify,
    "refiner-medium": refine,
    "refiner-difficult": reason_again,
    "summarizer": summarize,
}
"""By consumer group."""

ABSENT = "not in the ledger"


class Finished(Protocol):
    """The part of core.ledger.ports.Books that is used here."""

    async def found(self, call_ids: Sequence[CallId]) -> Mapping[CallId, CallRow]:
        """Those of these calls that have ended, by id. Raises LedgerAway."""
        ...


@dataclass(frozen=True)
class Read:
    """A message of a case, and the topic that it was read from."""

    topic: str
    case: Case


@dataclass(frozen=True)
class CaseCall:
    """A call that a case rests on, with the exact request; `row` is None where the ledger does not have it: it has not
    been made, or was pruned."""

    request: Request
    row: CallRow | None
    path: str
    """Of which path, as `generated 0/3` (origin, round, slot); empty for a summary, and where no path names it."""

    @property
    def call_id(self) -> CallId:
        """The call's id."""
        return self.request.call_id

    @property
    def outcome(self) -> Outcome | None:
        """How it ended."""
        return None if self.row is None else self.row.outcome

    @property
    def usage(self) -> Usage:
        """Its tokens."""
        return Usage() if self.row is None else self.row.outcome.usage

    @property
    def usd(self) -> float:
        """Its cost, at the recipe's prices."""
        asked = self.request
        price = price_of(asked.model, case_id=asked.case_id, alias=asked.alias, stage=asked.stage)
        return price.nano_usd(self.usage) / NANO


async def calls_of(messages: Sequence[Read], recipe: Recipe, books: Finished) -> list[CaseCall]:
    """The calls of a work, in the order of its messages; each once. Raises LedgerAway."""
    replayed = _Replayed(books)
    for message in messages:
        handler = _handler(message.topic)
        if handler is not None:
            with suppress(Dead):  # a summary that could not be read: its calls were asked for all the same
                await handler(message.case, recipe, replayed)
    paths = {
        call.call_id: f"{path.origin} {path.round}/{path.slot}"
        for message in messages
        for path in message.case.paths
        for call in path.calls
    }
    return [CaseCall(request, row, paths.get(call_id, "")) for call_id, (request, row) in replayed.asked.items()]


def _handler(topic: str) -> CaseHandler | None:
    known = topics().get(topic)
    groups = () if known is None else (known.group or "", *known.read_by)
    return next((HANDLERS[group] for group in groups if group in HANDLERS), None)


class _Replayed:
    """The port Models, answered by the ledger alone: nothing is sent, leased or waited for."""

    def __init__(self, books: Finished) -> None:
        self.asked: dict[CallId, tuple[Request, CallRow | None]] = {}
        self._books = books

    async def ask(self, requests: Sequence[Request]) -> list[Answer]:
        """The outcomes that the ledger has; for others a failure, so that the handler goes on."""
        found = await self._books.found([request.call_id for request in requests])
        for request in requests:
            self.asked.setdefault(request.call_id, (request, found.get(request.call_id)))
        return [Answer(request, _outcome(found.get(request.call_id))) for request in requests]


def _outcome(row: CallRow | None) -> Reply | Failure:
    return Failure(ABSENT) if row is None else row.outcome
