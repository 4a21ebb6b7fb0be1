"""NDJSON bodies of any length: each line is accepted or refused separately, and the response follows at the end.

Most clients send the whole body before they read the response. If lines were answered while the body arrives, the
response would fill the connection's buffers, and both sides would deadlock (ADR 14). So the results are buffered until
the end of the body: those of refused lines, and of accepted ones if their ids are requested. A response larger than
ANSWER_BYTES ends the reading. In any case the response has the last line up to which every line is decided.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import assert_never

import orjson
from pydantic import BaseModel, Field

from services.contracts.topics import Lane
from services.core.case.sizes import QUESTION_BYTES
from services.core.messages import OutgoingRecord
from services.gateway.http.metrics import Metrics
from services.gateway.http.refusals import FieldError, Refused, malformed
from services.gateway.ingest.body import READ_WITHIN_S, too_slow
from services.gateway.ingest.lines import Line, Lines
from services.gateway.ingest.publishing import Publisher
from services.gateway.ingest.submissions import from_line, parted

ANSWER_BYTES = 4 * 2**20
"""About 20,000 refused lines, or 60,000 ids."""

SLICE = 256
"""Lines that are parsed at once, about 20 ms of the event loop, and published together."""


class Summary(BaseModel):
    """The last line of the response."""

    accepted: int = Field(description="Lines whose question Kafka holds.")
    refused: int = Field(description="Refused lines; each has a line above.")
    accepted_through: int = Field(
        description="Every line up to this one is decided: Kafka holds its question, or a line above has the reason. "
        "Later lines are undecided."
    )
    stopped: str | None = Field(
        default=None, description="Why later lines were not read; null: the whole body was read."
    )


class Upload:
    """One NDJSON body."""

    def __init__(
        self,
        publisher: Publisher,
        metrics: Metrics,
        draining: asyncio.Event,
        *,
        recipe_id: str | None,
        lane: Lane = "live",
        with_ids: bool,
        read_within_s: float = READ_WITHIN_S,
    ) -> None:
        self._publisher = publisher
        self._metrics = metrics
        self._draining = draining
        self._recipe_id = recipe_id
        self._lane: Lane = lane
        self._with_ids = with_ids
        self._within_s = read_within_s
        self._summary = Summary(accepted=0, refused=0, accepted_through=0)
        self._answer = bytearray()

    async def take(self, body: AsyncGenerator[bytes, None]) -> tuple[bytes, Refused | None]:
        """Process the body. Returns the lines of the response, and the reason if reading stopped early. Raises Refused
        (422) for a body without lines."""
        ending = asyncio.create_task(self._draining.wait())
        try:
            await self._take(body, ending)
            stopped = None
        except Refused as refused:
            stopped = refused
            self._summary.stopped = refused.refusal.error
        finally:
            ending.cancel()
            await body.aclose()
        if stopped is None and self._summary.accepted + self._summary.refused == 0:
            raise malformed([FieldError(field="body", why="has no lines")])
        return bytes(self._answer) + self._summary.model_dump_json().encode() + b"\n", stopped

    @property
    def refused(self) -> int:
        """Lines refused."""
        return self._summary.refused

    async def _take(self, body: AsyncGenerator[bytes, None], ending: asyncio.Task[bool]) -> None:
        lines = Lines(QUESTION_BYTES)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._within_s
        while (chunk := await self._next(body, ending, deadline - loop.time())) is not None:
            # Lines that arrived during the last publish form the next batch.
            if found := lines.feed(chunk):
                await self._decide(found)
                deadline = loop.time() + self._within_s
        await self._decide(lines.end())
        self._summary.accepted_through = lines.number

    async def _next(
        self, body: AsyncGenerator[bytes, None], ending: asyncio.Task[bool], within_s: float
    ) -> bytes | None:
        reading = asyncio.ensure_future(_next(body))
        try:
            await asyncio.wait((reading, ending), timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                raise Refused(503, "draining", "The gateway is stopping: send the rest again.", headers=_AT_ONCE)
            if not reading.done():
                raise too_slow(self._within_s)
            return reading.result()
        finally:
            reading.cancel()
            await asyncio.wait((reading,))

    async def _decide(self, lines: Sequence[Line]) -> None:
        for start in range(0, len(lines), SLICE):
            part = lines[start : start + SLICE]
            decided = [from_line(line.text, self._recipe_id, self._lane) for line in part]
            messages, refused = parted(decided)
            await self._publisher.publish(messages)
            self._count(messages, refused, through=part[-1].number)
            for line, became in zip(part, decided, strict=True):
                self._tell(line.number, became)
            if len(self._answer) > ANSWER_BYTES:
                raise Refused(413, "answer_full", "The response is too long: send the rest in another request.")
            await asyncio.sleep(0)

    def _count(self, messages: Sequence[OutgoingRecord], refused: Sequence[Refused], *, through: int) -> None:
        self._summary.accepted += len(messages)
        self._summary.refused += len(refused)
        self._summary.accepted_through = through
        self._metrics.batch("lines", accepted=len(messages), refused=len(refused))
        for each in refused:
            self._metrics.refuse(each.reason)

    def _tell(self, number: int, became: OutgoingRecord | Refused) -> None:
        match became:
            case Refused(refusal=refusal):
                self._answer += orjson.dumps({"line": number, **refusal.model_dump()}) + b"\n"
            case OutgoingRecord(key=case_id):
                if self._with_ids:
                    self._answer += orjson.dumps({"line": number, "case_id": case_id.decode()}) + b"\n"
            case _:
                assert_never(became)


async def _next(body: AsyncGenerator[bytes, None]) -> bytes | None:
    return await anext(body, None)


_AT_ONCE = {"Retry-After": "1"}
