"""Reads from the ledger what models thought before they wrote the paths of a case."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from services.contracts.base import CallId
from services.core.errors import Dead
from services.core.ledger.calls import Reply
from services.core.ledger.ports import CallRow
from services.core.messages import ConsumedRecord
from services.exporter.partition import NO_THINKING
from services.exporter.path_rows import written_by
from services.worker.handling import read_case

ReadThinking = Callable[[ConsumedRecord], Awaitable[Mapping[CallId, str]]]
"""The thinking behind a message, by call. Raises LedgerAway."""


class Finished(Protocol):
    """The part of core.ledger.ports.Books that is used here."""

    async def found(self, call_ids: Sequence[CallId]) -> Mapping[CallId, CallRow]:
        """Those of these calls that have ended, by id. Raises LedgerAway."""
        ...


async def none(received: ConsumedRecord) -> Mapping[CallId, str]:
    """For records, which have no thinking."""
    return NO_THINKING


def of_paths(books: Finished) -> ReadThinking:
    """For cases: the thinking of the calls that wrote their paths. A call without any, or that was pruned, is left
    out."""

    async def read(received: ConsumedRecord) -> Mapping[CallId, str]:
        try:
            paths = read_case(received).paths
        except Dead:  # the partition buries it
            return NO_THINKING
        calls = [call for path in paths if (call := written_by(path)) is not None]
        found = await books.found(calls) if calls else {}
        replies = {call: row.outcome for call, row in found.items()}
        return {call: reply.thinking for call, reply in replies.items() if isinstance(reply, Reply) and reply.thinking}

    return read
