"""The answer that a text itself states: on its last line, else in a JSON answer field, else none.

Precision before recall: a text that says two things, or something near a letter, states nothing.
"""

import re

from services.contracts.question import Question

_LAST_LINE = re.compile(r"^\W*final answer\W*?[:：]\W*(?P<letter>[A-J])\b(?P<rest>.*)$", re.IGNORECASE)
_FIELD = re.compile(r'"(?:final_answer|answer_choice|answer)"\s*:\s*"\W*(?P<letter>[A-J])\b(?P<rest>[^"]*)"')
_LEAK = re.compile(
    r"\b(?:(?:the |a )?(?:gold|reference|provided|given|supplied|known) (?:standard )?(?:correct )?answer"
    r"(?! choice| option)"  # of the real texts in ../shared/data that came near, all 18 meant the options
    r"|(?:answer|solution) (?:(?:that )?(?:was|is|has been) )?(?:given|provided|supplied)"
    r" (?:to (?:me|us)|above|as correct)"
    r"|(?:I|we) (?:was|were|am|are|have been) (?:told|given) (?:that )?the (?:correct |right )?answer"
    r"|answer key)\b",
    re.IGNORECASE,
)


def stated(text: str, question: Question) -> str | None:
    """The option letter that the text states as its final answer, or none."""
    lines = text.strip().splitlines()
    if lines and (match := _LAST_LINE.match(lines[-1].strip())):
        return _letter(match, question)
    letters = {_letter(match, question) for match in _FIELD.finditer(text)}
    return letters.pop() if len(letters) == 1 else None


def mentions_given_answer(text: str) -> bool:
    """Whether a text that was written with the gold answer at hand gives that away."""
    return _LEAK.search(text) is not None


def _letter(match: re.Match[str], question: Question) -> str | None:
    """The matched letter, where it stands alone or before its own option's text."""
    letter = match["letter"]
    if letter not in question.options:  # lower case is no letter: 'Final answer: a ...' is an article
        return None
    rest = _words(match["rest"])
    return letter if rest in ("", _words(question.options[letter])) else None


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
