"""The training text of a row: its last line states the answer, and no other line does."""

import re
from collections.abc import Iterator
from typing import assert_never

from services.contracts.question import Question
from services.core.case.answers import stated
from services.datasets.names import Variant

_LOOKS_LIKE_IT = re.compile(r"^\W*final answer\W*?[:：]", re.IGNORECASE)


def answer_text(variant: Variant, chain: str, summary: str, question: Question) -> str:
    """The answer of a variant. Its last line, `Final answer: X`, is read by `core.case.answers` as the gold letter."""
    pieces: tuple[str, ...]
    match variant:
        case "CoTMed":
            pieces = (chain,)
        case "ResponseMed":
            pieces = (summary,)
        case "ReasonMed":
            pieces = (chain, summary)
        case _:
            assert_never(variant)
    return _joined([*(without_answer(piece, question) for piece in pieces), final_line(question.answer)])


def think_text(chain: str, summary: str, question: Question) -> str:
    """The chain as thinking, then the summary and the line `Final answer: X`."""
    thinking = f"<think>\n{without_answer(chain, question)}\n</think>"
    return _joined([thinking, without_answer(summary, question), final_line(question.answer)])


def chain_text(chain: str, question: Question, letter: str | None) -> str:
    """A chain of thought that may be wrong. Ends with the line of the letter that it states, if any."""
    return _joined([without_answer(chain, question), "" if letter is None else final_line(letter)])


def final_line(letter: str) -> str:
    """The final line."""
    return f"Final answer: {letter}"


def without_answer(text: str, question: Question) -> str:
    """The text without lines that state an answer."""
    lines = text.strip().splitlines()
    if lines and _LOOKS_LIKE_IT.match(lines[-1]):
        lines.pop()
    return "\n".join(_kept(lines, question)).strip()


def _kept(lines: list[str], question: Question) -> Iterator[str]:
    for line in lines:
        if not (_LOOKS_LIKE_IT.match(line) and stated(line, question)):
            yield line


def _joined(pieces: list[str]) -> str:
    return "\n\n".join(piece for piece in pieces if piece)
