"""A call as data: for the command line and the gateway."""

from datetime import UTC, datetime
from typing import Any, assert_never

from services.core.ledger.calls import Failure, Reply
from services.lineage.calls import CaseCall


def call_data(call: CaseCall) -> dict[str, Any]:
    """A call without its texts. `outcome`: reply, failure, or absent (not in the ledger)."""
    asked, row = call.request, call.row
    life, ask = asked.ask
    origin = None if row is None else row.origin
    return {
        "call_id": call.call_id,
        "stage": asked.stage,
        "path": call.path,
        "alias": asked.alias,
        "model": f"{asked.model.served}@{asked.model.revision}",
        "life": life,
        "ask": ask,
        "seed": asked.seed,
        "temperature": asked.sampling.temperature,
        "max_tokens": asked.sampling.max_tokens,
        "tokens_in": call.usage.prompt,
        "tokens_cached": call.usage.cached,
        "tokens_out": call.usage.completion,
        "usd": call.usd,
        "at": None if row is None else datetime.fromtimestamp(row.at, UTC).isoformat(timespec="seconds"),
        "sends": None if origin is None else origin.sends,
        **_outcome(call),
    }


def texts(call: CaseCall) -> dict[str, Any]:
    """Its prompt as it was sent, its reply, and its thinking."""
    reply = call.outcome if isinstance(call.outcome, Reply) else None
    return {
        "system": call.request.system,
        "prompt": call.request.prompt,
        "reply": None if reply is None else reply.text,
        "thinking": None if reply is None else reply.thinking,
    }


def _outcome(call: CaseCall) -> dict[str, Any]:
    match call.outcome:
        case None:
            return {"outcome": "absent", "finish_reason": None, "problem": ""}
        case Reply() as reply:
            return {"outcome": "reply", "finish_reason": reply.finish_reason, "problem": reply.problem}
        case Failure() as failure:
            return {"outcome": "failure", "finish_reason": None, "problem": failure.reason}
        case other:
            assert_never(other)
