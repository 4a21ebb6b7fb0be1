"""Responses that hold a slot until they are sent, and large ones that are sent in chunks."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from services.gateway.http.slots import Slots

PIECE_BYTES = 64 * 2**10
"""What a connection buffers: a client has connections.READ_WITHIN_S seconds for each."""

JSON = "application/json"


class SlotResponse(Response):
    """The response that `make` returns, made and sent in a slot, which a slow client holds too."""

    def __init__(self, slots: Slots, make: Callable[[], Awaitable[Response]]) -> None:
        self._slots = slots
        self._make = make
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises Refused before anything is sent: 503 where no slot is free, and what `make` raises."""
        with self._slots:
            answer = await self._make()
            await answer(scope, receive, send)


def in_pieces(
    body: bytes, status: int = 200, *, media_type: str = JSON, headers: Mapping[str, str] | None = None
) -> Response:
    """A body of any length."""
    whole = {**(headers or {}), "Content-Length": str(len(body))}
    return StreamingResponse(_pieces(body), status, headers=whole, media_type=media_type)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), PIECE_BYTES):
        yield body[start : start + PIECE_BYTES]
