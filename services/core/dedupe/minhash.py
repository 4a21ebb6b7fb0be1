"""A question's MinHash sketch: about a kilobyte that estimates its similarity to other questions without the text.
Pure.

services.core.dedupe.near_duplicates computes sketches; services.ledger stores them.
"""

from dataclasses import dataclass
from operator import eq
from typing import Final

from services.contracts.refused import Match

WHOLE: Final = 128
"""Permutations for the whole question: the usual number; the standard error of the estimate is at most 0.044."""
OPTIONS: Final = 64
"""Permutations for the options alone."""
BYTES: Final = 4
"""Of a number."""
OPTIONS_ALIKE: Final = 29 / 64
"""The least similarity of the options of near-duplicates. With four options of one word each, one may differ (0.6), two
may not (0.33). Without this limit, questions about the same long passage match: seven pairs at 0.79 to 0.91 among 5,996
real questions. Every pair of real duplicates above 0.8 has at least 0.8 here."""
LEAST: Final = 0.7
"""The lowest threshold for which the bands find near-duplicates reliably. Below it, different questions match."""


@dataclass(frozen=True)
class Sketch:
    """The sketch of a question."""

    bands: tuple[int, ...]
    """LSH keys, 64 bits signed. Similar questions almost always share one; others almost never do."""
    signature: bytes
    """The signature: WHOLE numbers, then OPTIONS numbers, of BYTES each."""


@dataclass(frozen=True)
class Candidate:
    """A question that is admitted unless an admitted one is too similar."""

    sketch: Sketch
    threshold: float
    """The similarity from which it is refused."""
    id: str
    """Shown to users: the source's id, or else the case id."""
    text: str
    """The beginning of its stem."""


@dataclass(frozen=True)
class Known:
    """An admitted question."""

    case_id: str
    signature: bytes
    id: str
    text: str

    def match(self, candidate: Candidate) -> Match | None:
        """The match with the candidate if the two are too similar, else None."""
        similarity = resemblance(self.signature, candidate.sketch.signature)
        if similarity < candidate.threshold:
            return None
        return Match(where=self.case_id, id=self.id, text=self.text, similarity=similarity)


def resemblance(one: bytes, other: bytes) -> float:
    """The estimated Jaccard similarity of the word pairs of two questions; 0 if their options differ too much."""
    if _common(one[WHOLE * BYTES :], other[WHOLE * BYTES :]) < OPTIONS_ALIKE * OPTIONS:
        return 0.0
    return _common(one[: WHOLE * BYTES], other[: WHOLE * BYTES]) / WHOLE


def closest(matches: list[Match]) -> Match | None:
    """The most similar match; deterministic among equals. None of no matches."""
    return min(matches, key=lambda match: (-match.similarity, match.where), default=None)


def _common(one: bytes, other: bytes) -> int:
    return sum(map(eq, memoryview(one).cast("I"), memoryview(other).cast("I")))
