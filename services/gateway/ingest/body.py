"""Reads a request's body with limits on bytes and time."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Literal

from starlette.requests import ClientDisconnect, Request

from services.core.case.sizes import QUESTION_BYTES
from services.gateway.http.refusals import Refused, too_large

READ_WITHIN_S = 10.0
"""Seconds for a whole body, or for a line of an NDJSON body: 256 KiB at 210 kbit/s. A slow client holds a slot."""

BATCH_BYTES = 4 * 2**20
"""The most bytes of an array of questions: 3.4 Mbit/s within READ_WITHIN_S."""

Form = Literal["json", "lines"]

_CLOSE = {"Connection": "close"}
"""The rest of the body is not read, so the connection cannot serve another request."""


def form(request: Request) -> Form:
    """The body's declared form. Raises Refused: 415 (another type, or compressed)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/x-ndjson"):
        raise Refused(415, "content_type", "Send questions as application/json or application/x-ndjson.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(415, "content_type", "Send questions uncompressed.", headers={"Accept-Encoding": "identity"})
    return "json" if kind == "application/json" else "lines"


def is_array(body: bytes | bytearray) -> bool:
    """Whether the body begins like a JSON array."""
    return body[:64].lstrip(b" \t\r\n")[:1] == b"["


async def read_json(request: Request, *, on_array: Callable[[], None]) -> bytes:
    """The body's bytes. `on_array` is called as soon as the body is known to be an array, which may be longer.

    Raises Refused: 413 (declared or found too long), 408 (too slow), 400 (ended early); and what on_array raises.
    """
    if _declared(request) > BATCH_BYTES:
        raise _too_long(array=True)
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await _read(request, on_array)
    except TimeoutError:
        raise too_slow(READ_WITHIN_S) from None
    except ClientDisconnect:
        raise ended_early() from None


async def chunks(request: Request) -> AsyncGenerator[bytes, None]:
    """The body in chunks as they arrive. Raises Refused (400) if it ends early."""
    async with aclosing(request.stream()) as stream:
        try:
            async for chunk in stream:
                if chunk:
                    yield chunk
        except ClientDisconnect:
            raise ended_early() from None


def too_slow(within_s: float) -> Refused:
    """408."""
    return Refused(408, "body_not_read", f"The body did not come within {within_s:g} s.", headers=_CLOSE)


def ended_early() -> Refused:
    """400; the client has probably disconnected."""
    return Refused(400, "body_not_read", "The body ended early.")


async def _read(request: Request, on_array: Callable[[], None]) -> bytes:
    body, array = bytearray(), False
    async for chunk in request.stream():
        body += chunk
        if not array and is_array(body):
            array = True
            on_array()
        if len(body) > (BATCH_BYTES if array else QUESTION_BYTES):
            raise _too_long(array=array)
    return bytes(body)


def _declared(request: Request) -> int:
    """Content-Length; 0 if it is missing (a chunked body) or invalid, which the server refuses."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _too_long(*, array: bool) -> Refused:
    if not array:
        one = too_large()
        return Refused(413, one.reason, one.refusal.error, headers=_CLOSE)
    return Refused(
        413,
        "too_large",
        f"An array is at most {BATCH_BYTES:,} bytes: send more as application/x-ndjson.",
        headers=_CLOSE,
    )
