"""Sketches of questions, by MinHash: the same question gives the same sketch in every process and version. Pure.

What is compared are pairs of words, of the stem and of each option. Pairs, not longer runs: three words of a hundred
that are replaced leave nine tenths of them, one of ten leaves two thirds. The gold answer doesn't count, nor the
options' order. A context counts as a whole: only questions with the same one can be alike, since what many have in
common (an abstract with a yes-or-no question each) says nothing of them.

The import costs seconds (scipy): only who makes sketches imports this.
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
"""Numbers of a band. With 25 bands of five, what shares 0.7 of its pairs is found in 99 cases of 100, what shares 0.8
in 9,999 of 10,000; what shares 0.3, as short questions of a kind do, is looked at in 6 of 100. One banding for all
thresholds, so that the threshold may change on a ledger in use, and differ between workers while they are replaced."""
BANDS: Final = WHOLE // ROWS

_SEED: Final = 1
"""Fixed for good, as the scheme is: sketches of other permutations can't be compared with those in the ledgers."""


def _hash(gram: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(gram, digest_size=4).digest(), "little")


def _empty(numbers: int) -> MinHash:
    return MinHash(num_perm=numbers, seed=_SEED, hashfunc=_hash, scheme="affine32")


_WHOLE, _OPTIONS = _empty(WHOLE), _empty(OPTIONS)


def candidate(case_id: str, question: Question, threshold: float) -> Candidate:
    """The question as a candidate for admission."""
    return Candidate(sketch(question), threshold, question.id or case_id, shown(question))


def sketch(question: Question) -> Sketch:
    """The sketch of a question. Its bands also tell its context."""
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
