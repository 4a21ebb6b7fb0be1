"""The OpenAI-compatible chat endpoint as bytes: a request's body and headers, and a reply read back. Pure."""

import re
from collections.abc import Mapping
from typing import Any, Literal, assert_never

import orjson

from services.core.case import sizes
from services.core.case.repetition import repeats
from services.core.errors import Retry
from services.core.ledger.calls import Reply, Request
from services.llm import chat_json, content, finish, usage
from services.llm.troubles import TooLarge

ALLOWANCE_BYTES = 262_144
"""On top of that for the reply's JSON: its envelope, escapes, and thinking, which never enters a message."""

REFUSED = "the model refused: "
"""The prefix of a refusal's `problem`."""

_PROBLEM = 500
"""Characters of a refusal that are kept."""

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
    """The request's headers: call id, owner, stage and case."""
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "Accept-Encoding": "identity",  # the size limit counts the bytes that are read
        "X-Request-Id": request.call_id,
        "X-Owner": owner,
        "X-Stage": request.stage,
        "X-Case-Id": request.case_id,
    }


def text_bound(request: Request) -> int:
    """The most bytes of the reply's text."""
    return sizes.reply_bytes(request.sampling.max_tokens)


def body_bound(request: Request) -> int:
    """The most bytes of a reply's body."""
    return text_bound(request) + ALLOWANCE_BYTES


def reply(request: Request, data: bytes) -> Reply:
    """Read the body of a 200.

    Raises Retry where it is broken (no JSON, no choices, wrong types), TooLarge where its text exceeds the bound. A
    reply without a complete text has the reason in `problem`: it was interrupted, repeats itself, or is a refusal.
    """
    chat = chat_json.parse(data)
    said = content.read(_first_choice(chat), structured=request.schema is not None, marks=request.model.thinking)
    means, problem = said.finish, f"{REFUSED}{said.refusal[:_PROBLEM]}" if said.refusal else ""
    if repeats(said.text):
        means, problem = "interrupted", f"interrupted: the text repeats itself (finish reason {said.reason})"
    elif means == "interrupted":
        problem = f"interrupted: finish reason {said.reason}"
    read = Reply(
        text="" if said.refusal else said.text,
        finish_reason=finish.written(means),
        usage=usage.read(chat.get("usage")),
        thinking=said.thinking,
        problem=problem,
    )
    if len(read.text) > text_bound(request) or len(read.text.encode()) > text_bound(request):
        raise TooLarge(f"reply too large: its text exceeds {text_bound(request)} bytes", read.usage)
    return read


def too_large(request: Request) -> TooLarge:
    """The error for a body beyond its limit, whose usage is unknown."""
    return TooLarge(f"reply too large: more than {body_bound(request)} bytes")


def _response_format(schema: Mapping[str, Any], how: Literal["json_schema", "json_object", "none"]) -> dict[str, Any]:
    """The field that requests JSON; empty if the model does not support it and only the prompt does."""
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


def _first_choice(chat: Mapping[str, Any]) -> dict[str, Any]:
    choices = chat.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise Retry("broken reply: no choices")
    return choices[0]
