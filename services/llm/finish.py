"""Maps servers' finish reasons to: whole, cut off or interrupted."""

from typing import Any, Literal

from services.contracts.case import FinishReason

Finish = Literal["whole", "cut off", "interrupted"]

_WHOLE = {
    "stop",
    "eos",
    "eos_token",
    "end_turn",
    "stop_sequence",
    "stop_token",
    "stop_string",
    "end",
    "complete",
    "completed",
    "finished",
    "done",
    "normal",
    "eos_found",
}
_ENUM = "finish_reason_"
"""The prefix of an enum's name, as in FINISH_REASON_STOP."""

_CUT_OFF = {"length", "max_tokens", "model_length", "max_new_tokens", "max_output_tokens", "max_completion_tokens"} | {
    "model_context_window_exceeded", "context_length", "token_limit", "incomplete", "max_length", "max_tokens_reached",
}  # fmt: skip
REFUSED = {"refusal"}
CALLED = {"tool_calls", "tool_call", "function_call", "tool_use"}
"""The model called a tool instead of writing: whole where the call's arguments are the reply (see content.py)."""

_WRITTEN: dict[Finish, FinishReason] = {"whole": "stop", "cut off": "length", "interrupted": "other"}


def finish(value: Any) -> Finish:
    """The meaning of a server's finish reason. Unknown reasons count as interrupted, so that half a sentence is not
    taken for a whole text; the reason is reported."""
    said = name(value)
    if said in _WHOLE or said in REFUSED:
        return "whole"
    return "cut off" if said in _CUT_OFF else "interrupted"


def name(value: Any) -> str:
    """The reason's plain name, in lower case: also of `{"type": "stop"}`; "null" where there is none."""
    if isinstance(value, dict):
        value = value.get("type")
    return value.strip().casefold().removeprefix(_ENUM)[:60] if isinstance(value, str) and value.strip() else "null"


def written(value: Finish) -> FinishReason:
    """The finish reason in messages and the ledger."""
    return _WRITTEN[value]


def meant(reason: FinishReason) -> Finish:
    """The meaning of a finish reason from messages and the ledger."""
    return next(means for means, written in _WRITTEN.items() if written == reason)
