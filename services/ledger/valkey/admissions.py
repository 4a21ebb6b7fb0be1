"""A newcomer as services/ledger/lua/admit.lua takes it."""

import math
from collections.abc import Iterator

from services.contracts.codec import canonical
from services.core.dedupe.minhash import BYTES, OPTIONS, OPTIONS_ALIKE, WHOLE, Candidate


def arguments(case_id: str, candidate: Candidate, *, anyway: bool) -> Iterator[str | bytes | int]:
    """The script's arguments from the fifth on. It counts equal numbers, so thresholds are told as counts; one that
    nothing reaches lets everything in."""
    yield case_id
    yield BYTES
    yield WHOLE
    yield WHOLE + 1 if anyway else math.ceil(candidate.threshold * WHOLE)
    yield math.ceil(OPTIONS_ALIKE * OPTIONS)
    yield candidate.sketch.signature
    yield canonical({"id": candidate.id, "text": candidate.text})
    yield from candidate.sketch.bands
