"""A question's words as comparisons see them, and runs of them. Pure.

Two texts have the same words where they differ only in case, punctuation, white space, or in how Unicode writes the
same characters, in markup, invisible characters or hyphens at the end of a line. Signs that are no punctuation stay,
as words of their own: in `pH < 7.35`, `Rh +` and `K ↑` they are what matters. A number keeps its sign, its decimals
and, raised, its place: -5 is not 5, 1.2 is not 1-2, 10⁶ is not 106.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from services.contracts.question import Question
from services.core.dedupe.cleaning import cleaned

SHOWN: Final = 500
"""Characters of a stem that people see of it: what the contract's Match takes."""

Gram = tuple[str, ...]
"""Words in a row."""


_POINT, _MINUS, _RAISED, _RAISED_MINUS = "\ue000", "\ue001", "\ue002", "\ue003"
"""Stand for the signs of a number while punctuation is taken out: private characters, which no text has."""
_SIGNS: Final = {_POINT: ".", _MINUS: " -", _RAISED: " ^", _RAISED_MINUS: " ^-"}
_PRIVATE: Final = str.maketrans(dict.fromkeys(_SIGNS, " "))
_SIGN: Final = str.maketrans(_SIGNS)

_LEADING_POINT: Final = re.compile(r"(?<![\w.])\.(?=\d)")
_DECIMAL: Final = re.compile(r"(?<=\d)\.(?=\d)")
_POWER: Final = re.compile(r"\^([-\u2212]?)(?=\d)")
_NEGATIVE: Final = re.compile(r"(?<!\w)[-\u2010\u2011\u2013\u2212](?=\d)")


class _Table(dict[int, str]):
    """What becomes of a character, by its code; each is looked up in the Unicode database once."""

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
"""Scripts without spaces between words: each character counts as one."""

_TABLE = _Table()


def words(text: str) -> list[str]:
    """The words of a text, in order. What has nothing but punctuation is kept as it is."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", cleaned(text)).casefold())
    return _numbered(folded).translate(_TABLE).translate(_SIGN).split() or text.split()


def _numbered(text: str) -> str:
    """The text with the signs that belong to a number kept apart from punctuation."""
    text = text.translate(_PRIVATE)
    if "." in text:
        text = _DECIMAL.sub(_POINT, _LEADING_POINT.sub("0.", text))
    text = _POWER.sub(lambda found: _RAISED_MINUS if found[1] else _RAISED, text)
    return _NEGATIVE.sub(_MINUS, text)


def grams(text: Sequence[str], n: int) -> Iterator[Gram]:
    """All runs of n words; of a shorter text the whole. None of no words."""
    if text:
        for start in range(max(1, len(text) - n + 1)):
            yield tuple(text[start : start + n])


def shown(question: Question) -> str:
    """The beginning of a stem, for people."""
    return question.question[:SHOWN]


def stem_grams(question: Question, n: int) -> set[Gram]:
    """Of a question's stem. They begin with an empty word, lest they be taken for an option's."""
    return {("", *gram) for gram in grams(words(question.question), n)}


def option_grams(question: Question, n: int) -> set[Gram]:
    """Of its options, each for itself: so neither their order nor their letters count, nor which of them is gold."""
    return {gram for option in question.options.values() for gram in grams(words(option), n)}


def text_digest(question: Question) -> int:
    """64 bits that stand for the words of stem and options, in whatever order the options are."""
    options = sorted(" ".join(words(option)) for option in question.options.values())
    return hashed(("\n".join([" ".join(words(question.question)), *options]),))


def hashed(gram: Iterable[str]) -> int:
    """64 bits that stand for a run of words, the same in every process."""
    return int.from_bytes(hashlib.blake2b(" ".join(gram).encode(), digest_size=8).digest(), "little")


def split_key(question: Question) -> str:
    """What a dataset's split goes by: 32 hex digits over the words of the stem. The same stem with its options in
    another order, with other options or other markup is in the same split."""
    return hashlib.blake2b(" ".join(words(question.question)).encode(), digest_size=16).hexdigest()
