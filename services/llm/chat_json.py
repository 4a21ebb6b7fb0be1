"""The body of a 200 as a chat completion: JSON, however servers and gateways wrap it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from services.core.errors import Retry

_BEFORE = re.compile(rb"(?:\xef\xbb\xbf)?(?:\s+|:[^\n]*(?:\n|\Z))*")
"""A byte order mark, blank lines, and comment lines, with which gateways keep a connection open."""

_TEXTS = ("content", "reasoning_content", "reasoning")


def parse(data: bytes) -> dict[str, Any]:
    """The chat completion in a body. Raises Retry, without quoting the body, where there is none."""
    body = data[_BEFORE.match(data).end() :].rstrip(b"\0 \t\r\n")  # type: ignore[union-attr]  # it matches nothing as well
    if not body:
        raise Retry("broken reply: an empty body")
    if body.startswith((b"data:", b"event:", b"id:", b"retry:")):
        return _from_events(body)
    try:
        chat = _loads(body)
    except ValueError:
        raise Retry(f"broken reply: {_kind(body)}") from None
    if isinstance(chat, list) and len(chat) == 1:
        chat = chat[0]
    if not isinstance(chat, dict):
        raise Retry("broken reply: not a JSON object")
    return chat


def _loads(body: bytes) -> Any:
    """JSON, and what some servers take for it: NaN, control characters in strings, half of an emoji, broken UTF-8."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        pass
    try:
        return _valid(json.loads(body.decode("utf-8", "replace"), strict=False))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _valid(value: Any) -> Any:
    """The value with valid Unicode: U+FFFD for half of a surrogate pair."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_valid(item) for item in value]
    if isinstance(value, dict):
        return {_valid(name): _valid(item) for name, item in value.items()}
    return value


def _kind(body: bytes) -> str:
    if body[:1] == b"<":
        return "an HTML page in place of JSON: check the alias's base_url"
    return f"{len(body)} bytes that are not JSON"


def _from_events(body: bytes) -> dict[str, Any]:
    """The chat completion that an event stream adds up to: some servers stream though none was asked for."""
    chat: dict[str, Any] = {}
    message: dict[str, list[str]] = {name: [] for name in _TEXTS}
    choice: dict[str, Any] = {"finish_reason": None}
    for event in _events(body):
        chat |= {name: event[name] for name in ("usage", "error") if event.get(name)}
        choices = event.get("choices")
        first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        choice |= {name: first[name] for name in ("finish_reason", "error") if first.get(name)}
        delta = first.get("delta") or first.get("message") or {}
        for name, texts in message.items():
            said = delta.get(name) if isinstance(delta, dict) else None
            texts += [said] if isinstance(said, str) else []
    if not any(message.values()) and "error" not in chat and "error" not in choice:
        raise Retry("broken reply: an event stream without a text, though none was asked for")
    said = {name: "".join(texts) for name, texts in message.items() if texts}
    return {**chat, "choices": [{**choice, "message": said}]}


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    for line in body.splitlines():
        if line.startswith(b"data:") and (data := line[5:].strip()) not in (b"", b"[DONE]"):
            try:
                event = _loads(data)
            except ValueError:
                raise Retry("broken reply: an event stream with an event that is not JSON") from None
            if isinstance(event, dict):
                yield event
