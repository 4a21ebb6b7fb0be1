"""Deterministic splits by the text of the question: all records of a question are in one split, under any recipe and
with its options in any order."""

import hashlib
import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Self

from services.core.dedupe.words import words

_DIGITS = 15
"""Hex digits of a question's digest that are compared with a split's bound: 2**60 values, finer than any share."""


class BadSplit(ValueError):
    """The splits are invalid. The text has the reason."""


def split_key(stem: str) -> str:
    """The split key of a question: the words of its stem. Options do not count, so that a stem with reordered options
    is in the same split."""
    return " ".join(words(stem))


@dataclass(frozen=True)
class Splits:
    """Split names with shares that sum to 1. Another seed assigns other questions."""

    shares: tuple[tuple[str, Fraction], ...]
    seed: str

    @classmethod
    def parse(cls, text: str, seed: str) -> Self:
        """Read `train=0.98,test=0.02`. Raises BadSplit."""
        shares = tuple(_share(part) for part in text.split(","))
        names = [name for name, _ in shares]
        if len(set(names)) < len(names):
            raise BadSplit(f"a split is named twice: {text}")
        if (total := sum(share for _, share in shares)) != 1:
            raise BadSplit(f"the shares must sum to 1, not to {float(total):g}")
        return cls(shares, seed)

    @property
    def names(self) -> tuple[str, ...]:
        """In the order given."""
        return tuple(name for name, _ in self.shares)

    def of(self, key: str) -> str:
        """The split of a key: where the SHA-256 of `SEED:KEY` falls among the shares."""
        place = int(hashlib.sha256(f"{self.seed}:{key}".encode()).hexdigest()[:_DIGITS], 16)
        reached = Fraction(0)
        for name, share in self.shares[:-1]:
            reached += share
            if place < int(reached * 16**_DIGITS):
                return name
        return self.names[-1]


def _share(part: str) -> tuple[str, Fraction]:
    name, _, share = part.strip().partition("=")
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name):
        raise BadSplit(f"a split is NAME=SHARE, its name of small letters, digits and _: {part!r}")
    if not re.fullmatch(r"\d?\.\d{1,9}|1", share) or not 0 < Fraction(share) <= 1:
        raise BadSplit(f"a share is a number above 0 and up to 1, as in {name}=0.98: {part!r}")
    return name, Fraction(share)
