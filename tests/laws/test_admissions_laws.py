"""The laws of the port Admissions, for all three ledgers; near-duplicates have a file of their own."""

import asyncio
from functools import partial

from services.contracts.base import CaseId, RecipeId
from services.contracts.case import Usage
from services.core.ledger.calls import Reply
from services.core.messages import Position
from services.ledger import Ledger

CASE_1 = CaseId("case-1")
RECIPE_1 = RecipeId("recipe-1")
RECIPE_2 = RecipeId("recipe-2")

A, B = "worker-a", "worker-b"
REPLY = Reply("It is β-lactam.\nFinal answer: B", "stop", Usage(prompt=70, completion=9, cached=64), "hm\x00 ☤")
OTHER = Reply("Final answer: C", "length", Usage(prompt=70, completion=5))
HERE, THERE = Position("question-submitted", 0, 7), Position("question-submitted", 3, 7)


async def test_a_question_is_admitted_once(ledger: Ledger) -> None:
    """The same message again is 'same', any other a 'duplicate'. All get the first's recipe."""
    admit = partial(ledger.admissions.admit, named=None, life=0)
    first = await admit(CASE_1, current=RECIPE_1, position=HERE)
    same = await admit(CASE_1, current=RECIPE_2, position=HERE)
    late = [await admit(CASE_1, current=RECIPE_2, position=THERE) for _ in range(3)]
    other = await admit(CaseId("case-2"), current=RECIPE_2, position=THERE)
    assert [(it.verdict, it.recipe_id) for it in (first, same, *late, other)] == [
        ("first", "recipe-1"),
        ("same", "recipe-1"),
        *[("duplicate", "recipe-1")] * 3,
        ("first", "recipe-2"),
    ]
    assert await ledger.books.admitted() == {"first": 2, "duplicate": 1}


async def test_a_question_is_admitted_once_for_each_named_recipe_and_life(ledger: Ledger) -> None:
    """A named recipe is another admission than none, even where it is the current one; so is a redrive's life."""
    verdicts = [
        (await ledger.admissions.admit(CASE_1, named=named, current=RECIPE_1, life=life, position=position)).verdict
        for position in (HERE, THERE)
        for named, life in ((None, 0), (RECIPE_1, 0), (RECIPE_2, 0), (None, 1), (RECIPE_2, 1))
    ]
    assert verdicts == ["first"] * 5 + ["duplicate"] * 5
    again = await ledger.admissions.admit(CASE_1, named=RECIPE_2, current=RECIPE_1, life=0, position=HERE)
    assert (again.verdict, again.recipe_id) == ("same", "recipe-2")


async def test_of_concurrent_submissions_one_is_first(store) -> None:
    """From two processes."""
    async with store.ledger() as one, store.ledger() as two:
        admissions = await asyncio.gather(
            *(
                ledger.admissions.admit(
                    "case-1", named=None, current=f"recipe-{n}", life=0, position=Position("t", n, 0)
                )
                for n, ledger in enumerate([one, two] * 10)
            )
        )
        assert sorted(it.verdict for it in admissions) == ["duplicate"] * 19 + ["first"]
        assert len({it.recipe_id for it in admissions}) == 1
        assert await two.books.admitted() == {"first": 1, "duplicate": 19}
