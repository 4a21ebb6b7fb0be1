"""The expected largest size of a case under a recipe, from which Kafka's size limits are set.

An upper estimate for usual model texts. A text of only control characters takes six times its bytes as JSON; the sink
refuses a message that is too large, and the case becomes a dead letter.
"""

from services.contracts.recipe import Recipe

BYTES_A_TOKEN = 6
"""Bytes per token: replies are cut off beyond max_tokens × this. The average token of common vocabularies is
shorter."""

JSON_OVERHEAD = 1.1
"""A factor for escapes and field names."""

QUESTION_BYTES = 256 * 1024
"""The largest question that the gateway accepts."""

VERDICT_BYTES = 2 * 4_000 * 4
"""Reason and justification: 4,000 characters each, at most 4 bytes a character."""


CALL_BYTES = 250
"""The size of a call in a path's lineage."""


def reply_bytes(max_tokens: int) -> int:
    """The largest reply that is read, in bytes."""
    return BYTES_A_TOKEN * max_tokens


def case_bytes(recipe: Recipe) -> int:
    """The expected largest case under this recipe, in bytes of JSON."""
    routing = recipe.routing
    judged = VERDICT_BYTES + 3 * recipe.max_asks * CALL_BYTES  # written, judged, scored
    planned = len(recipe.generate.plan) * (reply_bytes(recipe.generate.max_tokens) + judged)
    medium = routing.keep * (reply_bytes(recipe.refine.sampling.max_tokens) + judged)
    strong = routing.rounds * routing.strong_paths * (reply_bytes(recipe.reason.sampling.max_tokens) + judged)
    return int(JSON_OVERHEAD * (QUESTION_BYTES + planned + max(medium, strong)))
