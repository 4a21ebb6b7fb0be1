"""A request's body, bounded while it is read: in bytes and in time."""

import asyncio

from starlette.requests import ClientDisconnect, Request

from services.core.sizes import QUESTION_BYTES
from services.gateway.refusals import Refused

READ_WITHIN_S = 10.0
"""Seconds for a whole body: 256 KiB at 210 kbit/s. A client that trickles holds a place."""

_CLOSE = {"Connection": "close"}
"""The rest isn't read: the connection can't serve another request."""


async def read_json(request: Request) -> bytes:
    """The body's bytes.

    Raises Refused: 415 (type or encoding), 413 (declared or found too long), 408 (too slow), 400 (ended early).
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refused(415, "content_type", "Send the question as application/json.")
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refused(415, "content_type", "Send the question uncompressed.", headers={"Accept-Encoding": "identity"})
    if _declared(request) > QUESTION_BYTES:
        raise _too_large()
    try:
        async with asyncio.timeout(READ_WITHIN_S):
            return await _read(request)
    except TimeoutError:
        raise Refused(
            408, "body_not_read", f"The body did not come within {READ_WITHIN_S:g} s.", headers=_CLOSE
        ) from None
    except ClientDisconnect:
        raise Refused(400, "body_not_read", "The body ended early.") from None


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > QUESTION_BYTES:
            raise _too_large()
    return bytes(body)


def _declared(request: Request) -> int:
    """Content-Length; 0 where none is given (a chunked body) or it is no number, which the server refuses itself."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isascii() and length.isdigit() else 0


def _too_large() -> Refused:
    return Refused(413, "too_large", f"A question is at most {QUESTION_BYTES:,} bytes of JSON.", headers=_CLOSE)
