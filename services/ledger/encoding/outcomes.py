"""How a call's outcome is written in a store: JSON, the same bytes for the same outcome.

Not compressed: measured on English prose, zlib (level 1) and zstd halve the bytes and cost 0.07 to 0.15 ms a text,
as much as the rest of a call's claim and completion together.
"""

from typing import assert_never

from services.contracts.case import Usage
from services.contracts.codec import canonical, loads
from services.core.ledger.calls import Failure, Outcome, Reply


def encode(outcome: Outcome) -> bytes:
    """The bytes of an outcome. TypeError for a text that isn't valid Unicode (a lone surrogate)."""
    usage = outcome.usage.model_dump()
    match outcome:
        case Reply():
            kept = {
                "text": outcome.text,
                "finish_reason": outcome.finish_reason,
                "thinking": outcome.thinking,
                "usage": usage,
                **({"problem": outcome.problem} if outcome.problem else {}),
            }
            return canonical({"reply": kept})
        case Failure():
            return canonical({"failure": {"reason": outcome.reason, "usage": usage}})
        case _:
            assert_never(outcome)


def decode(data: bytes) -> Outcome:
    """The outcome that these bytes hold; fields that a newer version added are passed over."""
    raw = loads(data)
    if (reply := raw.get("reply")) is not None:
        usage = Usage.model_validate(reply["usage"])
        return Reply(reply["text"], reply["finish_reason"], usage, reply.get("thinking", ""), reply.get("problem", ""))
    failure = raw["failure"]
    return Failure(failure["reason"], Usage.model_validate(failure["usage"]))
