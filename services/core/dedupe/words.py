"""A question's words as comparisons see them, and runs of them. Pure.

Two texts have the same words where they differ only in case, punctuation, white space, or in how Unicode writes the
same characters. Signs that are no punctuation stay, as words of their own: in `pH < 7.35`, `Rh +` and `K ↑` they are
what matters.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from services.contracts.question import Question

SHOWN: Final = 500
"""Characters of a stem that people see of it: what the contract's Match takes."""

Gram = tuple[str, ...]
"""Words in a row."""


class _Table(dict[int, str]):
    """What becomes of a character, by its code; each is looked up in the Unicode database once."""

    def __missing__(self, code: int) -> str:
        made = self[code] = _written(chr(code))
        return made


def _written(character: str) -> str:
    category = unicodedata.category(character)
    if (category[0] == "S" and category != "Sk") or unicodedata.name(character, "").startswith(_UNSPACED):
        return f" {character} "
    return character if category[0] in "LMN" else " "


_UNSPACED = ("CJK UNIFIED", "HIRAGANA", "KATAKANA")
"""Scripts without spaces between words: each character counts as one."""

_TABLE = _Table()


def words(text: str) -> list[str]:
    """The words of a text, in order. What has nothing but punctuation is kept as it is."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return folded.translate(_TABLE).split() or text.split()


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
