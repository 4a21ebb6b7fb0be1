"""Admission with its checks: what is refused, what is not even looked at, and how it is set."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.question import Question, Submission
from services.contracts.refused import Match, Refused
from services.contracts.topics import (
    CASE_REJECTED,
    CURRENT,
    QUESTION_ADMITTED,
    QUESTION_REFUSED,
    QUESTION_SUBMITTED,
    RECIPES,
)
from services.core import ids
from services.core.dedupe.evaluation_file import dump
from services.core.dedupe.evaluation_index import Entry, build
from services.core.errors import BadIndex, BudgetSpent
from services.core.ledger.ports import Refusal
from services.core.messages import ConsumedRecord, Emit
from services.ledger.memory.ledger import memory_ledger
from services.router.admission import admit
from services.router.checks import NONE, Checks, checks
from services.router.settings import Admission, RouterSettings
from services.worker.recipes import Recipes
from tests.strategies import recipe

RECIPE = recipe()
STEM = "Which of these enzymes is missing in classic phenylketonuria, so that phenylalanine builds up in the blood?"
ASKED = Question(question=STEM, options={"A": "Phenylalanine hydroxylase", "B": "Tyrosinase"}, answer="A", id="pku")
LIKE_IT = ASKED.with_(question=STEM.upper(), id=None)


@pytest.fixture
def recipes() -> Recipes:
    known = Recipes()
    recipe_id = ids.recipe_id(RECIPE)
    known.take(ConsumedRecord(RECIPES, 0, 0, recipe_id.encode(), encode(RECIPE), {}))
    known.take(ConsumedRecord(RECIPES, 0, 1, CURRENT.encode(), f'"{recipe_id}"'.encode(), {}))
    known.caught_up.set()
    return known


@pytest.fixture
def index(tmp_path: Path) -> Path:
    file = tmp_path / "evaluation.index"
    file.write_bytes(dump(build([(Entry.of("exam.jsonl", ASKED, 1), ASKED)])))
    return file


def submitted(question: Question, offset: int, life: int = 0) -> ConsumedRecord:
    submission = Submission(case_id=ids.case_id(question), question=question, life=life)
    return ConsumedRecord(QUESTION_SUBMITTED, 0, offset, submission.case_id.encode(), encode(submission), {})


async def test_an_evaluation_set_s_question_is_refused_with_what_it_matched(recipes: Recipes, index: Path) -> None:
    ledger, likeness_checks = memory_ledger(), checks(Admission(evaluation_index=index))
    match = Match(where="exam.jsonl", id="pku", text=STEM, similarity=1.0)
    case_id = ids.case_id(LIKE_IT)
    expected = Emit(
        QUESTION_REFUSED, case_id, Refused(case_id=case_id, question=LIKE_IT, reason="evaluation_set", match=match)
    )
    assert await admit(submitted(LIKE_IT, 1), recipes, ledger.admissions, ledger.budgets, likeness_checks) == [expected]
    assert await admit(submitted(LIKE_IT, 1), recipes, ledger.admissions, ledger.budgets, NONE) == [expected], (
        "it is read again, without the set"
    )
    assert await admit(submitted(LIKE_IT, 2), recipes, ledger.admissions, ledger.budgets, likeness_checks) == []


async def test_a_near_duplicate_is_refused_and_a_redrive_is_not(recipes: Recipes, index: Path) -> None:
    ledger, near = memory_ledger(), checks(Admission(near_duplicates=0.9))
    [first] = await admit(submitted(ASKED, 1), recipes, ledger.admissions, ledger.budgets, near)
    assert first.topic == QUESTION_ADMITTED
    [second] = await admit(submitted(LIKE_IT, 2), recipes, ledger.admissions, ledger.budgets, near)
    assert isinstance(second.message, Refused)
    assert (second.message.reason, second.message.match.where) == ("near_duplicate", ids.case_id(ASKED))
    both = checks(Admission(evaluation_index=index, near_duplicates=0.9))
    [redriven] = await admit(submitted(LIKE_IT, 3, life=1), recipes, ledger.admissions, ledger.budgets, both)
    assert redriven.topic == QUESTION_ADMITTED


async def test_without_checks_all_come_in(recipes: Recipes) -> None:
    ledger = memory_ledger()
    assert checks(Admission()) == NONE
    for offset, question in enumerate((ASKED, LIKE_IT)):
        [emit] = await admit(submitted(question, offset), recipes, ledger.admissions, ledger.budgets)
        assert emit.topic == QUESTION_ADMITTED


async def test_an_admitted_question_stays_admitted_when_redelivered(recipes: Recipes) -> None:
    """Though it would be refused by now: what it became may be published already."""
    ledger = memory_ledger()
    strict = Checks(refusal=lambda _: Refusal("evaluation_set", Match(where="f", id="1", text="", similarity=1)))
    first = await admit(submitted(ASKED, 1), recipes, ledger.admissions, ledger.budgets)
    assert await admit(submitted(ASKED, 1), recipes, ledger.admissions, ledger.budgets, strict) == first


def test_both_are_off_unless_set(monkeypatch: pytest.MonkeyPatch, index: Path) -> None:
    assert RouterSettings().admission == Admission()
    for value in ("", str(index)):
        monkeypatch.setenv("REASONMED_ADMISSION__EVALUATION_INDEX", value)
        monkeypatch.setenv("REASONMED_ADMISSION__NEAR_DUPLICATES", value and "0.85")
        expected = Admission(evaluation_index=index, near_duplicates=0.85) if value else Admission()
        assert RouterSettings().admission == expected


@pytest.mark.parametrize("value", ["0.5", "1.1", "nan", "much"])
def test_a_threshold_that_would_find_nothing_or_too_much_is_refused(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("REASONMED_ADMISSION__NEAR_DUPLICATES", value)
    with pytest.raises(ValidationError, match="near_duplicates"):
        RouterSettings()


def test_an_unreadable_index_fails_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadIndex, match=r"evaluation index .*gone can't be read"):
        checks(Admission(evaluation_index=tmp_path / "gone"))


async def test_a_question_that_a_person_ended_while_it_waited_is_rejected_with_the_reason(recipes: Recipes) -> None:
    ledger = memory_ledger()
    await ledger.budgets.set_limit(0)
    with pytest.raises(BudgetSpent):
        await admit(submitted(ASKED, 1), recipes, ledger.admissions, ledger.budgets)
    assert await ledger.budgets.end(ids.case_id(ASKED), "out of scope")
    [ended] = await admit(submitted(ASKED, 1), recipes, ledger.admissions, ledger.budgets)
    assert ended.topic == CASE_REJECTED
    assert isinstance(ended.message, Case)
    assert ended.message.rejected == "ended by an operator: out of scope"
    await ledger.budgets.set_limit(None)
    assert await admit(submitted(ASKED, 1), recipes, ledger.admissions, ledger.budgets) == [ended], "read again"
