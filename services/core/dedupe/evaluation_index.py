"""An index of the questions of evaluation sets, for finding submitted questions among them. Pure.

A submitted question matches if its stem and options have the same words, with options in any order; or if it contains
at least 70% of an evaluation question's 8-grams of words, and at least 70% of those of its stem. A text of fewer than
eight words, as most options, is one n-gram. 8-grams and 70% are the contamination test of PaLM (Chowdhery et al. 2022,
arXiv 2204.02311, section 8). GPT-3's test (Brown et al. 2020, arXiv 2005.14165, appendix C) matched on a single common
n-gram of 8 to 13 words: often a textbook's phrase, and many questions have fewer than thirteen words. The share is
counted in the evaluation question, so a longer text that contains it matches too. The stem's own share keeps options
such as "yes, no, maybe" from matching.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from services.contracts.question import Question
from services.contracts.refused import Match
from services.core.dedupe.words import hashed, option_grams, shown, stem_grams, text_digest

RUN: Final = 8
"""Words of an n-gram."""
SHARE: Final = 0.7
"""The share of an evaluation question's n-grams that a submitted question must contain to be refused."""

FILE: Final = 400
"""The most characters of a file name, the limit of the contract's Match."""

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Entry:
    """A question of an evaluation set, as shown to users."""

    file: str
    id: str
    text: str

    @classmethod
    def of(cls, file: str, question: Question, line: int | str) -> "Entry":
        """An entry under the source's id of the question, or else its line in the file."""
        return cls(file[-FILE:], question.id or str(line), shown(question))


@dataclass(frozen=True)
class EvaluationIndex:
    """The index: n-grams as hashes, and of the texts only the beginnings that are shown."""

    entries: tuple[Entry, ...]
    digests: Hashes
    """Text digests of stem and options, by entry."""
    stems: Numbers
    """The number of distinct n-grams of the stem, by entry."""
    wholes: Numbers
    """The number of distinct n-grams of stem and options, by entry."""
    hashes: Hashes
    """The n-grams of all entries, in ascending order."""
    owners: Numbers
    """The entry of each n-gram."""

    def find(self, question: Question) -> Match | None:
        """The most similar evaluation question that matches; the first of equally similar ones; None if none
        matches."""
        exact = np.flatnonzero(self.digests == np.uint64(text_digest(question)))
        if exact.size:
            return self._match(int(exact[0]), 1.0)
        stem = self._shared(stem_grams(question, RUN))
        fitting = np.flatnonzero(stem >= SHARE * self.stems)
        if not fitting.size:
            return None
        whole = stem + self._shared(option_grams(question, RUN))
        shares = whole[fitting] / self.wholes[fitting]
        best = int(np.argmax(shares))
        return self._match(int(fitting[best]), float(shares[best])) if shares[best] >= SHARE else None

    def _shared(self, runs: Iterable[tuple[str, ...]]) -> npt.NDArray[np.intp]:
        """The number of these n-grams that each entry has."""
        asked = np.fromiter(map(hashed, runs), dtype=np.uint64)
        begins = np.searchsorted(self.hashes, asked, side="left")
        ends = np.searchsorted(self.hashes, asked, side="right")
        held = [self.owners[begin:end] for begin, end in zip(begins, ends, strict=True) if begin < end]
        owners = np.concatenate(held) if held else self.owners[:0]
        return np.bincount(owners, minlength=len(self.entries))

    def _match(self, number: int, similarity: float) -> Match:
        entry = self.entries[number]
        return Match(where=entry.file, id=entry.id, text=entry.text, similarity=similarity)


def build(questions: Iterable[tuple[Entry, Question]]) -> EvaluationIndex:
    """Build the index. A question of several sets is listed under the first."""
    entries: dict[int, Entry] = {}
    stems, wholes, hashes, owners = [], [], [], []
    for entry, question in questions:
        digest = text_digest(question)
        if digest in entries:
            continue
        stem, options = stem_grams(question, RUN), option_grams(question, RUN)
        owners += [len(entries)] * (len(stem) + len(options))
        hashes += [hashed(run) for run in (*stem, *options)]
        stems.append(len(stem))
        wholes.append(len(stem) + len(options))
        entries[digest] = entry
    runs, whose = np.array(hashes, dtype=np.uint64), np.array(owners, dtype=np.uint32)
    order = np.lexsort((whose, runs))
    return EvaluationIndex(
        entries=tuple(entries.values()),
        digests=np.array(list(entries), dtype=np.uint64),
        stems=np.array(stems, dtype=np.uint32),
        wholes=np.array(wholes, dtype=np.uint32),
        hashes=runs[order],
        owners=whose[order],
    )
