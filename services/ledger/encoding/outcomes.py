"""How a call's outcome is written in a store: JSON, the same bytes for the same outcome.

SQLite keeps it so, on a disk; Valkey, in memory, compressed (services/ledger/valkey/calls.py). What a call was made for
stands beside the outcome, in some 75 bytes; older rows have none.
"""

from dataclasses import astuple
from typing import assert_never

from services.contracts.case import Usage
from services.contracts.codec import canonical, loads
from services.core.ledger.calls import Failure, Outcome, Reply
from services.core.ledger.ports import Origin
from services.core.ledger.spending import Price


def encode(outcome: Outcome, price: Price | None = None) -> bytes:
    """The bytes of an outcome, and what it is charged to. TypeError for a text that isn't valid Unicode (a lone
    surrogate)."""
    of = origin_of(price)
    origin = {} if of is None else {"of": astuple(of)}
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
            return canonical({"reply": kept, **origin})
        case Failure():
            return canonical({"failure": {"reason": outcome.reason, "usage": usage}, **origin})
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


def decode_origin(data: bytes) -> Origin | None:
    """What the call was made for; None where its writer did not say."""
    origin = loads(data).get("of")
    return None if origin is None else Origin(*origin[:4])


def origin_of(price: Price | None) -> Origin | None:
    """What a call with this price is made for."""
    return None if price is None else Origin(price.case_id, price.stage, price.alias, price.sends)
