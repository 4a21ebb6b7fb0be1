"""Same content, same id; and what decides a result decides the id."""

import re
import unicodedata
from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.contracts.base import VERSION, CaseId, WorkId
from services.contracts.case import Origin
from services.contracts.codec import decode, encode
from services.contracts.question import Question
from services.contracts.recipe import Model, Recipe, Sampling
from services.core import ids
from services.core.ledger.calls import Request
from tests.strategies import QUESTION, questions, recipe

REQUEST = Request(
    case_id=CaseId("case-0"),
    stage="generate",
    alias="one",
    model=Model(served="org/one", revision="r1"),
    prompt="Why?",
    sampling=Sampling(temperature=0.7, top_p=0.9, max_tokens=100),
    seed=7,
)


@given(question=questions())
def test_same_content_same_id(question: Question) -> None:
    again = Question.model_validate_json(encode(question))
    assert ids.case_id(again) == ids.case_id(question)
    assert re.fullmatch("case-[0-9a-f]{32}", ids.case_id(question))


@given(question=questions(), name=st.text("abc", min_size=1))
def test_where_a_question_comes_from_is_no_part_of_it(question: Question, name: str) -> None:
    moved = question.with_(source=name, id=name, subject=name)
    assert ids.case_id(moved) == ids.case_id(question)


def test_blanks_and_unicode_forms_are_no_part_of_it() -> None:
    question = QUESTION.with_(question="Naïve T cells\nin Sjögren's?", context=("A first look.",))
    decomposed = unicodedata.normalize("NFD", question.question)
    assert decomposed != question.question
    typed_anew = question.with_(question=f"  {decomposed.replace(chr(10), '  ')}\t", context=(" A first\nlook. ",))
    assert ids.case_id(typed_anew) == ids.case_id(question)


@pytest.mark.parametrize(
    "change",
    [
        {"question": "Which vitamin is missing in rickets?"},
        {"question": "which vitamin is missing in scurvy?"},
        {"answer": "D"},
        {"context": ("A passage.",)},
        {"options": {**QUESTION.options, "A": "Vitamin K"}},
        {"options": {**QUESTION.options, "E": "Vitamin E"}},
        {"options": dict(zip("ABCD", reversed(QUESTION.options.values()), strict=True))},
    ],
)
def test_question_and_gold_are_part_of_the_id(change: dict[str, object]) -> None:
    assert ids.case_id(QUESTION.with_(**change)) != ids.case_id(QUESTION)


def test_context_passages_do_not_run_together() -> None:
    one, two = QUESTION.with_(context=("a b",)), QUESTION.with_(context=("a", "b"))
    assert ids.case_id(one) != ids.case_id(two)


@given(kind=st.text("ab"), parts=st.lists(st.text("ab") | st.integers(0, 3), max_size=3), other=st.text("ab"))
def test_digests_of_different_parts_differ(kind: str, parts: list[object], other: str) -> None:
    assert ids.digest(kind, *parts) != ids.digest(kind, *parts, other)
    assert ids.digest(kind, *parts) != ids.digest(f"{kind}x", *parts)


def test_every_place_has_a_path_id_and_a_seed_of_its_own() -> None:
    places = [(origin, round, slot) for origin in get_args(Origin) for round in range(3) for slot in range(12)]
    assert len({ids.path_id(WorkId("work-1"), *place) for place in places}) == len(places)
    seeds = {ids.seed(CaseId("case-1"), "generate", *place) for place in places}
    assert len(seeds) == len(places)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_a_recipe_keeps_its_id_through_the_topic() -> None:
    made = recipe()
    assert ids.recipe_id(decode(Recipe, encode(made))) == ids.recipe_id(made)


def test_a_recipe_of_a_later_version_keeps_its_id_too() -> None:
    later = decode(Recipe, encode(recipe())[:-1] + b',"adaptive":{"waves":2}}')
    assert ids.recipe_id(decode(Recipe, encode(later))) == ids.recipe_id(later) != ids.recipe_id(recipe())


@pytest.mark.parametrize("change", [{"name": "other"}, {"max_asks": 4}, {"score": None}, {"version": f"{VERSION}9"}])
def test_anything_in_a_recipe_changes_its_id(change: dict[str, object]) -> None:
    assert ids.recipe_id(recipe().with_(**change)) != ids.recipe_id(recipe())


@pytest.mark.parametrize(
    "change",
    [
        {"model": Model(served="org/two", revision="r1")},
        {"model": Model(served="org/one", revision="r2")},
        {"prompt": "Why not?"},
        {"sampling": Sampling(temperature=0.8, top_p=0.9, max_tokens=100)},
        {"sampling": Sampling(temperature=0.7, top_p=0.8, max_tokens=100)},
        {"sampling": Sampling(temperature=0.7, top_p=0.9, max_tokens=101)},
        {"schema": {"title": "verdict"}},
        {"seed": 8},
        {"ask": (0, 1)},
        {"ask": (1, 0)},
    ],
)
def test_all_that_decides_a_reply_is_in_the_call_id(change: dict[str, object]) -> None:
    assert replace(REQUEST, **change).call_id != REQUEST.call_id  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [{"alias": "other"}, {"model": Model(served="org/one", revision="r1", price_in=9, context_tokens=999)}],
)
def test_other_fields_are_not_part_of_the_id(change: dict[str, object]) -> None:
    assert replace(REQUEST, **change).call_id == REQUEST.call_id  # type: ignore[arg-type]
