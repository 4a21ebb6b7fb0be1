"""Admission: questions become cases, each once, however often they are submitted."""

import time
from collections.abc import Callable

from services.contracts.base import RecipeId
from services.contracts.case import Case
from services.contracts.codec import Malformed, UnknownVersion, decode
from services.contracts.question import Submission
from services.contracts.recipe import Recipe
from services.contracts.refused import Refused
from services.contracts.topics import CASE_REJECTED, QUESTION_ADMITTED, QUESTION_REFUSED
from services.core import ids
from services.core.case.paths import by_operator
from services.core.errors import BudgetSpent, Dead
from services.core.ledger.budget_bound import prior
from services.core.ledger.ports import Admissions, Budgets, Refusal
from services.core.messages import ConsumedRecord, Emit
from services.router.checks import NONE, PERSONAL_DATA, Checks
from services.worker.handling import check_key
from services.worker.recipes import Recipes

NAMED_S = 5.0
"""How long after its writing a submission waits for the recipe that it names, in seconds: for one that is being
published. From its writing, so that many which name no recipe at all are over at once, whatever their number."""


async def admit(
    record: ConsumedRecord,
    recipes: Recipes,
    admissions: Admissions,
    budgets: Budgets,
    checks: Checks = NONE,
    clock: Callable[[], float] = time.time,
) -> list[Emit]:
    """The case of a submitted question, under the recipe that the ledger keeps for it; or its refusal, with the reason;
    nothing for a duplicate; its rejection, where it holds personal data, or where a person has ended it while it waited
    for the budget.

    A record that is read again has the same result, byte for byte, even if the checks have changed. A redrive is not
    checked: a person has decided. Raises Dead for a record that can't be read, or names a recipe that is not
    published; BudgetSpent where it must wait.
    """
    submission = _read(record)
    current = submission.recipe_id or await recipes.current()
    await _published(current, recipes, wait_s=record.timestamp_ms / 1000 + NAMED_S - clock())
    admission = await admissions.admit(
        submission.case_id,
        named=submission.recipe_id,
        current=current,
        life=submission.life,
        position=record.position,
        refusal=checks.refusal(submission) if submission.life == 0 else None,
        candidate=checks.candidate(submission),
    )
    if admission.verdict == "duplicate":
        return []
    if admission.refusal is not None:
        return [Emit(QUESTION_REFUSED, submission.case_id, refused(submission, admission.refusal))]
    case = new_case(submission, admission.recipe_id)
    if submission.life == 0 and (why := checks.personal_data(submission)):
        await budgets.end(case.case_id, why)  # kept in the ledger: a redelivery has the same result
    if await _reserved(case, await recipes.get(case.recipe_id), budgets):
        return [Emit(QUESTION_ADMITTED, submission.case_id, case)]
    if (reason := await budgets.ended(case.case_id)) is not None:
        rejected = reason if reason.startswith(PERSONAL_DATA) else by_operator(reason)
        return [Emit(CASE_REJECTED, case.case_id, case.with_(rejected=rejected))]
    raise BudgetSpent("the budget is reached, questions wait: see `reasonmed budget`, raise it with `budget set`")


async def _published(recipe_id: RecipeId, recipes: Recipes, *, wait_s: float) -> None:
    try:
        await recipes.get(recipe_id, wait_s=min(max(wait_s, 0.0), NAMED_S))
    except Dead as unknown:  # the sender's mistake: many of them are no reason to stop admission
        raise Dead(unknown.kind, unknown.error, trips_circuit=False) from unknown


async def _reserved(case: Case, recipe: Recipe, budgets: Budgets) -> bool:
    return await budgets.reserve(
        case.case_id, case.work_id, case.life, recipe_id=case.recipe_id, prior_nano_usd=prior(recipe)
    )


def new_case(submission: Submission, recipe_id: RecipeId) -> Case:
    """The first case of a question."""
    return Case(
        case_id=submission.case_id,
        work_id=ids.work_id(submission.case_id, recipe_id),
        recipe_id=recipe_id,
        life=submission.life,
        question=submission.question,
    )


def refused(submission: Submission, refusal: Refusal) -> Refused:
    """The message for a refused question."""
    return Refused(
        case_id=submission.case_id,
        question=submission.question,
        life=submission.life,
        reason=refusal.reason,
        match=refusal.match,
    )


def _read(record: ConsumedRecord) -> Submission:
    try:
        submission = decode(Submission, record.value or b"")
    except UnknownVersion as error:
        raise Dead("not_yet", str(error)) from error
    except Malformed as error:
        raise Dead("poison", f"no submission: {error}") from error
    check_key(record, submission.case_id)
    if submission.case_id != ids.case_id(submission.question):
        raise Dead("poison", "case_id is not the digest of the question")
    return submission
