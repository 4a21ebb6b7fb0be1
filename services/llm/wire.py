"""The OpenAI-compatible chat endpoint as bytes: a request's body and headers, and a reply read back. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Literal, assert_never

import orjson

from services.contracts.case import FinishReason, Usage
from services.core.case import sizes
from services.core.errors import Retry
from services.core.ledger.calls import Reply, Request
from services.llm.troubles import TooLarge

ALLOWANCE_BYTES = 262_144
"""On top of that for the reply's JSON: its envelope, escapes, and thinking, which never enters a message."""

_INT64_MAX = 2**63 - 1
_NOT_A_SCHEMA_NAME = re.compile(r"[^A-Za-z0-9_-]")


def body(request: Request) -> bytes:
    """The request's JSON."""
    model, sampling = request.model, request.sampling
    parameters: dict[str, Any] = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": request.seed,
    }
    for name in model.omit or ():
        parameters.pop(name, None)
    if model.max_tokens_as is not None and "max_tokens" in parameters:
        parameters[model.max_tokens_as] = parameters.pop("max_tokens")
    chat = {"model": model.served, "messages": request.messages, **parameters, "stream": False}
    if request.schema is not None:
        chat |= _response_format(request.schema, model.response_format or "json_schema")
    return orjson.dumps(chat | (model.extra_body or {}))


def headers(request: Request, *, owner: str) -> dict[str, str]:
    """The request's headers: its call id, who asks, and for what."""
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # the bound on bytes is one on what is read
        "X-Request-Id": request.call_id,
        "X-Owner": owner,
        "X-Stage": request.stage,
        "X-Case-Id": request.case_id,
    }


def text_bound(request: Request) -> int:
    """Bytes that the reply's text may have."""
    return sizes.reply_bytes(request.sampling.max_tokens)


def body_bound(request: Request) -> int:
    """Bytes that are read of a reply."""
    return text_bound(request) + ALLOWANCE_BYTES


def reply(request: Request, data: bytes) -> Reply:
    """Read the body of a 200.

    Raises Retry where it is broken (no JSON, no choices, wrong types), TooLarge where its text exceeds the bound. What
    usage says is taken where it makes sense, and is zero elsewhere: nobody pays twice for a miscounted reply.
    """
    chat = _parse(data)
    choice = _first_choice(chat)
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Retry("broken reply: its first choice has no message")
    content = _text(message, "content")
    apart = _text(message, "reasoning_content") or _text(message, "reasoning")
    inline, text = split_thinking(content)
    read = Reply(
        text=text,
        finish_reason=_finish_reason(choice.get("finish_reason")),
        usage=_usage(chat.get("usage")),
        thinking="\n".join(part for part in (apart, inline) if part),
    )
    if len(text) > text_bound(request) or len(text.encode()) > text_bound(request):
        raise TooLarge(f"reply too large: its text exceeds {text_bound(request)} bytes", read.usage)
    return read


def split_thinking(content: str) -> tuple[str, str]:
    """Thinking and text of a reply's content. `<think>` without an end: all of it is thinking. An end without a
    beginning, too, ends thinking: some chat templates put the beginning into the prompt."""
    start = content.lstrip()
    opened = start.startswith("<think>")
    before, end, after = start.removeprefix("<think>").partition("</think>")
    if end and (opened or "<think>" not in before):
        return before.strip(), after.lstrip()
    return (before.strip(), "") if opened else ("", content)


def _response_format(schema: Mapping[str, Any], how: Literal["json_schema", "json_object", "none"]) -> dict[str, Any]:
    """The field that asks for JSON; empty where the model takes none and the prompt alone asks for it."""
    match how:
        case "none":
            return {}
        case "json_object":
            return {"response_format": {"type": "json_object"}}
        case "json_schema":
            return {"response_format": _json_schema(schema)}
        case _:
            assert_never(how)


def _json_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    name = _NOT_A_SCHEMA_NAME.sub("_", str(schema.get("title", "reply")))[:64] or "reply"
    return {"type": "json_schema", "json_schema": {"name": name, "schema": dict(schema), "strict": True}}


def _parse(data: bytes) -> dict[str, Any]:
    try:
        chat = orjson.loads(data)
    except orjson.JSONDecodeError:
        # Not `from error`: orjson's error carries the whole document, which may hold the prompt.
        raise Retry(f"broken reply: {len(data)} bytes that are not JSON") from None
    if not isinstance(chat, dict):
        raise Retry("broken reply: not a JSON object")
    return chat


def _first_choice(chat: Mapping[str, Any]) -> dict[str, Any]:
    choices = chat.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Retry("broken reply: no choices")
    return choices[0]


def _text(message: Mapping[str, Any], field: str) -> str:
    value = message.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Retry(f"broken reply: {field} is not text")
    return value


def _finish_reason(value: Any) -> FinishReason:
    return value if value in ("stop", "length") else "other"


def _usage(value: Any) -> Usage:
    if not isinstance(value, dict):
        return Usage()
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else 0
    return Usage(
        prompt=_tokens(value.get("prompt_tokens")),
        completion=_tokens(value.get("completion_tokens")),
        cached=_tokens(cached),
    )


def _tokens(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= _INT64_MAX else 0
