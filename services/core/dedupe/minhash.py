"""A question's sketch: a kilobyte that gives its similarity to another question, without either's text. Pure.

Sketches are made in services.core.dedupe.near_duplicates, and kept beside the ledger by services.ledger.
"""

from dataclasses import dataclass
from operator import eq
from typing import Final

from services.contracts.refused import Match

WHOLE: Final = 128
"""Numbers that tell of the whole question: the estimate's standard error is at most 0.044, the usual choice."""
OPTIONS: Final = 64
"""Numbers that tell of the options alone."""
BYTES: Final = 4
"""Of a number."""
OPTIONS_ALIKE: Final = 29 / 64
"""Share of the options' word pairs that two questions must have in common, whatever else they share. Of four options of
a word each, one may differ (0.6), two may not (0.33). Without it, questions about one long passage are taken for each
other: among 5,996 real ones seven pairs at 0.79 to 0.91; no pair of duplicates above 0.8 has less than 0.8 here."""
LEAST: Final = 0.7
"""The lowest threshold for which bands find what they should. Below it, other questions than the same are alike."""


@dataclass(frozen=True)
class Sketch:
    """What stands for a question's words."""

    bands: tuple[int, ...]
    """Keys of 64 bits, signed. Questions that are alike share one of them, nearly always; others nearly never."""
    signature: bytes
    """WHOLE numbers, then OPTIONS, of BYTES each."""


@dataclass(frozen=True)
class Candidate:
    """A question that is admitted if no admitted one is too similar."""

    sketch: Sketch
    threshold: float
    """From this similarity on it is refused."""
    id: str
    """By which people know it: its source's id, else its case id."""
    text: str
    """The beginning of its stem."""


@dataclass(frozen=True)
class Known:
    """A question that was admitted."""

    case_id: str
    signature: bytes
    id: str
    text: str

    def match(self, candidate: Candidate) -> Match | None:
        """The match with the candidate, if the two are too similar."""
        similarity = resemblance(self.signature, candidate.sketch.signature)
        if similarity < candidate.threshold:
            return None
        return Match(where=self.case_id, id=self.id, text=self.text, similarity=similarity)


def resemblance(one: bytes, other: bytes) -> float:
    """The share of word pairs that two questions have in common (Jaccard), as their signatures tell it; 0 where their
    options are too different."""
    if _common(one[WHOLE * BYTES :], other[WHOLE * BYTES :]) < OPTIONS_ALIKE * OPTIONS:
        return 0.0
    return _common(one[: WHOLE * BYTES], other[: WHOLE * BYTES]) / WHOLE


def closest(matches: list[Match]) -> Match | None:
    """The most similar one; of several, always the same one."""
    return min(matches, key=lambda match: (-match.similarity, match.where), default=None)


def _common(one: bytes, other: bytes) -> int:
    return sum(map(eq, memoryview(one).cast("I"), memoryview(other).cast("I")))
