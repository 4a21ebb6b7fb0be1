"""Normalises the usage that a reply reports."""

from collections.abc import Mapping
from typing import Any

from services.contracts.case import Usage
from services.core.ledger.calls import Reply, Request

_INT64_MAX = 2**63 - 1
_DIGITS = len(str(_INT64_MAX))

CUT_CHARS_A_TOKEN = 10
"""Characters of the prompt per counted token, more than with any tokenizer (English has 4 to 5): beyond it the server
has cut the prompt, which Ollama does silently."""
_CUT_FROM_CHARS = 2_000
"""Characters of a prompt below which it fits every context."""


def read(value: Any) -> Usage:
    """The usage in a reply's JSON. Invalid numbers count as 0, rather than failing a paid reply.

    Some servers leave reasoning tokens out of completion_tokens; the total or the details have them."""
    if not isinstance(value, dict):
        return Usage()
    prompt = _first(value, "prompt_tokens", "input_tokens")
    completion = _first(value, "completion_tokens", "output_tokens")
    reasoning = _first(_details(value, "completion_tokens_details"), "reasoning_tokens")
    if reasoning > completion:
        completion += reasoning
    return Usage(
        prompt=prompt,
        completion=max(completion, _tokens(value.get("total_tokens")) - prompt),
        cached=_cached(value),
    )


def is_missing(reply: Reply) -> bool:
    """Whether the reply has no usage."""
    return reply.usage.prompt == 0 and reply.usage.completion == 0


def is_prompt_cut(request: Request, reply: Reply) -> bool:
    """Whether the server has probably truncated the prompt."""
    chars, tokens = len(request.prompt), reply.usage.prompt
    return tokens > 0 and chars >= _CUT_FROM_CHARS and chars > CUT_CHARS_A_TOKEN * tokens


def _cached(value: Mapping[str, Any]) -> int:
    details = _details(value, "prompt_tokens_details")
    return _first({**value, **details}, "cached_tokens", "prompt_cache_hit_tokens", "cache_read_input_tokens")


def _details(value: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    details = value.get(name)
    return details if isinstance(details, dict) else {}


def _first(value: Mapping[str, Any], *names: str) -> int:
    """The first of these that is there."""
    return next((_tokens(value[name]) for name in names if value.get(name) is not None), 0)


def _tokens(value: Any) -> int:
    if isinstance(value, str) and value.isdecimal() and len(value) < _DIGITS:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and 0 <= value <= _INT64_MAX else 0
