"""Bytes to cases and back: what a stage reads, and what it refuses."""

import asyncio

import pytest

from services.contracts.base import VERSION, RecipeId, newer
from services.contracts.case import Case
from services.contracts.codec import canonical, decode, encode, loads
from services.core import ids
from services.core.errors import Dead
from services.core.holds import Holds
from services.core.messages import ConsumedRecord, Emit
from services.protogen.examples import CASE_ID, RECIPE, RECIPE_ID, examples
from services.worker.handling import outgoing, read_case
from services.worker.recipes import Recipes

CASE = examples()["case"]


def received(value: bytes, key: bytes = CASE_ID.encode()) -> ConsumedRecord:
    return ConsumedRecord("paths-verified", 0, 7, key, value, {})


def recipe(value: bytes, key: str = RECIPE_ID) -> ConsumedRecord:
    return ConsumedRecord("recipes", 0, 0, key.encode(), value, {})


def test_a_case_passes_unchanged() -> None:
    assert outgoing(Emit("paths-verified", CASE_ID, read_case(received(encode(CASE))))).value == encode(CASE)


@pytest.mark.parametrize(("writer", "stamped"), [("1.0", VERSION), ("1.99", "1.99")])
def test_a_case_is_passed_on_under_the_newer_version(writer: str, stamped: str) -> None:
    assert read_case(received(encode(CASE.with_(version=writer)))).version == newer(stamped, VERSION)


def test_versions_are_compared_by_number() -> None:
    assert newer("1.9", "1.10") == newer("1.10", "1.9") == "1.10"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (received(b"{"), "poison"),
        (received(b""), "poison"),
        (received(encode(CASE), key=b"case-of-another"), "poison"),
        (received(encode(CASE.with_(version="2.0"))), "not_yet"),
    ],
)
def test_malformed_messages_are_dead_lettered(message: ConsumedRecord, kind: str) -> None:
    with pytest.raises(Dead) as dead:
        read_case(message)
    assert dead.value.kind == kind


async def test_a_recipe_is_had_once_it_is_published() -> None:
    recipes = Recipes()
    recipes.take(recipe(encode(RECIPE)))
    assert await recipes.get(RECIPE_ID) == RECIPE


async def test_the_current_recipe_is_the_last_named_however_often_the_topic_is_read() -> None:
    """Read from the beginning, the topic names older ones first: they are not reported."""
    recipes = Recipes()
    asked = asyncio.create_task(recipes.current())
    for named in ("recipe-" + "0" * 32, RECIPE_ID):
        recipes.take(recipe(canonical(named), key="current"))
        await asyncio.sleep(0)
        assert not asked.done()
    recipes.caught_up.set()
    assert await asked == RECIPE_ID

    recipes.caught_up.clear()  # read again
    recipes.take(recipe(canonical("recipe-" + "0" * 32), key="current"))
    asked = asyncio.create_task(recipes.current())
    await asyncio.sleep(0)
    assert not asked.done()
    recipes.take(recipe(canonical(RECIPE_ID), key="current"))
    recipes.caught_up.set()
    assert await asked == RECIPE_ID


async def test_without_a_current_recipe_the_worker_says_what_it_waits_for() -> None:
    holds = Holds(clock=iter(range(0, 10_000, 100)).__next__)
    asked = asyncio.create_task(Recipes(holds).current())
    await asyncio.sleep(0)
    assert ["current recipe" in held.what for held in holds.overdue()] == [True]
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)


async def test_a_recipe_of_another_minor_keeps_the_id_that_its_writer_gave_it() -> None:
    """A newer reader's defaults are no part of it: here, a writer that knew fewer fields."""
    older = canonical({key: value for key, value in RECIPE.model_dump(mode="json").items() if key != "max_asks"})
    key = RecipeId(ids.digest("recipe", loads(older)))
    recipes = Recipes()
    recipes.take(recipe(older, key=key))
    assert (await recipes.get(key)).max_asks == RECIPE.max_asks


async def test_invalid_recipes_are_skipped() -> None:
    recipes = Recipes()
    recipes.caught_up.set()
    recipes.take(recipe(b"{"))
    recipes.take(recipe(encode(RECIPE), key="recipe-" + "0" * 32))
    with pytest.raises(Dead) as dead:
        await recipes.get(RECIPE_ID, wait_s=0.01)
    assert dead.value.kind == "not_yet"


def test_unknown_fields_pass() -> None:
    value = decode(Case, encode(CASE)).model_dump() | {"later": {"n": 2**63}}
    assert decode(Case, outgoing(Emit("t", CASE_ID, read_case(received(canonical(value))))).value).model_extra == {
        "later": {"n": 2**63}
    }
