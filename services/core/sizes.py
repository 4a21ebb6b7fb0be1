"""How large a case can grow under a recipe: the one number that the size limits of Kafka's clients must hold."""

from services.contracts.recipe import Recipe

BYTES_A_TOKEN = 6
"""A reply is cut off beyond max_tokens × this: the longest tokens of common vocabularies, on average, are shorter."""

JSON_OVERHEAD = 1.1
"""Escapes and field names, as a factor."""

QUESTION_BYTES = 256 * 1024
"""What the gateway lets in."""

VERDICT_BYTES = 2 * 4_000 * 4
"""Reason and justification: 4,000 characters each, at most 4 bytes a character."""


def reply_bytes(max_tokens: int) -> int:
    """The largest reply that is read, in bytes."""
    return BYTES_A_TOKEN * max_tokens


def case_bytes(recipe: Recipe) -> int:
    """The largest case under this recipe, in bytes of JSON."""
    routing = recipe.routing
    planned = len(recipe.generate.plan) * (reply_bytes(recipe.generate.max_tokens) + VERDICT_BYTES)
    medium = routing.keep * (reply_bytes(recipe.refine.sampling.max_tokens) + VERDICT_BYTES)
    strong = routing.rounds * routing.strong_paths * (reply_bytes(recipe.reason.sampling.max_tokens) + VERDICT_BYTES)
    return int(JSON_OVERHEAD * (QUESTION_BYTES + planned + max(medium, strong)))
