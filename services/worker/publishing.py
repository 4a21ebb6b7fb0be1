"""Publishes a recipe to the topic `recipes` under its id, and which recipe is current."""

import orjson

from services.contracts.codec import encode
from services.contracts.recipe import Recipe
from services.contracts.topics import CURRENT, RECIPES
from services.core import ids
from services.core.case.sizes import case_bytes
from services.core.messages import OutgoingRecord, Sink


class RecipeTooLarge(ValueError):
    """A case of this recipe could grow beyond what Kafka's clients send. Says what to do."""


async def publish_recipe(sink: Sink, recipe: Recipe, *, current: bool, max_message_bytes: int) -> str:
    """Publish a recipe, and with `current` make it the one for new cases; harmless to repeat. Returns its id.

    Raises RecipeTooLarge where a case could exceed `max_message_bytes`; BrokerAway.
    """
    if (size := case_bytes(recipe)) > max_message_bytes:
        raise RecipeTooLarge(
            f"a case of the recipe {recipe.name} may grow to {size:,} bytes, and messages have {max_message_bytes:,}: "
            "raise REASONMED_KAFKA__MAX_MESSAGE_BYTES everywhere and the topics' max.message.bytes, or lower its "
            "max_tokens"
        )
    recipe_id = ids.recipe_id(recipe)
    await sink.publish([OutgoingRecord(RECIPES, recipe_id.encode(), encode(recipe), {})])
    if current:  # after the recipe itself: what `current` names must exist
        await sink.publish([OutgoingRecord(RECIPES, CURRENT.encode(), orjson.dumps(recipe_id), {})])
    return recipe_id
