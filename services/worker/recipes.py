"""The published recipes, followed from the topic `recipes`."""

import asyncio
from collections.abc import AsyncIterator

import structlog

from services.contracts.base import RecipeId
from services.contracts.codec import Malformed, UnknownVersion, decode, loads
from services.contracts.recipe import Recipe
from services.contracts.topics import CURRENT, RECIPES
from services.core import ids
from services.core.errors import Dead
from services.core.holds import Holds
from services.core.messages import ConsumedRecord

WAIT_S = 60.0
"""How long a record waits for its recipe, before it is dead as `not_yet`."""

log = structlog.get_logger()


class Recipes:
    """Every published recipe by its id, and the current one's id. A service never substitutes another recipe."""

    def __init__(self, holds: Holds | None = None) -> None:
        self.caught_up = asyncio.Event()
        """Set once the topic has been read to its end: before, a recipe may be missing, and `current` an older one."""
        self._holds = holds or Holds()
        self._by_id: dict[RecipeId, Recipe] = {}
        self._current: RecipeId | None = None
        self._news = asyncio.Condition()

    async def follow(self, records: AsyncIterator[ConsumedRecord]) -> None:
        """Take what the topic holds and will hold, from its beginning. Returns when the records end."""
        async for record in records:
            async with self._news:
                self.take(record)
                self._news.notify_all()

    def take(self, record: ConsumedRecord) -> None:
        """Take one record. One that is no recipe, or whose key is not its digest, is logged and left out."""
        key = (record.key or b"").decode(errors="replace")
        try:
            if key == CURRENT:
                self._current = RecipeId(str(loads(record.value or b"")))
                return
            recipe = decode(Recipe, record.value or b"")
            # Of what was written, not of what was read: a newer reader's defaults are no part of an older recipe.
            if ids.digest("recipe", loads(record.value or b"")) != key:
                raise Malformed("its key is not the digest of the recipe")
            self._by_id[RecipeId(key)] = recipe
        except (Malformed, UnknownVersion) as error:
            log.warning("recipe left out", key=key[:80], offset=record.offset, error=str(error))

    async def get(self, recipe_id: RecipeId, wait_s: float = WAIT_S) -> Recipe:
        """The recipe with this id. Waits until the topic has been read to its end, then up to `wait_s` seconds for a
        recipe that is being published. Raises Dead('not_yet') where it isn't published by then."""
        if recipe_id not in self._by_id:
            await self._caught_up(recipe_id)
            try:
                async with asyncio.timeout(wait_s), self._news:
                    await self._news.wait_for(lambda: recipe_id in self._by_id)
            except TimeoutError:
                raise Dead(
                    "not_yet", f"{recipe_id} was not published within {wait_s:g} s: publish it, then redrive"
                ) from None
        return self._by_id[recipe_id]

    async def known(self, recipe_id: RecipeId) -> Recipe | None:
        """The recipe with this id, if it is published. Waits until the topic has been read to its end."""
        await self._caught_up(recipe_id)
        return self._by_id.get(recipe_id)

    def names(self) -> dict[str, str] | None:
        """The published recipes' names by id, oldest first; None until the topic has been read to its end."""
        return {key: recipe.name for key, recipe in self._by_id.items()} if self.caught_up.is_set() else None

    @property
    def latest(self) -> Recipe | None:
        """The current recipe as far as the topic has been read; None where none is known."""
        return None if self._current is None else self._by_id.get(self._current)

    async def current(self) -> RecipeId:
        """The id of the recipe for new cases. Waits until the topic has been read to its end, and one is named: past
        `WAIT_S` the worker is red, with the reason."""
        await self._caught_up("the current recipe")
        with self._holds.hold("the current recipe (publish one with --current)", "away", for_s=WAIT_S):
            async with self._news:
                await self._news.wait_for(lambda: self._current is not None)
        assert self._current is not None
        return self._current

    async def next_current(self, known: Recipe | None = None) -> Recipe:
        """The current recipe, once the topic has been read to its end and it is another than `known`."""
        while True:
            await self.caught_up.wait()
            async with self._news:
                recipe = self._by_id.get(self._current) if self._current is not None else None
                if recipe is not None and recipe != known and self.caught_up.is_set():
                    return recipe
                await self._news.wait()

    async def _caught_up(self, wanted: str) -> None:
        with self._holds.hold(f"{wanted}: the topic {RECIPES} is being read", "away", for_s=WAIT_S):
            await self.caught_up.wait()
