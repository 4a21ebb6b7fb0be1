"""Personal data is found before any model call, and vignettes are not taken for it."""

import gzip
from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.case import Case
from services.contracts.codec import encode
from services.contracts.question import Question, Submission
from services.contracts.topics import CASE_REJECTED, CURRENT, QUESTION_ADMITTED, QUESTION_SUBMITTED, RECIPES
from services.core import ids
from services.core.messages import ConsumedRecord
from services.ledger.memory.ledger import memory_ledger
from services.router.admission import admit
from services.router.checks import NONE, checks
from services.router.privacy import PATTERNS, identifiers
from services.router.settings import Admission, RouterSettings
from services.worker.recipes import Recipes
from tests.strategies import recipe

ROOT = Path(__file__).parents[3]
LINES = [line.split("\t") for line in (ROOT / "tests/data/privacy_lines.tsv").read_text().splitlines()]
SHARED = ROOT.parent / "shared/data/questions.jsonl.gz"
MISSED = {"Tel: 0044 20 7946 0111, asked for by the ward."}
"""An international number that begins with zeros."""


def asked(stem: str, **more: object) -> Question:
    return Question.model_validate({"question": stem, "options": {"A": "this", "B": "that"}, "answer": "A"} | more)


PERSONAL = asked("A 54-year-old man (MRN 00482913, anna.keller@example.org) has chest pain. What is the diagnosis?")
PLAIN = asked("A 54-year-old man with a blood pressure of 168/114 mm Hg has chest pain. What is the diagnosis?")


@pytest.mark.parametrize(("kind", "line"), LINES, ids=[f"{kind} {at}" for at, (kind, _) in enumerate(LINES)])
def test_a_labelled_line(kind: str, line: str) -> None:
    assert bool(identifiers(asked(line))) == (kind != "none" and line not in MISSED)


def test_there_are_two_hundred_lines_half_of_them_without_identifiers() -> None:
    assert (len(LINES), Counter(kind for kind, _ in LINES)["none"]) == (200, 100)


def test_options_and_context_are_read_too_and_each_kind_is_named_once() -> None:
    question = asked(
        "Who?", context=("DOB 03/14/1962", "born on May 5, 1949"), options={"A": "a@example.org", "B": "no"}
    )
    assert identifiers(question) == ["e-mail address", "date of birth"]


def test_two_options_that_are_numbers_are_no_phone_number() -> None:
    assert identifiers(asked("How many?", options={"A": "400", "B": "900", "C": "1800"})) == []


@pytest.mark.skipif(not SHARED.exists(), reason="there are no shared questions")
def test_real_questions_raise_one_alarm() -> None:
    """Of 5,996: a sum of numbers of nine and more digits."""
    with gzip.open(SHARED) as file:
        rows = [orjson.loads(line) for line in file]
    fields = ("question", "options", "answer", "context")
    questions = {row["id"]: {name: row[name] for name in fields if row.get(name)} for row in rows}
    found = [name for name, row in questions.items() if identifiers(Question.model_validate(row))]
    assert len(found) <= 1


@given(st.text("0123456789 MRNo:#.-()Streetbon/", max_size=4_000))
def test_no_text_takes_long(text: str) -> None:
    """A pattern that is not linear needs minutes for some of these; pytest's time limit would end it."""
    for pattern in PATTERNS.values():
        pattern.search(text)


@pytest.fixture
def recipes() -> Recipes:
    known, published = Recipes(), recipe()
    recipe_id = ids.recipe_id(published)
    known.take(ConsumedRecord(RECIPES, 0, 0, recipe_id.encode(), encode(published), {}))
    known.take(ConsumedRecord(RECIPES, 0, 1, CURRENT.encode(), f'"{recipe_id}"'.encode(), {}))
    known.caught_up.set()
    return known


def submitted(question: Question, offset: int, life: int = 0) -> ConsumedRecord:
    submission = Submission(case_id=ids.case_id(question), question=question, life=life)
    return ConsumedRecord(QUESTION_SUBMITTED, 0, offset, submission.case_id.encode(), encode(submission), {})


async def test_a_question_with_personal_data_is_rejected_and_stays_so(recipes: Recipes) -> None:
    ledger, strict = memory_ledger(), checks(Admission(personal_data="refuse"))
    [rejected] = await admit(submitted(PERSONAL, 1), recipes, ledger.admissions, ledger.budgets, strict)
    assert rejected.topic == CASE_REJECTED
    assert isinstance(rejected.message, Case)
    assert rejected.message.rejected == "personal data: e-mail address, record number"
    assert rejected.message.paths == ()
    assert await admit(submitted(PERSONAL, 1), recipes, ledger.admissions, ledger.budgets, NONE) == [rejected], (
        "it is read again, without the check"
    )
    [admitted] = await admit(submitted(PLAIN, 2), recipes, ledger.admissions, ledger.budgets, strict)
    assert admitted.topic == QUESTION_ADMITTED


async def test_what_was_admitted_before_the_check_stays_admitted(recipes: Recipes) -> None:
    ledger = memory_ledger()
    first = await admit(submitted(PERSONAL, 1), recipes, ledger.admissions, ledger.budgets)
    strict = checks(Admission(personal_data="refuse"))
    assert await admit(submitted(PERSONAL, 1), recipes, ledger.admissions, ledger.budgets, strict) == first


async def test_a_flag_admits_counts_and_logs_no_text(recipes: Recipes, capsys: pytest.CaptureFixture[str]) -> None:
    flags: list[None] = []
    ledger, lenient = memory_ledger(), checks(Admission(personal_data="flag"), lambda: flags.append(None))
    for offset, question in enumerate((PERSONAL, PLAIN)):
        [emit] = await admit(submitted(question, offset), recipes, ledger.admissions, ledger.budgets, lenient)
        assert emit.topic == QUESTION_ADMITTED
    logged = capsys.readouterr().out
    assert len(flags) == 1
    assert ids.case_id(PERSONAL) in logged
    assert "anna.keller" not in logged


async def test_a_redrive_is_not_checked(recipes: Recipes) -> None:
    ledger, strict = memory_ledger(), checks(Admission(personal_data="refuse"))
    [emit] = await admit(submitted(PERSONAL, 1, life=1), recipes, ledger.admissions, ledger.budgets, strict)
    assert emit.topic == QUESTION_ADMITTED


def test_it_is_off_unless_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert RouterSettings().admission.personal_data is None
    monkeypatch.setenv("REASONMED_ADMISSION__PERSONAL_DATA", "refuse")
    assert RouterSettings().admission.personal_data == "refuse"
