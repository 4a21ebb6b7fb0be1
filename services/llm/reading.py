"""Parses a server's response, with status and headers, into a reply or an exception."""

from collections.abc import Mapping

from services.core.errors import Retry
from services.core.ledger.calls import Reply, Request
from services.llm import error_responses, wire

_DECODED = ("", "identity", "gzip", "x-gzip", "deflate")


def read(request: Request, status: int, headers: Mapping[str, str], data: bytes, *, now: float) -> Reply:
    """Parse a response; a reply counts with any 2xx, since it is paid for.

    `headers` with lower-case names; `now` in Unix seconds, for dates in Retry-After.
    Raises ModelAway (Busy, Refuses), Retry (TimedOut) or Reject (TooLarge), as services.llm.trouble_table says.
    """
    if not 200 <= status <= 299:
        raise error_responses.trouble(status, data, headers=headers, now=now)
    try:
        reply = wire.reply(request, data)
    except Retry as broken:
        inside = error_responses.error_in_reply(data, headers=headers, now=now)
        raise inside or _unread_encoding(headers) or broken from None
    if reply.interrupted and (inside := error_responses.error_in_reply(data, headers=headers, now=now)) is not None:
        raise inside
    return reply


def _unread_encoding(headers: Mapping[str, str]) -> Retry | None:
    encoding = headers.get("content-encoding", "").strip().casefold()
    if encoding in _DECODED or not encoding.isalnum():
        return None
    return Retry(f"broken reply: its encoding is {encoding[:20]}, and identity was asked for")
