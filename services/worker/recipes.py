"""The recipes that this process knows, followed from the topic `recipes`."""

import asyncio
from collections.abc import AsyncIterator

import structlog

from services.contracts.base import RecipeId
from services.contracts.codec import Malformed, UnknownVersion, decode, loads
from services.contracts.recipe import Recipe
from services.contracts.topics import CURRENT
from services.core.case import ids
from services.core.errors import Dead
from services.core.holds import Holds
from services.core.messages import ConsumedRecord

WAIT_S = 60.0
"""How long a message waits for its recipe, before it is dead as `not_yet`."""

log = structlog.get_logger()


class Recipes:
    """Every published recipe by its id, and the current one's id. A service never substitutes a recipe of its own."""

    def __init__(self, holds: Holds | None = None) -> None:
        self.caught_up = asyncio.Event()
        """Set once the topic has been read to what was its end: before, `current` may name an older one."""
        self._holds = holds or Holds()
        self._by_id: dict[RecipeId, Recipe] = {}
        self._current: RecipeId | None = None
        self._news = asyncio.Condition()

    async def follow(self, messages: AsyncIterator[ConsumedRecord]) -> None:
        """Take in what the topic holds and will hold, from its beginning. Returns when the messages end."""
        async for received in messages:
            async with self._news:
                self.take(received)
                self._news.notify_all()

    def take(self, received: ConsumedRecord) -> None:
        """Take in one message. What is no recipe, or not the one that its key names, is logged and left out."""
        key = (received.key or b"").decode(errors="replace")
        try:
            if key == CURRENT:
                self._current = RecipeId(str(loads(received.value or b"")))
                return
            recipe = decode(Recipe, received.value or b"")
            # Of what was written, not of what was read: a newer reader's defaults are no part of an older recipe.
            if ids.digest("recipe", loads(received.value or b"")) != key:
                raise Malformed("its key is not the digest of the recipe")
            self._by_id[RecipeId(key)] = recipe
        except (Malformed, UnknownVersion) as error:
            log.warning("recipe left out", key=key[:80], offset=received.offset, error=str(error))

    async def get(self, recipe_id: RecipeId, wait_s: float = WAIT_S) -> Recipe:
        """The recipe with this id. Raises Dead('not_yet') where it isn't published within `wait_s` seconds."""
        if recipe_id not in self._by_id:
            try:
                async with asyncio.timeout(wait_s), self._news:
                    await self._news.wait_for(lambda: recipe_id in self._by_id)
            except TimeoutError:
                raise Dead(
                    "not_yet", f"{recipe_id} was not published within {wait_s:g} s: publish it, then redrive"
                ) from None
        return self._by_id[recipe_id]

    async def current(self) -> RecipeId:
        """The id of the recipe for new cases. Waits until the topic has been read to its end, and one is named: past
        `WAIT_S` the worker is red, with why."""
        with self._holds.hold("the current recipe (publish one with --current)", "away", for_s=WAIT_S):
            await self.caught_up.wait()
            async with self._news:
                await self._news.wait_for(lambda: self._current is not None)
        assert self._current is not None
        return self._current
