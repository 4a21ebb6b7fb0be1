"""What a reply says that it cost, made comparable."""

from collections.abc import Mapping
from typing import Any

from services.contracts.case import Usage
from services.core.ledger.calls import Reply, Request

_INT64_MAX = 2**63 - 1

CUT_CHARS_A_TOKEN = 10
"""More characters of prompt for each counted token than any tokenizer takes (English has 4 to 5): the server has cut
the prompt. Ollama does so in silence."""
_CUT_FROM_CHARS = 2_000
"""Shorter prompts fit every context."""


def read(value: Any) -> Usage:
    """Usage as a reply's JSON has it. What makes no sense counts as zero: nobody pays twice for a miscounted reply.

    Some servers leave reasoning tokens out of completion_tokens; the total has them."""
    if not isinstance(value, dict):
        return Usage()
    prompt, completion = _tokens(value.get("prompt_tokens")), _tokens(value.get("completion_tokens"))
    return Usage(
        prompt=prompt,
        completion=max(completion, _tokens(value.get("total_tokens")) - prompt),
        cached=_cached(value),
    )


def is_missing(reply: Reply) -> bool:
    """Whether the server didn't say what the reply cost."""
    return reply.usage.prompt == 0 and reply.usage.completion == 0


def is_prompt_cut(request: Request, reply: Reply) -> bool:
    """Whether the server seems to have read only a part of the prompt."""
    chars, tokens = len(request.prompt), reply.usage.prompt
    return tokens > 0 and chars >= _CUT_FROM_CHARS and chars > CUT_CHARS_A_TOKEN * tokens


def _cached(value: Mapping[str, Any]) -> int:
    details = value.get("prompt_tokens_details")
    cached = details.get("cached_tokens") if isinstance(details, dict) else None
    return _tokens(value.get("prompt_cache_hit_tokens") if cached is None else cached)


def _tokens(value: Any) -> int:
    return value if type(value) is int and 0 <= value <= _INT64_MAX else 0
