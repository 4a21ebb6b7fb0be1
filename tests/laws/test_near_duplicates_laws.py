"""The laws of the port Admissions for refusals and near-duplicates, for all three ledgers."""

import asyncio

import pytest

from services.contracts.base import RecipeId
from services.contracts.question import Question
from services.contracts.refused import Match
from services.core import ids
from services.core.dedupe.near_duplicates import candidate
from services.core.ledger.ports import Admission, Refusal
from services.core.messages import Position
from services.ledger import Ledger

VIGNETTE = (
    "A 57-year-old man with a history of smoking comes to the emergency department because of crushing chest pain that "
    "began two hours ago and radiates into the left arm. He is pale and sweats; blood pressure is 90/60 mm Hg, pulse "
    "110/min. An electrocardiogram shows ST elevations in leads II, III and aVF. Which artery is most likely occluded?"
)
OPTIONS = ("Right coronary artery", "Left circumflex artery", "Left anterior descending artery", "Left main artery")
IN_TEST = Refusal("evaluation_set", Match(where="test.jsonl", id="17", text="A 57-year-old …", similarity=1.0))


def question(stem: str = VIGNETTE, options: tuple[str, ...] = OPTIONS, name: str | None = None) -> Question:
    return Question(question=stem, options=dict(zip("ABCDE", options, strict=False)), answer="A", id=name)


ORIGINAL = question(name="medqa:7")
COPY = question(VIGNETTE.upper().replace("57", "58"), OPTIONS[::-1])
OTHER = question("Which vitamin is deficient in scurvy?", ("Vitamin A", "Vitamin B1", "Vitamin C", "Vitamin D"))


async def admit(
    ledger: Ledger,
    asked: Question,
    offset: int,
    *,
    refusal: Refusal | None = None,
    threshold: float | None = 0.85,
    named: RecipeId | None = None,
    life: int = 0,
) -> Admission:
    case_id = ids.case_id(asked)
    return await ledger.admissions.admit(
        case_id,
        named=named,
        current=RecipeId("recipe-1"),
        life=life,
        position=Position("question-submitted", offset % 4, offset),
        refusal=refusal,
        candidate=None if threshold is None else candidate(case_id, asked, threshold),
    )


async def test_a_near_duplicate_of_an_admitted_question_is_refused(ledger: Ledger) -> None:
    """The refusal names the admitted question and the similarity; a different question is admitted."""
    assert (await admit(ledger, ORIGINAL, 1)).refusal is None
    refused = await admit(ledger, COPY, 2)
    assert refused.verdict == "first"
    assert refused.refusal is not None
    assert refused.refusal.reason == "near_duplicate"
    match = refused.refusal.match
    assert (match.where, match.id, match.text) == (ids.case_id(ORIGINAL), "medqa:7", VIGNETTE[:500])
    assert 0.85 <= match.similarity < 1
    assert (await admit(ledger, OTHER, 3)).refusal is None


async def test_a_redelivery_gets_the_first_verdict_again(ledger: Ledger) -> None:
    """Under any settings; another message of a refused question is a duplicate."""
    await admit(ledger, ORIGINAL, 1)
    refused = await admit(ledger, COPY, 2)
    for threshold, refusal in ((0.85, None), (None, None), (None, IN_TEST)):
        again = await admit(ledger, COPY, 2, threshold=threshold, refusal=refusal)
        assert (again.verdict, again.refusal) == ("same", refused.refusal)
        admitted = await admit(ledger, ORIGINAL, 1, threshold=threshold, refusal=refusal)
        assert (admitted.verdict, admitted.refusal) == ("same", None)
    assert (await admit(ledger, COPY, 3)).verdict == "duplicate"


async def test_the_caller_s_refusal_is_kept(ledger: Ledger) -> None:
    """With its match."""
    assert (await admit(ledger, ORIGINAL, 1, refusal=IN_TEST)).refusal == IN_TEST
    assert (await admit(ledger, ORIGINAL, 1)).refusal == IN_TEST


async def test_a_refused_question_is_not_compared_with_later_ones(ledger: Ledger) -> None:
    """Neither a question of an evaluation set nor a near-duplicate."""
    await admit(ledger, ORIGINAL, 1, refusal=IN_TEST)
    assert (await admit(ledger, COPY, 2)).refusal is None
    between = question(VIGNETTE.replace("57", "58"))
    assert (await admit(ledger, between, 3)).refusal is not None
    assert (refusal := (await admit(ledger, question(VIGNETTE + " Why?"), 4)).refusal)
    assert refusal.match.where == ids.case_id(COPY)


async def test_a_question_is_not_compared_with_itself(ledger: Ledger) -> None:
    """Submitted again for another recipe, it is admitted."""
    await admit(ledger, ORIGINAL, 1)
    again = await admit(ledger, ORIGINAL, 2, named=RecipeId("recipe-2"))
    assert (again.verdict, again.refusal) == ("first", None)


async def test_a_redrive_is_admitted_and_compared_with_later_ones(ledger: Ledger) -> None:
    await admit(ledger, ORIGINAL, 1)
    assert (await admit(ledger, COPY, 2, life=1)).refusal is None
    assert (await admit(ledger, COPY, 3, named=RecipeId("recipe-2"))).refusal is None, "it was admitted before"


async def test_without_a_candidate_nothing_is_compared(ledger: Ledger) -> None:
    """A worker without the check admits questions that later checks do not see."""
    assert (await admit(ledger, ORIGINAL, 1, threshold=None)).refusal is None
    assert (await admit(ledger, COPY, 2)).refusal is None


async def test_the_refusal_names_the_most_similar_question(ledger: Ledger) -> None:
    near = question(VIGNETTE + " Explain.")
    for number, asked in enumerate((near, ORIGINAL)):
        await admit(ledger, asked, number, threshold=1.0)
    refusal = (await admit(ledger, question(VIGNETTE.lower()), 5)).refusal
    assert refusal is not None
    assert (refusal.match.where, refusal.match.similarity) == (ids.case_id(ORIGINAL), 1.0)


@pytest.mark.parametrize("threshold", [0.75, 1.0])
async def test_of_concurrent_near_duplicates_exactly_one_is_admitted(store, threshold: float) -> None:
    """From two processes."""
    alike = [question(VIGNETTE, OPTIONS[n % 4 :] + OPTIONS[: n % 4], f"q{n}") for n in range(4)]
    alike += [question(VIGNETTE + "!" * n) for n in range(1, 12)]
    async with store.ledger() as one, store.ledger() as two:
        admissions = await asyncio.gather(
            *(admit((one, two)[n % 2], asked, n, threshold=threshold) for n, asked in enumerate(alike))
        )
    assert [it.verdict for it in admissions] == ["first"] * 15
    [first] = [asked for asked, it in zip(alike, admissions, strict=True) if it.refusal is None]
    assert {it.refusal.match.where for it in admissions if it.refusal} == {ids.case_id(first)}


async def test_pruning_drops_refusals_and_compared_questions(ledger: Ledger, clock) -> None:
    """With their admissions; newer ones stay."""
    await admit(ledger, ORIGINAL, 1)
    await admit(ledger, COPY, 2)
    clock.pass_(100)
    await admit(ledger, OTHER, 3)
    await ledger.books.prune(50, admissions_s=50)
    newer = question(OTHER.question.upper(), tuple(OTHER.options.values()))
    assert (await admit(ledger, newer, 4)).refusal is not None
    for _ in range(2):
        assert (await admit(ledger, COPY, 5)).refusal is None
    assert (refusal := (await admit(ledger, ORIGINAL, 6)).refusal)
    assert refusal.match.where == ids.case_id(COPY)
