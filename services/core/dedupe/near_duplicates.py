"""Computes MinHash sketches of questions: the same question gives the same sketch in every process and version. Pure.

Compares word pairs of the stem and of each option. Pairs tolerate small changes: with three of a hundred words replaced
90% of the pairs stay, with one of ten 67%. The gold answer and the order of options do not count. Questions are similar
only if they have the same context: many questions share a context (an abstract with a yes-or-no question each).

The import takes seconds (scipy): import it only where sketches are computed.
"""

import hashlib
from collections.abc import Iterable
from typing import Final

from datasketch import MinHash

from services.contracts.question import Question
from services.core.dedupe.minhash import BYTES, OPTIONS, WHOLE, Candidate, Sketch
from services.core.dedupe.words import Gram, option_grams, shown, stem_grams, words

PAIR: Final = 2
ROWS: Final = 5
"""Numbers per band. 25 bands of five find 99% of the pairs with similarity 0.7 and 99.99% of those with 0.8; 6% of the
pairs with similarity 0.3, such as short questions of one kind, are compared. The bands do not depend on the threshold:
it may change while the ledger is in use, and differ between workers during a rolling update."""
BANDS: Final = WHOLE // ROWS

_SEED: Final = 1
"""Must never change: sketches of other permutations cannot be compared with those in existing ledgers."""


def _hash(gram: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(gram, digest_size=4).digest(), "little")


def _empty(numbers: int) -> MinHash:
    return MinHash(num_perm=numbers, seed=_SEED, hashfunc=_hash, scheme="affine32")


_WHOLE, _OPTIONS = _empty(WHOLE), _empty(OPTIONS)


def candidate(case_id: str, question: Question, threshold: float) -> Candidate:
    """The question as a candidate for admission."""
    return Candidate(sketch(question), threshold, question.id or case_id, shown(question))


def sketch(question: Question) -> Sketch:
    """The sketch of a question. Its bands include its context."""
    options = option_grams(question, PAIR)
    whole = _numbers(_WHOLE, stem_grams(question, PAIR) | options)
    context = "\n".join(" ".join(words(passage)) for passage in question.context).encode()
    return Sketch(tuple(_bands(whole, context)), whole + _numbers(_OPTIONS, options))


def _numbers(empty: MinHash, grams: Iterable[Gram]) -> bytes:
    minhash = empty.copy()
    minhash.update_batch(" ".join(gram).encode() for gram in grams)
    numbers: bytes = minhash.hashvalues.astype("<u4").tobytes()
    return numbers


def _bands(whole: bytes, context: bytes) -> Iterable[int]:
    for band in range(BANDS):
        rows = whole[band * ROWS * BYTES : (band + 1) * ROWS * BYTES]
        digest = hashlib.blake2b(bytes([band]) + rows + context, digest_size=8)
        yield int.from_bytes(digest.digest(), "little", signed=True)
