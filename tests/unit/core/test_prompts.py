"""Prompts are filled in one pass: nothing that a question says is a placeholder."""

from hypothesis import given
from hypothesis import strategies as st

from services.contracts.question import Question
from services.core.case import prompts
from tests.strategies import QUESTION, questions, texts

TEMPLATE = 'Say {"verdict": "Error"}.\n{question}\nAnswer: {gold}\n{path}\n{unknown} {Gold} {}'
braced = st.sampled_from(["{gold}", "{path}", "{question}", "{{gold}}", "{", "}", "{0}", "\\g<0>", "%s", "$gold"])


@given(question=questions(), trap=braced, path=texts)
def test_a_question_is_unchanged_in_its_prompt(question: Question, trap: str, path: str) -> None:
    block = prompts.question_block(question.with_(question=question.question + trap))
    before, after = TEMPLATE.split("{question}")
    assert prompts.render(TEMPLATE, question=block, gold="GOLD", path=path) == (
        before + block + after.replace("{gold}", "GOLD").replace("{path}", path, 1)
    )


@given(template=texts, trap=braced)
def test_a_question_that_names_gold_does_not_get_it(template: str, trap: str) -> None:
    block = prompts.question_block(QUESTION.with_(question="{gold}" + trap, context=("{gold}",)))
    rendered = prompts.render("{question}" + template.replace("{", "("), question=block, gold="SECRET")
    assert "SECRET" not in rendered
    assert "{gold}" in rendered


def test_braces_that_are_no_given_placeholder_stay() -> None:
    rendered = prompts.render(TEMPLATE, gold="C")
    assert rendered == TEMPLATE.replace("{gold}", "C")


@given(question=questions())
def test_the_block_shows_stem_context_and_options_in_order_and_not_which_is_gold(question: Question) -> None:
    shown = [question.question, *question.context, *(f"{x}. {text}" for x, text in question.options.items())]
    block = prompts.question_block(question)
    place = 0
    for text in shown:
        place = block.index(text, place) + len(text)
    assert {prompts.question_block(question.with_(answer=letter)) for letter in question.options} == {block}


def test_bullets_are_unique_in_order_one_a_line() -> None:
    assert prompts.bullets(["b\nc", "a", "b c", ""]) == "- b c\n- a"
    assert prompts.bullets([]) == "-"
