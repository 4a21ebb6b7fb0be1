"""How large a case is expected to grow under a recipe: the one number from which Kafka's size limits are set.

An estimate from above for texts as models write them. A text of control characters alone would be six times its bytes
as JSON; what is too large after all is refused by the sink, and said so in a dead letter.
"""

from services.contracts.recipe import Recipe

BYTES_A_TOKEN = 6
"""A reply is cut off beyond max_tokens × this: the longest tokens of common vocabularies, on average, are shorter."""

JSON_OVERHEAD = 1.1
"""Escapes and field names, as a factor."""

QUESTION_BYTES = 256 * 1024
"""What the gateway lets in."""

VERDICT_BYTES = 2 * 4_000 * 4
"""Reason and justification: 4,000 characters each, at most 4 bytes a character."""


CALL_BYTES = 250
"""A call in a path's lineage."""


def reply_bytes(max_tokens: int) -> int:
    """The largest reply that is read, in bytes."""
    return BYTES_A_TOKEN * max_tokens


def case_bytes(recipe: Recipe) -> int:
    """The largest case to be expected under this recipe, in bytes of JSON."""
    routing = recipe.routing
    judged = VERDICT_BYTES + 3 * recipe.max_asks * CALL_BYTES  # written, judged, scored
    planned = len(recipe.generate.plan) * (reply_bytes(recipe.generate.max_tokens) + judged)
    medium = routing.keep * (reply_bytes(recipe.refine.sampling.max_tokens) + judged)
    strong = routing.rounds * routing.strong_paths * (reply_bytes(recipe.reason.sampling.max_tokens) + judged)
    return int(JSON_OVERHEAD * (QUESTION_BYTES + planned + max(medium, strong)))
