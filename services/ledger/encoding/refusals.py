"""A refusal as the stores write it: JSON, so that a newer version's fields stay."""

from services.contracts.codec import canonical, loads
from services.contracts.refused import Match
from services.core.ledger.ports import Refusal


def encode(refusal: Refusal) -> bytes:
    """Its bytes."""
    return canonical({"reason": refusal.reason, "match": refusal.match.model_dump(mode="json")})


def decode(data: bytes) -> Refusal:
    """What `encode` wrote, or the Valkey ledger's script."""
    read = loads(data)
    return Refusal(read["reason"], Match.model_validate(read["match"]))
