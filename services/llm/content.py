"""Parses a reply's first choice: text and thinking, in all forms and fields that servers use."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from services.core.errors import Retry
from services.llm import finish, thinking

_DEPTH = 6
"""The deepest nesting of lists and objects that is searched for text."""

_THOUGHT = ("thinking", "reasoning", "redacted_thinking", "thought")
"""How the types of parts that are thinking begin."""


@dataclass(frozen=True)
class Content:
    """The content of a choice."""

    text: str
    thinking: str
    refusal: str
    finish: finish.Finish
    reason: str
    """The server's finish reason, in lower case."""


@dataclass(frozen=True)
class _Parts:
    text: str = ""
    thinking: str = ""
    refusal: str = ""


def read(choice: Mapping[str, Any], *, structured: bool = False, marks: tuple[str, str] | None = None) -> Content:
    """The content of a choice. `structured`: JSON was requested; without other text, a reasoning field that
    ends in a JSON object, or the arguments of a tool call, are the text. Raises Retry if there is no message."""
    message = choice.get("message", choice.get("delta"))
    if message is None and isinstance(choice.get("text"), str):
        message = {"content": choice["text"]}
    if not isinstance(message, Mapping):
        raise Retry("broken reply: its first choice has no message")
    parts = _parts(message.get("content"))
    inline, text = thinking.split(parts.text, marks)
    fields = ("reasoning_content", "reasoning", "reasoning_details", "thinking", "thinking_blocks")
    apart = next((said for name in fields if (said := _any_text(message.get(name)).strip())), "")
    reason, means = finish.name(choice.get("finish_reason")), finish.finish(choice.get("finish_reason"))
    if not text.strip():
        apart, text, means = _elsewhere(message, apart, text, means, reason, structured=structured)
    return Content(
        text=text,
        thinking="\n".join(dict.fromkeys(part for part in (apart, parts.thinking, inline) if part)),
        refusal=_refusal(message, parts, text, reason),
        finish=means,
        reason=reason,
    )


def _elsewhere(
    message: Mapping[str, Any], apart: str, text: str, means: finish.Finish, reason: str, *, structured: bool
) -> tuple[str, str, finish.Finish]:
    """Thinking, text and finish of a reply whose content is empty."""
    inner, outer = thinking.split(apart)
    if inner and outer.strip():
        return inner, outer, means
    if structured and means == "whole" and apart.rstrip(" \r\n`").endswith("}"):
        return "", apart, means
    if structured and isinstance(message.get("parsed"), dict):
        return apart, orjson.dumps(message["parsed"]).decode(), means
    arguments = _arguments(message)
    if structured and arguments and reason in finish.CALLED | {"stop"}:
        return apart, arguments, "whole"
    return apart, text, means


def _refusal(message: Mapping[str, Any], parts: _Parts, text: str, reason: str) -> str:
    said = message.get("refusal")
    if isinstance(said, str) and said.strip():
        return said.strip()
    return parts.refusal or (text.strip() or "no words" if reason in finish.REFUSED else "")


def _parts(content: Any, depth: int = _DEPTH) -> _Parts:
    """A content that is a text, a list of parts, or JSON that the server has parsed already."""
    match content:
        case None:
            return _Parts()
        case str():
            return _Parts(text=content)
        case list():
            each = [_parts(item, depth - 1) for item in content] if depth else []
            return _Parts(
                "".join(part.text for part in each),
                "\n".join(part.thinking for part in each if part.thinking),
                "\n".join(part.refusal for part in each if part.refusal),
            )
        case dict():
            return _part(content, depth)
        case _:
            raise Retry(f"broken reply: its content is a {type(content).__name__}")


def _part(item: dict[str, Any], depth: int) -> _Parts:
    match item.get("type"):
        case "text" | "output_text":
            return _Parts(text=_any_text(item.get("text")))
        case "json" | "output_json":
            return _Parts(text=orjson.dumps(item.get("json")).decode())
        case "refusal":
            return _Parts(refusal=_any_text(item.get("refusal")).strip())
        case str(kind) if kind.startswith(_THOUGHT):
            return _Parts(thinking=_any_text(item).strip())
        case None if "parts" in item:
            return _parts(item["parts"], depth - 1) if depth else _Parts()
        case None if item.keys() == {"text"}:
            return _Parts(text=_any_text(item["text"]))
        case None:
            return _Parts(text=orjson.dumps(item).decode())
        case _:
            return _Parts()


def _any_text(value: Any, depth: int = _DEPTH) -> str:
    """The text in a value at any nesting, without non-text values."""
    if isinstance(value, str):
        return value
    if depth and isinstance(value, list):
        return "".join(_any_text(item, depth - 1) for item in value)
    if depth and isinstance(value, dict):
        names = ("text", "value", "thinking", "summary", "content", "reasoning")
        return next((said for name in names if (said := _any_text(value.get(name), depth - 1))), "")
    return ""


def _arguments(message: Mapping[str, Any]) -> str:
    """The arguments of a lone tool call, as JSON."""
    calls = message.get("tool_calls") or [{"function": message.get("function_call")}]
    call = calls[0] if isinstance(calls, list) and len(calls) == 1 and isinstance(calls[0], dict) else {}
    function = call.get("function")
    arguments = function.get("arguments") if isinstance(function, dict) else None
    if isinstance(arguments, dict):
        return orjson.dumps(arguments).decode()
    return arguments if isinstance(arguments, str) and _is_object(arguments) else ""


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
