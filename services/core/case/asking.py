"""Requests a reply until it can be parsed: the loop behind verdicts, scores and summaries."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from services.contracts.case import Call
from services.core.ledger.calls import Answer, Failure, Reply, Request
from services.core.models import Models

T = TypeVar("T")
Reader = Callable[[Reply], T | None]
"""The parsed value of a reply, or None if it cannot be parsed."""


@dataclass(frozen=True)
class Reading(Generic[T]):
    """The result of a request: the parsed value, or the reason why there is none; and every paid answer."""

    value: T | None
    why_not: str
    answers: tuple[Answer, ...]

    @property
    def calls(self) -> tuple[Call, ...]:
        """The answers' calls, for a path's lineage."""
        return tuple(answer.call for answer in self.answers)


async def ask_until_read(
    models: Models, requests: Sequence[Request], read: Reader[T] | Sequence[Reader[T]], max_asks: int
) -> list[Reading[T]]:
    """Send all requests concurrently. A reply that `read` cannot parse is requested again under a new ask number, up to
    `max_asks` asks in all. `read`: one reader for all requests, or one for each.

    A permanent failure is not requested again, because its retries are used up; nor is a refusal, which would be paid
    again. Returns one reading per request, in order.
    """
    readers = [read] * len(requests) if callable(read) else read
    readings: list[Reading[T]] = [Reading(None, "not asked", ())] * len(requests)
    open_ = dict(enumerate(requests))
    for number in range(max_asks):
        if not open_:
            break
        asked = {index: replace(request, ask=(request.ask[0], number)) for index, request in open_.items()}
        for index, answer in zip(asked, await models.ask(list(asked.values())), strict=True):
            answers = (*readings[index].answers, answer)
            if isinstance(answer.outcome, Failure):
                readings[index] = Reading(None, answer.outcome.reason, answers)
                del open_[index]
            elif (value := readers[index](answer.outcome)) is not None:
                readings[index] = Reading(value, "", answers)
                del open_[index]
            elif answer.outcome.refused:
                readings[index] = Reading(None, answer.outcome.problem, answers)
                del open_[index]
            else:
                readings[index] = Reading(None, _why_not(answer.outcome, number + 1), answers)
    return readings


def _why_not(reply: Reply, asks: int) -> str:
    about = f"; the last was {reply.problem}" if reply.problem else ""
    return f"no reply could be read in {asks} asks{about}"
