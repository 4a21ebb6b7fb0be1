"""Splits questions into normalised words and n-grams for comparison. Pure.

Texts have the same words if they differ only in case, punctuation, white space, Unicode normalisation, markup,
invisible characters or hyphens at the end of a line. Signs that are not punctuation are words: they matter in `pH <
7.35`, `Rh +` and `K ↑`. Numbers keep sign, decimals and superscripts: -5 differs from 5, 1.2 from 1-2, and 10⁶ from
106.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from services.contracts.question import Question
from services.core.dedupe.cleaning import cleaned

SHOWN: Final = 500
"""Characters of a stem that are shown, the limit of the contract's Match."""

Gram = tuple[str, ...]
"""An n-gram of words."""


_POINT, _MINUS, _RAISED, _RAISED_MINUS = "\ue000", "\ue001", "\ue002", "\ue003"
"""Private-use characters that replace the signs of numbers while punctuation is removed."""
_SIGNS: Final = {_POINT: ".", _MINUS: " -", _RAISED: " ^", _RAISED_MINUS: " ^-"}
_PRIVATE: Final = str.maketrans(dict.fromkeys(_SIGNS, " "))
_SIGN: Final = str.maketrans(_SIGNS)

_LEADING_POINT: Final = re.compile(r"(?<![\w.])\.(?=\d)")
_DECIMAL: Final = re.compile(r"(?<=\d)\.(?=\d)")
_POWER: Final = re.compile(r"\^([-\u2212]?)(?=\d)")
_NEGATIVE: Final = re.compile(r"(?<!\w)[-\u2010\u2011\u2013\u2212](?=\d)")


class _Table(dict[int, str]):
    """The replacement of each character by its code; caches look-ups in the Unicode database."""

    def __missing__(self, code: int) -> str:
        made = self[code] = _written(chr(code))
        return made


def _written(character: str) -> str:
    if character in _SIGNS:
        return character
    category = unicodedata.category(character)
    if (category[0] == "S" and category != "Sk") or unicodedata.name(character, "").startswith(_UNSPACED):
        return f" {character} "
    return character if category[0] in "LMN" else " "


_UNSPACED = ("CJK UNIFIED", "HIRAGANA", "KATAKANA")
"""Scripts without spaces between words: each character counts as a word."""

_TABLE = _Table()


def words(text: str) -> list[str]:
    """The words of a text, in order. A text of only punctuation is one word."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cleaned(text)).casefold())
    return _numbered(folded).translate(_TABLE).translate(_SIGN).split() or text.split()


def _numbered(text: str) -> str:
    """The text with the signs of numbers replaced, so that they are not removed as punctuation."""
    text = text.translate(_PRIVATE)
    if "." in text:
        text = _DECIMAL.sub(_POINT, _LEADING_POINT.sub("0.", text))
    text = _POWER.sub(lambda found: _RAISED_MINUS if found[1] else _RAISED, text)
    return _NEGATIVE.sub(_MINUS, text)


def grams(text: Sequence[str], n: int) -> Iterator[Gram]:
    """All n-grams; the whole text if it is shorter; nothing for no words."""
    if text:
        for start in range(max(1, len(text) - n + 1)):
            yield tuple(text[start : start + n])


def shown(question: Question) -> str:
    """The beginning of a stem, for display."""
    return question.question[:SHOWN]


def stem_grams(question: Question, n: int) -> set[Gram]:
    """The n-grams of a question's stem. They begin with an empty word, to differ from those of options."""
    return {("", *gram) for gram in grams(words(question.question), n)}


def option_grams(question: Question, n: int) -> set[Gram]:
    """The n-grams of each option, whatever the options' order and letters and the gold answer."""
    return {gram for option in question.options.values() for gram in grams(words(option), n)}


def text_digest(question: Question) -> int:
    """A 64-bit digest of the words of stem and options, independent of the order of options."""
    options = sorted(" ".join(words(option)) for option in question.options.values())
    return hashed(("\n".join([" ".join(words(question.question)), *options]),))


def hashed(gram: Iterable[str]) -> int:
    """A 64-bit hash of an n-gram, the same in every process."""
    return int.from_bytes(hashlib.blake2b(" ".join(gram).encode(), digest_size=8).digest(), "little")
