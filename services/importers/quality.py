"""Checks of questions before any model call: rejects unusable ones, flags suspicious ones. Pure."""

import re
from typing import Final

from services.contracts.question import Question
from services.core.dedupe.cleaning import cleaned
from services.importers.rows import Unfit

_PICTURE: Final = re.compile(r"<\s*(?:image|img)\b|<image_?\d*>|!\[[^\]]{0,200}\]\(|\[image\]", re.IGNORECASE)
_MENTIONED: Final = re.compile(
    r"\b(?:image|figure|photograph|picture|radiograph|diagram|graph) (?:is )?(?:shown|below|above|provided|[A-Z1-9]\b)"
    r"|\b(?:shown|seen|depicted|illustrated) (?:in|on) the (?:image|figure|photograph|picture|diagram|exhibit)"
    r"|\bin (?:figure|fig\.|exhibit|image) [A-Z1-9]\b",
    re.IGNORECASE,
)
_WORDS: Final = ("image", "fig", "graph", "picture", "diagram", "exhibit")
"""Every text that _MENTIONED matches contains one of these."""
_NULLS: Final = frozenset({"nan", "<na>", "n/a", "#n/a", "na", "null", "none", "nil", "undefined"})
_MACHINE_NULLS: Final = frozenset({"nan", "<na>", "#n/a", "undefined"})
"""Texts of missing values, which are not real options."""


def check(question: Question) -> str | None:
    """The reason to flag a question, or None. Raises Unfit if it is blank, has a blank option or the answer twice, or
    needs an image."""
    _check_text("question", question.question)
    texts = {letter: _text(f"options.{letter}", text) for letter, text in question.options.items()}
    lowered = question.question.lower()
    if ("<" in lowered or "[" in lowered) and _PICTURE.search(lowered):
        raise Unfit("question", "needs an image, which is not supported")
    _check_nulls(texts)
    gold = texts[question.answer]
    for letter, text in texts.items():
        if letter != question.answer and text == gold:
            raise Unfit(
                f"options.{letter}",
                f"is the same as the answer, {question.answer}: correct replies would be errors",
            )
    if len(set(texts.values())) < len(texts):
        return "two wrong options are the same"
    if any(word in lowered for word in _WORDS) and _MENTIONED.search(question.question):
        return "mentions an image, but has none"
    return None


def _check_nulls(texts: dict[str, str]) -> None:
    nulls = [letter for letter, text in texts.items() if text.casefold() in _NULLS]
    if len(nulls) > 1 or any(texts[letter].casefold() in _MACHINE_NULLS for letter in nulls):
        raise Unfit(f"options.{nulls[0]}", f"is a missing value, written as {texts[nulls[0]]!r}")


def _check_text(field: str, text: str) -> None:
    if not _is_simple(text) or text.isspace() or "\0" in text:
        _text(field, text)


def _text(field: str, text: str) -> str:
    """The visible text. Case is kept: AA and Aa are two genotypes."""
    seen = text.strip() if _is_simple(text) and "  " not in text else " ".join(cleaned(text).split())
    if not seen:
        raise Unfit(field, "is blank")
    if "\0" in seen:
        raise Unfit(field, "contains a NUL character")
    return seen


def _is_simple(text: str) -> bool:
    return text.isascii() and "<" not in text and "&" not in text and "\n" not in text
