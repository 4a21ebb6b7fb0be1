"""Questions of evaluation sets, and how a submitted question is compared with them. Pure, but for numpy.

A question is one of theirs if stem and options have the same words, in whatever order the options are; or if it holds
at least seven tenths of that question's runs of eight words, and as much of its stem's alone. What is shorter than
eight words, as most options are, is one run. Eight words and 70% is what PaLM was held against (Chowdhery et al. 2022,
arXiv 2204.02311, section 8). GPT-3's runs of 8 to 13 words (Brown et al. 2020, arXiv 2005.14165, appendix C) counted
from the first one in common, which is often a textbook's phrase, and thirteen are more than many questions have. The
share is the evaluation question's: a longer text that contains one is refused as well. The stem's own share keeps "yes,
no, maybe" from being taken for a question.
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
"""Words in a row."""
SHARE: Final = 0.7
"""Of an evaluation question's runs that a submitted one must hold to be refused."""

FILE: Final = 400
"""Characters of a file's name: what the contract's Match takes."""

Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Entry:
    """A question of an evaluation set, as it is shown to people."""

    file: str
    id: str
    text: str

    @classmethod
    def of(cls, file: str, question: Question, line: int | str) -> "Entry":
        """As people know it: by the source's id, or else by the line in its file."""
        return cls(file[-FILE:], question.id or str(line), shown(question))


@dataclass(frozen=True)
class EvaluationIndex:
    """The sets: runs of words as hashes, no texts but the beginnings that people see."""

    entries: tuple[Entry, ...]
    digests: Hashes
    """Of stem and options, by entry."""
    stems: Numbers
    """Distinct runs of the stem, by entry."""
    wholes: Numbers
    """Those of the options too."""
    hashes: Hashes
    """Every entry's runs, in ascending order."""
    owners: Numbers
    """Whose each of them is."""

    def find(self, question: Question) -> Match | None:
        """The evaluation question that this one is, or holds: the most similar one, of several the first."""
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
        """How many of these runs each entry has."""
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
    """The index of these questions; one that several sets have counts as the first one's."""
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
